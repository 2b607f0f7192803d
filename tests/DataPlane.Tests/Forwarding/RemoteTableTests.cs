using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>Whose datagrams a segment takes (RFC 7348, section 7), and how many strangers it remembers.</summary>
public sealed class RemoteTableTests
{
    private static bool Admits(Segment segment, int vtep) => segment.Remotes.Admits(Address(vtep), out _);

    private static void Configure(Segment segment, int vtep, ushort port = Port, EntryKind kind = EntryKind.Permanent) =>
        segment.Fdb.Append(MacAddress.Zero, Vtep(vtep, port), OwnVni, kind, 0);

    [Fact]
    public void Admits_anybody_until_a_VTEP_is_configured_and_again_when_none_is()
    {
        var segment = Make();
        Assert.True(Admits(segment, 2));
        Configure(segment, 2);
        Assert.True(Admits(segment, 2));
        Assert.False(Admits(segment, 3));
        segment.Fdb.Delete(MacAddress.Zero, null, OwnVni, 0);
        Assert.True(Admits(segment, 3));
    }

    [Fact]
    public void Admits_anybody_always_when_told_to()
    {
        var segment = Make(options => options with { Admission = Admission.Any });
        Configure(segment, 2);
        Assert.True(Admits(segment, 3));
    }

    [Fact]
    public void A_static_unicast_entry_configures_its_VTEP_and_a_dynamic_one_does_not()
    {
        var segment = Make();
        segment.Fdb.Add(Mac(1), Vtep(2), OwnVni, EntryKind.Dynamic, 0);
        Assert.True(Admits(segment, 3));
        segment.Fdb.Add(Mac(2), Vtep(4), OwnVni, EntryKind.Static, 0);
        Assert.True(Admits(segment, 4));
        Assert.False(Admits(segment, 2));
    }

    [Fact]
    public void A_learned_VTEP_is_shut_out_once_others_are_configured()
    {
        var segment = Make();
        segment.Fdb.Learn(Mac(1), Address(2), 0);
        Configure(segment, 3);
        Assert.False(Admits(segment, 2));
    }

    [Fact]
    public void A_VTEP_by_two_interfaces_is_two_remotes_and_is_admitted_by_its_address()
    {
        var segment = Make();
        foreach (var index in new[] { 7, 8 }) segment.Fdb.Append(MacAddress.Zero, Vtep(2), OwnVni, EntryKind.Permanent, 0, index);
        Assert.Equal([7, 8], segment.Fdb.Default.Remotes.Select(static remote => remote.InterfaceIndex));
        Assert.True(Admits(segment, 2));
        Assert.False(Admits(segment, 3));
        Assert.Equal(TableResult.NotFound, segment.Fdb.Delete(MacAddress.Zero, Vtep(2), OwnVni, 0));
        Assert.Equal(TableResult.Done, segment.Fdb.Delete(MacAddress.Zero, Vtep(2), OwnVni, 0, 7));
        Assert.True(Admits(segment, 2));
        Assert.Equal(TableResult.Done, segment.Fdb.Delete(MacAddress.Zero, Vtep(2), OwnVni, 0, 8));
        Assert.True(Admits(segment, 3));
    }

    [Fact]
    public void A_VTEP_on_another_port_is_admitted_by_its_address()
    {
        var segment = Make();
        Configure(segment, 2, port: 4790);
        Assert.True(Admits(segment, 2));
        Assert.False(Admits(segment, 3));
    }

    [Theory]
    [InlineData(4790, 4789)]
    [InlineData(4789, 4790)]
    public void Taking_away_one_of_two_ports_of_a_VTEP_neither_opens_nor_shuts_the_door(ushort first, ushort second)
    {
        var segment = Make();
        Configure(segment, 2, first);
        Configure(segment, 2, second);
        segment.Fdb.Delete(MacAddress.Zero, Vtep(2, first), OwnVni, 0);
        Assert.True(Admits(segment, 2));
        Assert.False(Admits(segment, 3));
        segment.Fdb.Delete(MacAddress.Zero, Vtep(2, second), OwnVni, 0);
        Assert.True(Admits(segment, 3));
    }

    [Fact]
    public void Neither_the_null_address_nor_our_own_counts_as_a_VTEP()
    {
        var segment = Make();
        segment.Fdb.Add(Mac(1), new VtepAddress(InternetAddress.AnyIPv4, Port), OwnVni, EntryKind.Permanent, 0);
        Configure(segment, 1);
        Assert.True(Admits(segment, 3));
        Configure(segment, 2);
        Assert.False(Admits(segment, 1));
        Assert.False(segment.Remotes.Admits(InternetAddress.AnyIPv4, out _));
    }

    [Fact]
    public void Learns_behind_4096_VTEPs_and_not_behind_one_more_until_some_are_forgotten()
    {
        var segment = Make();
        for (var i = 0; i < RemoteTable.MaxLearned; i++) Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Mac((ulong)i), Address(1000 + i), 0));
        Assert.Equal(RemoteTable.MaxLearned, segment.Remotes.Count);
        Assert.Equal(LearnResult.Skipped, segment.Fdb.Learn(Mac(99_999), Address(999), 0));
        // One that is known is learned from as ever.
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Mac(88_888), Address(1000), 0));
        Assert.Equal(TableResult.Done, segment.Fdb.Add(Mac(77_777), Vtep(998), OwnVni, EntryKind.Permanent, 0));

        segment.Fdb.AgeOut(300_000);
        segment.Fdb.AgeOut(600_001);
        Assert.Equal(1, segment.Remotes.Count);
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Mac(99_999), Address(999), 600_001));
    }

    [Fact]
    public void Configured_VTEPs_take_no_room_from_learned_ones()
    {
        var segment = Make(options => options with { Admission = Admission.Any });
        for (var i = 0; i < RemoteTable.MaxLearned; i++) Configure(segment, 10_000 + i, port: 4790);
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Mac(1), Address(2), 0));
    }

    [Fact]
    public void A_VTEP_in_use_is_not_forgotten_and_one_out_of_use_is_after_the_ageing_time()
    {
        var segment = Make();
        segment.Fdb.Learn(Mac(1), Address(2), 0);
        segment.Fdb.Learn(Mac(2), Address(3), 0);
        for (var now = 0; now <= 3_000_000; now += 1000)
        {
            segment.Fdb.Learn(Mac(1), Address(2), now);
            segment.Fdb.AgeOut(now);
        }

        Assert.Equal(Vtep(2), Assert.Single(segment.Remotes.All).Address);
        Assert.Same(segment.Fdb.Lookup(Mac(1)).Remotes[0], Assert.Single(segment.Remotes.All));
    }

    [Fact]
    public void A_VTEP_keeps_its_counters_while_stations_move_between_VTEPs()
    {
        var segment = Make();
        segment.Fdb.Learn(Mac(1), Address(2), 0);
        var remote = segment.Fdb.Lookup(Mac(1)).Remotes[0];
        remote.Count(new RemoteCounters(3, 300, 0, 0, 1));
        remote.Count(new RemoteCounters(0, 0, 2, 200, 0));
        segment.Fdb.Learn(Mac(1), Address(3), 0);
        segment.Fdb.Learn(Mac(1), Address(2), 0);
        Assert.Same(remote, segment.Fdb.Lookup(Mac(1)).Remotes[0]);
        Assert.Equal(new RemoteCounters(3, 300, 2, 200, 1), remote.Counters);
    }

    [Fact]
    public void A_tally_loses_nothing_though_remotes_share_its_slots_and_workers_the_remotes()
    {
        var fdb = Make().Fdb;
        for (var i = 0; i < 150; i++) fdb.Append(MacAddress.Zero, Vtep(2 + i), OwnVni, EntryKind.Permanent, 0);
        var remotes = fdb.Default.Remotes;
        void Work()
        {
            var tally = new RemoteTally();
            for (var batch = 0; batch < 1000; batch++)
            {
                for (var i = 0; i < 64; i++)
                {
                    tally.CountSent(remotes[((batch * 7) + (i * 64)) % remotes.Length], 2, 30, 1);
                    tally.CountReceived(remotes[(batch + i) % remotes.Length], 5);
                }

                tally.Flush();
            }
        }

        var other = new Thread(Work);
        other.Start();
        Work();
        other.Join();
        Assert.Equal(
            new RemoteCounters(256_000, 3_840_000, 128_000, 640_000, 128_000),
            remotes.Select(remote => remote.Counters).Aggregate((a, b) => new RemoteCounters(
                a.DatagramsSent + b.DatagramsSent, a.BytesSent + b.BytesSent, a.DatagramsReceived + b.DatagramsReceived, a.BytesReceived + b.BytesReceived, a.Drops + b.Drops)));
    }

    [Fact]
    public void Senders_are_found_while_others_are_learned_and_forgotten()
    {
        var segment = Make(options => options with { AgeingSeconds = 1 });
        for (var i = 0; i < 100; i++) segment.Fdb.Append(MacAddress.Zero, Vtep(1000 + i), OwnVni, EntryKind.Permanent, 0);
        var isDone = false;
        var missed = 0;
        var reader = new Thread(() =>
        {
            while (!Volatile.Read(ref isDone))
                for (var i = 0; i < 100; i++) if (!segment.Remotes.Admits(Address(1000 + i), out _)) missed++;
        });
        reader.Start();
        for (var round = 0; round < 50; round++)
        {
            for (var i = 0; i < 200; i++) segment.Fdb.Learn(Mac((ulong)i), Address(2000 + (round * 200) + i), round * 5000);
            segment.Fdb.AgeOut((round * 5000) + 3000);
        }

        Volatile.Write(ref isDone, true);
        reader.Join();
        Assert.Equal(0, missed);
        Assert.Equal(100, segment.Remotes.Count);
    }
}
