using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>Readers without a lock while a writer churns. Every MAC has one VTEP it may ever be behind, so a wrong answer shows at once.</summary>
public sealed class ForwardingTableConcurrencyTests
{
    private const int Residents = 16;
    private const int Guests = 60;
    private const int Changes = 200_000;
    private const int Default = 250;

    // Residents are never touched; guests come and go around them, so chains are broken and mended all the time.
    private static MacAddress Resident(int i) => Mac((ulong)(i * 3));

    private static MacAddress Guest(int i) => Mac((ulong)((i * 3) + 1));

    private static InternetAddress Home(MacAddress mac) => Address(2 + (int)(mac.Value % 97));

    [Theory]
    [InlineData(EntryKind.Dynamic)]
    [InlineData(EntryKind.Permanent)]
    public void Readers_see_no_wrong_destination_and_miss_nothing_that_is_always_there(EntryKind kind)
    {
        var fdb = Make().Fdb;
        fdb.Add(MacAddress.Zero, Vtep(Default), OwnVni, EntryKind.Permanent, 0);
        for (var i = 0; i < Residents; i++) fdb.Add(Resident(i), new VtepAddress(Home(Resident(i)), Port), OwnVni, kind, 0);

        var isDone = false;
        string? failure = null;
        var reader = new Thread(() =>
        {
            for (var round = 0; !Volatile.Read(ref isDone) && failure is null; round++)
            {
                for (var i = 0; i < Residents && failure is null; i++) failure = CheckResident(fdb, Resident(i));
                for (var i = 0; i < Guests && failure is null; i++) failure = CheckGuest(fdb, Guest(i));
            }
        });
        reader.Start();

        var random = new Random(5);
        for (var change = 0; change < Changes && failure is null; change++)
        {
            var guest = Guest(random.Next(Guests));
            if (fdb.Count > 30 || random.Next(2) == 0) fdb.Delete(guest, null, OwnVni, 0);
            else fdb.Add(guest, new VtepAddress(Home(guest), Port), OwnVni, kind, 0);
            if (change % 50_000 == 0) fdb.AgeOut(0);
        }

        Volatile.Write(ref isDone, true);
        reader.Join();
        Assert.Null(failure);
    }

    private static string? CheckResident(ForwardingTable fdb, MacAddress mac)
    {
        var found = fdb.Lookup(mac).Remotes[0].Address.Address;
        if (found != Home(mac)) return $"{mac} is behind {Home(mac)}, found {found}";
        var learned = fdb.Learn(mac, Home(mac), 0);
        return learned is LearnResult.Known or LearnResult.Skipped ? null : $"{mac} did not move, but learning says {learned}";
    }

    private static string? CheckGuest(ForwardingTable fdb, MacAddress mac)
    {
        var found = fdb.Lookup(mac).Remotes[0].Address.Address;
        return found == Home(mac) || found == Address(Default) ? null : $"{mac} is behind {Home(mac)} or unknown, found {found}";
    }

    [Fact]
    public void Two_learners_of_the_same_stations_agree()
    {
        // Two workers learn and refresh at once; nobody moves, so nothing may ever be reported as moved.
        var fdb = Make().Fdb;
        string? failure = null;
        void Learn()
        {
            for (var round = 0; round < 200 && failure is null; round++)
            {
                for (var i = 0; i < 500; i++)
                {
                    var mac = Mac((ulong)i);
                    var result = fdb.Learn(mac, Home(mac), round * 100_000);
                    if (result is LearnResult.Moved or LearnResult.Conflict) failure = $"{mac}: {result}";
                }
            }
        }

        var other = new Thread(Learn);
        other.Start();
        Learn();
        other.Join();
        Assert.Null(failure);
        Assert.Equal(500, fdb.Count);
    }
}
