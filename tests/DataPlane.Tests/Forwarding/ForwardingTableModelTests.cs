using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>
/// The FDB and the remote table against a model of lists and loops, under random commands, learning and ageing. A failure names seed and step.
/// </summary>
public sealed class ForwardingTableModelTests
{
    private const int AgeingSeconds = 20;

    // Few addresses, so that they meet: default, groups, and stations; remotes with own and foreign ports and VNIs, null, self, wrong family.
    private static readonly MacAddress[] Macs =
        [MacAddress.Zero, MacAddress.Broadcast, MacAddress.FromValue(0x0100_5E00_0001), .. Enumerable.Range(1, 37).Select(i => Mac((ulong)i))];

    private static readonly VtepAddress[] Vteps =
        [Self, Vtep(2), Vtep(3), Vtep(4), Vtep(2, 4790), Vtep(5, 4790), new(InternetAddress.AnyIPv4, Port), new(InternetAddress.AnyIPv6, Port), new(Address("2001:db8::1"), Port)];

    private sealed record Destination(VtepAddress Address, Vni Vni);

    private sealed class Entry
    {
        public required MacAddress Mac;
        public required EntryKind Kind;
        public required List<Destination> Destinations;
        public long Seen;
    }

    /// <summary>The specification in the fewest words; slow.</summary>
    private sealed class Model(int limit, Admission admission)
    {
        public List<Entry> Entries { get; } = [];

        private Entry? Find(MacAddress mac) => Entries.Find(entry => entry.Mac == mac);

        private TableResult New(MacAddress mac, Destination destination, EntryKind kind, long now)
        {
            if (Entries.Count >= limit) return TableResult.Full;
            Entries.Add(new Entry { Mac = mac, Kind = kind, Destinations = [destination], Seen = now });
            return TableResult.Done;
        }

        public TableResult Add(MacAddress mac, Destination destination, EntryKind kind, long now) =>
            !destination.Address.Address.IsIPv4 ? TableResult.WrongFamily
            : Find(mac) is not null ? TableResult.Exists
            : New(mac, destination, kind, now);

        public TableResult Append(MacAddress mac, Destination destination, EntryKind kind, long now)
        {
            if (!destination.Address.Address.IsIPv4) return TableResult.WrongFamily;
            if (Find(mac) is not { } entry) return New(mac, destination, kind, now);
            if ((mac.IsGroup || mac.IsZero) && !entry.Destinations.Contains(destination))
            {
                entry.Destinations.Add(destination);
                entry.Seen = now;
            }

            return TableResult.Done;
        }

        public TableResult Replace(MacAddress mac, Destination destination, EntryKind kind, long now)
        {
            if (!destination.Address.Address.IsIPv4) return TableResult.WrongFamily;
            if (mac.IsGroup || mac.IsZero) return TableResult.NotSupported;
            if (Find(mac) is not { } entry) return New(mac, destination, kind, now);
            (entry.Kind, entry.Destinations, entry.Seen) = (kind, [destination], now);
            return TableResult.Done;
        }

        public TableResult Delete(MacAddress mac, Destination? destination, long now)
        {
            if (Find(mac) is not { } entry) return TableResult.NotFound;
            if (destination is null) entry.Destinations.Clear();
            else if (!entry.Destinations.Remove(destination)) return TableResult.NotFound;
            entry.Seen = now;
            if (entry.Destinations.Count == 0) Entries.Remove(entry);
            return TableResult.Done;
        }

        public int Flush(bool all) => Entries.RemoveAll(entry => !entry.Mac.IsZero && (all || entry.Kind == EntryKind.Dynamic));

        public int AgeOut(long now) => Entries.RemoveAll(entry => entry.Kind == EntryKind.Dynamic && entry.Seen <= now - (AgeingSeconds * 1000));

        public LearnResult Learn(MacAddress mac, InternetAddress sender, long now)
        {
            var behind = new Destination(new VtepAddress(sender, Port), OwnVni);
            if (Find(mac) is not { } entry) return New(mac, behind, EntryKind.Dynamic, now) == TableResult.Full ? LearnResult.Skipped : LearnResult.Learned;
            var isThere = entry.Destinations[0].Address.Address == sender;
            if (entry.Kind != EntryKind.Dynamic) return isThere ? LearnResult.Known : LearnResult.Conflict;
            if (isThere && now - entry.Seen < AgeingSeconds * 100) return LearnResult.Known;
            entry.Seen = now;
            if (isThere) return LearnResult.Known;
            entry.Destinations = [behind];
            return LearnResult.Moved;
        }

        public List<Destination> Lookup(MacAddress mac) => (Find(mac) ?? Find(MacAddress.Zero))?.Destinations ?? [];

        /// <summary>Addresses that static and permanent entries name; neither our own nor the null address is a VTEP.</summary>
        private IEnumerable<InternetAddress> Configured() =>
            from entry in Entries
            where entry.Kind != EntryKind.Dynamic
            from destination in entry.Destinations
            where destination.Address != Self && !destination.Address.Address.IsUnspecified
            select destination.Address.Address;

        public bool Admits(InternetAddress sender) => admission == Admission.Any || !Configured().Any() || Configured().Contains(sender);
    }

    public static TheoryData<int, int, Admission> Cases
    {
        get
        {
            var cases = new TheoryData<int, int, Admission>();
            for (var seed = 1; seed <= 20; seed++) cases.Add(seed, seed % 3 == 0 ? 12 : seed % 3 == 1 ? 25 : 0, seed % 5 == 0 ? Admission.Any : Admission.Peers);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Does_what_the_model_does_under_random_operations(int seed, int limit, Admission admission)
    {
        var random = new Random(seed);
        var segment = Make(options => options with { AgeingSeconds = AgeingSeconds, MaxAddress = limit, Admission = admission });
        var model = new Model(limit == 0 ? int.MaxValue : limit, admission);
        long now = 1_000_000;
        for (var step = 0; step < 800; step++)
        {
            now += random.Next(4) == 0 ? random.Next(3000) : random.Next(20);
            var what = Step(random, segment.Fdb, model, now);
            Compare(segment, model, now, $"seed {seed}, step {step}: {what}");
        }
    }

    private static string Step(Random random, ForwardingTable fdb, Model model, long now)
    {
        var mac = Macs[random.Next(Macs.Length)];
        var destination = new Destination(Vteps[random.Next(Vteps.Length)], random.Next(5) == 0 ? new Vni(300) : OwnVni);
        var (address, vni) = (destination.Address, destination.Vni);
        var kind = (EntryKind)random.Next(3);
        switch (random.Next(24))
        {
            case 0 or 1:
                Same(model.Add(mac, destination, kind, now), fdb.Add(mac, address, vni, kind, now));
                return $"add {mac} {address} {kind}";
            case 2 or 3 or 4:
                Same(model.Append(mac, destination, kind, now), fdb.Append(mac, address, vni, kind, now));
                return $"append {mac} {address} {kind}";
            case 5 or 6:
                Same(model.Replace(mac, destination, kind, now), fdb.Replace(mac, address, vni, kind, now));
                return $"replace {mac} {address} {kind}";
            case 7 or 8:
                Same(model.Delete(mac, null, now), fdb.Delete(mac, null, vni, now));
                return $"delete {mac}";
            case 9 or 10:
                Same(model.Delete(mac, destination, now), fdb.Delete(mac, address, vni, now));
                return $"delete {mac} {address}";
            case 11 when random.Next(10) == 0:
                var all = random.Next(2) == 0;
                Same(model.Flush(all), fdb.Flush(all, now));
                return "flush";
            case 12 or 13:
                Same(model.AgeOut(now), fdb.AgeOut(now));
                return "age out";
            default:
                if (!mac.IsValidSource || !address.Address.IsIPv4) return "nothing";
                Same(model.Learn(mac, address.Address, now), fdb.Learn(mac, address.Address, now));
                return $"learn {mac} {address.Address}";
        }
    }

    private static void Same<T>(T expected, T actual) => Assert.Equal(expected, actual);

    private static void Compare(Segment segment, Model model, long now, string where)
    {
        var fdb = segment.Fdb;
        Assert.True(model.Entries.Count == fdb.Count, $"{where}: {fdb.Count} entries, not {model.Entries.Count}");
        foreach (var mac in Macs)
        {
            var actual = fdb.Lookup(mac).Remotes.Select(remote => new Destination(remote.Address, remote.Vni));
            Assert.True(model.Lookup(mac).SequenceEqual(actual), $"{where}: {mac} goes elsewhere");
        }

        var objects = new Dictionary<Destination, Remote>();
        var snapshot = fdb.Snapshot(now);
        foreach (var entry in snapshot)
        {
            var expected = model.Entries.Single(other => other.Mac == entry.Mac);
            Assert.True(expected.Kind == entry.Kind, $"{where}: {entry.Mac} is {entry.Kind}");
            if (entry.Kind == EntryKind.Dynamic && !entry.Mac.IsZero) Assert.True(now - expected.Seen == entry.IdleMilliseconds, $"{where}: idle of {entry.Mac}");
            foreach (var remote in entry.Destinations.Remotes)
            {
                // One object for one destination, and none that is in use is forgotten.
                var destination = new Destination(remote.Address, remote.Vni);
                Assert.True(objects.TryAdd(destination, remote) || objects[destination] == remote, $"{where}: two objects for {destination}");
            }
        }

        Assert.True(snapshot.Count == model.Entries.Count, $"{where}: snapshot");
        var all = segment.Remotes.All.ToHashSet();
        Assert.True(all.Count == segment.Remotes.Count, $"{where}: {segment.Remotes.Count} remotes counted, {all.Count} there");
        Assert.True(all.IsSupersetOf(objects.Values), $"{where}: a remote in use was forgotten");
        foreach (var sender in Vteps.Where(vtep => vtep.Address.IsIPv4).Select(vtep => vtep.Address).Append(Address(77)))
            Assert.True(model.Admits(sender) == segment.Remotes.Admits(sender, out _), $"{where}: admission of {sender} is not {model.Admits(sender)}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Crowded_tables_keep_every_chain_through_deletions(int seed)
    {
        // Up to half full, at 64 to 4096 slots, so that chains collide and wrap around the end; each table has its own secret hash.
        var random = new Random(seed);
        for (var table = 0; table < 20; table++)
        {
            var fdb = Make().Fdb;
            var there = new Dictionary<MacAddress, InternetAddress>();
            var most = 30 << random.Next(7);
            for (var step = 0; step < 6 * most; step++)
            {
                var mac = Mac((ulong)random.Next(2 * most));
                if (there.Count < most && random.Next(5) < 3)
                {
                    var sender = Address(2 + random.Next(50));
                    fdb.Learn(mac, sender, 0);
                    there[mac] = sender;
                }
                else
                {
                    Assert.Equal(there.Remove(mac) ? TableResult.Done : TableResult.NotFound, fdb.Delete(mac, null, OwnVni, 0));
                }
            }

            Assert.Equal(there.Count, fdb.Count);
            for (var i = 0; i < 2 * most; i++)
            {
                var remotes = fdb.Lookup(Mac((ulong)i)).Remotes;
                if (there.TryGetValue(Mac((ulong)i), out var sender)) Assert.Equal(sender, Assert.Single(remotes).Address.Address);
                else Assert.Empty(remotes);
            }
        }
    }
}
