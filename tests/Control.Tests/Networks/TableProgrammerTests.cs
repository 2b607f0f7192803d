using Sleeve.Control.Networks;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.Views;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Networks;

/// <summary>What hosts publish gets into the tables of a segment, no more and no less.</summary>
public sealed class TableProgrammerTests
{
    private readonly Segment _segment = NewSegment();
    private readonly TableProgrammer _programmer = new();
    private readonly HashSet<string> _down = [];

    private bool IsUp(string host) => !_down.Contains(host);

    private TableChanges Apply(NetworkView view, bool everything = false)
    {
        var changes = _programmer.Apply(_segment, view, Self, IsUp, everything);
        Assert.Empty(Audit(view));
        return changes;
    }

    private IReadOnlyList<TableDifference> Audit(NetworkView view) => TableAudit.Compare(_segment, view, Self, IsUp, Vtep.NowMilliseconds);

    private VtepAddress? Behind(MacAddress mac) => _segment.Fdb.Find(mac)?.Remotes.Single().Address;

    private VtepAddress[] Flood => [.. _segment.Fdb.Default.Remotes.Select(static remote => remote.Address)];

    private MacAddress? MacOf(string address) => _segment.Neighbours.TryGet(Ip(address), out var neighbour) ? neighbour.Mac : null;

    [Fact]
    public void Lists_hold_the_other_members_and_tables_the_endpoints_of_others()
    {
        Apply(Empty.With(1, 2, 3).With(1, "mine", 5, Mac(1), "10.1.0.11").With(2, "web", 6, Mac(2), "10.1.0.12", "fd00::12").With(3, "db", 7, Mac(3), "10.1.0.13"));
        Assert.Equal([At(2), At(3)], Flood);
        Assert.Equal((At(2), At(3), null), (Behind(Mac(2)), Behind(Mac(3)), Behind(Mac(1))));
        Assert.Equal((Mac(2), Mac(2), Mac(3)), (MacOf("10.1.0.12"), MacOf("fd00::12"), MacOf("10.1.0.13")));
        // Who is here answers for itself.
        Assert.Null(MacOf("10.1.0.11"));
        Assert.All(_segment.Fdb.Snapshot(0), static entry => Assert.Equal(EntryKind.Static, entry.Kind));
    }

    [Fact]
    public void What_did_not_change_is_not_touched()
    {
        var view = Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12").With(3, "db", 7, Mac(3), "10.1.0.13");
        Assert.Equal((6, 0, 0), Numbers(Apply(view)));
        var configured = new List<MacAddress>();
        var addresses = new List<InternetAddress>();
        _segment.Fdb.OnConfigured = configured.Add;
        _segment.Neighbours.OnConfigured = addresses.Add;
        Assert.False(Apply(view).Any);
        Assert.False(Apply(view, everything: true).Any);
        Assert.Equal((2, 0, 0), Numbers(Apply(view = view.With(2, "new", 8, Mac(4), "10.1.0.14"))));
        Assert.Equal((0, 0, 2), Numbers(Apply(view.Without(2, "web"))));
        Assert.Equal([Mac(4), Mac(2)], configured);
        Assert.Equal([Ip("10.1.0.14"), Ip("10.1.0.12")], addresses);
    }

    private static (int Added, int Changed, int Removed) Numbers(TableChanges changes) => (changes.Added, changes.Changed, changes.Removed);

    [Fact]
    public void A_newer_version_replaces_and_tells_who_and_when()
    {
        var view = Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12");
        Apply(view);
        Assert.True(_segment.Published.TryGet(_segment.Fdb.Show(Mac(2), 0)!, out var first));
        Assert.Equal(("h2", "web", 6L), (first.Host, first.Endpoint, first.Version));
        // It moved: here before it left there.
        Apply(view = view.With(3, "web", 9, Mac(2), "10.1.0.12"));
        Assert.Equal(At(3), Behind(Mac(2)));
        Assert.True(_segment.Published.TryGet(_segment.Fdb.Show(Mac(2), 0)!, out var now));
        Assert.Equal(("h3", 9L), (now.Host, now.Version));
        Assert.True(_segment.Published.TryGet(new Neighbour(Ip("10.1.0.12"), Mac(2)), out var neighbour));
        Assert.Equal("h3", neighbour.Host);
        Assert.Equal(["mac 02:00:00:00:00:02: claimed by web of h3 (version 9), which counts, and in vain by web of h2 (version 6)", "address 10.1.0.12: claimed by web of h3 (version 9), which counts, and in vain by web of h2 (version 6)"], _programmer.ConflictsOf("sl-100"));
        Apply(view.Without(2, "web"));
        Assert.Empty(_programmer.ConflictsOf("sl-100"));
        Assert.Equal(At(3), Behind(Mac(2)));
    }

    [Fact]
    public void A_stale_claim_does_not_win_because_the_newer_one_is_of_a_dead_host()
    {
        Apply(Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12").With(3, "web", 9, Mac(2), "10.1.0.12"));
        _down.Add("h3");
        Apply(Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12").With(3, "web", 9, Mac(2), "10.1.0.12"));
        Assert.Null(Behind(Mac(2)));
        Assert.Null(MacOf("10.1.0.12"));
    }

    [Fact]
    public void A_newer_claim_of_another_host_beats_ours_and_an_older_one_does_not()
    {
        Apply(Empty.With(1, 2).With(1, "mine", 5, Mac(1), "10.1.0.11").With(2, "theirs", 4, Mac(1), "10.1.0.11"));
        Assert.Null(Behind(Mac(1)));
        Apply(Empty.With(1, 2).With(1, "mine", 5, Mac(1), "10.1.0.11").With(2, "theirs", 8, Mac(1), "10.1.0.11"));
        Assert.Equal(At(2), Behind(Mac(1)));
    }

    [Fact]
    public void An_address_leads_to_its_winner_and_not_to_a_station_that_is_another_s()
    {
        var view = Empty.With(1, 2, 3).With(2, "a", 4, Mac(2), "10.1.0.12").With(3, "b", 6, Mac(3), "10.1.0.12");
        Apply(view);
        Assert.Equal(Mac(3), MacOf("10.1.0.12"));
        Assert.Equal((At(2), At(3)), (Behind(Mac(2)), Behind(Mac(3))));
        // b loses its MAC to h2: nobody is to be told that 10.1.0.12 is there.
        Apply(view.With(2, "c", 9, Mac(3)));
        Assert.Null(MacOf("10.1.0.12"));
    }

    [Fact]
    public void A_dead_VTEP_leaves_and_comes_back()
    {
        var view = Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12").With(3, "db", 7, Mac(3), "10.1.0.13");
        Apply(view);
        _down.Add("h2");
        Assert.Equal((0, 0, 3), Numbers(Apply(view)));
        Assert.Equal([At(3)], Flood);
        Assert.Equal((null, null, At(3)), (Behind(Mac(2)), MacOf("10.1.0.12"), Behind(Mac(3))));
        _down.Clear();
        Assert.Equal((3, 0, 0), Numbers(Apply(view)));
        Assert.Equal(At(2), Behind(Mac(2)));
    }

    [Fact]
    public void A_host_that_leaves_or_moves_takes_its_entries_along()
    {
        var view = Empty.With(1, 2).With(2, "web", 6, Mac(2), "10.1.0.12");
        Apply(view);
        var moved = view with { Members = view.Members.SetItem("h2", new Published<MemberRecord>(new MemberRecord(Ip("192.0.2.77"), 4790), "h2", 12)) };
        Apply(moved);
        Assert.Equal(new VtepAddress(Ip("192.0.2.77"), 4790), Behind(Mac(2)));
        Assert.Equal([new VtepAddress(Ip("192.0.2.77"), 4790)], Flood);
        Apply(view.Without(2));
        Assert.Null(Behind(Mac(2)));
        Assert.Empty(Flood);
    }

    [Fact]
    public void A_network_that_was_removed_leaves_nothing()
    {
        var view = Empty.With(1, 2).With(2, "web", 6, Mac(2), "10.1.0.12");
        Apply(view);
        Apply(view with { Record = null });
        Assert.Empty(_segment.Fdb.Snapshot(0));
        Assert.Empty(_segment.Neighbours.Snapshot());
        Assert.Empty(_segment.Published.Stations);
    }

    [Fact]
    public void Entries_of_the_operator_stand_and_are_told()
    {
        _segment.Fdb.Add(Mac(2), At(9), new Vni(100), EntryKind.Permanent, 0);
        _segment.Fdb.Append(MacAddress.Zero, At(8), new Vni(100), EntryKind.Permanent, 0);
        _segment.Neighbours.Add(new Neighbour(Ip("10.1.0.12"), Mac(9)));
        var view = Empty.With(1, 2).With(2, "web", 6, Mac(2), "10.1.0.12");
        var changes = _programmer.Apply(_segment, view, Self, IsUp);
        Assert.Equal(At(9), Behind(Mac(2)));
        Assert.Equal(Mac(9), MacOf("10.1.0.12"));
        Assert.Equal([At(8), At(2)], Flood);
        Assert.Equal(2, changes.Conflicts.Count);
        Assert.Equal([("different", "fdb"), ("different", "neigh")], Audit(view).Select(static each => (each.What, each.Table)));
        _programmer.Apply(_segment, Empty, Self, IsUp);
        Assert.Equal(At(9), Behind(Mac(2)));
        Assert.Equal([At(8)], Flood);
        // Once it is out of the way what was published gets in with the next look at everything.
        _programmer.Apply(_segment, view, Self, IsUp);
        _segment.Fdb.Delete(Mac(2), null, default, 0);
        _segment.Neighbours.Delete(Ip("10.1.0.12"));
        Apply(view, everything: true);
        Assert.Equal(At(2), Behind(Mac(2)));
    }

    [Fact]
    public void What_somebody_removed_is_missed_by_the_audit_and_put_back_by_a_look_at_everything()
    {
        var view = Empty.With(1, 2).With(2, "web", 6, Mac(2), "10.1.0.12");
        Apply(view);
        _segment.Fdb.Delete(Mac(2), null, default, 0);
        _segment.Neighbours.Delete(Ip("10.1.0.12"));
        _segment.Fdb.Delete(MacAddress.Zero, At(2), new Vni(100), 0);
        Assert.Equal([("missing", "fdb"), ("missing", "flood"), ("missing", "neigh")], Audit(view).Select(static each => (each.What, each.Table)));
        Apply(view, everything: true);
    }

    [Fact]
    public void What_is_published_beats_what_was_learned()
    {
        _segment.Fdb.Append(MacAddress.Zero, At(5), new Vni(100), EntryKind.Permanent, 0);
        _segment.Fdb.Learn(Mac(2), At(5).Address, Vtep.NowMilliseconds);
        _segment.Fdb.Learn(Mac(7), At(5).Address, Vtep.NowMilliseconds);
        var view = Empty.With(1, 2).With(2, "web", 6, Mac(2));
        _programmer.Apply(_segment, view, Self, IsUp);
        Assert.Equal(At(2), Behind(Mac(2)));
        Assert.Equal(LearnResult.Conflict, _segment.Fdb.Learn(Mac(2), At(5).Address, Vtep.NowMilliseconds));
        Assert.Equal(new TableDifference("surplus", "fdb", $"{Mac(7)}", null, $"{At(5)}", "learned"), Assert.Single(Audit(view)));
    }

    [Fact]
    public void Hostile_records_change_nothing_and_are_told()
    {
        var view = Empty.With(1, 2)
            .With(2, "gateway", 6, Mac("02:53:4c:00:00:64"), "10.1.0.1").With(2, "group", 7, Mac("ff:ff:ff:ff:ff:ff"), "255.255.255.255", "224.0.0.1", "0.0.0.0", "::1")
            .With(9, "stranger", 8, Mac(5), "10.1.0.15");
        foreach (var (host, vtep) in new[] { ("h3", "192.0.2.1"), ("h4", "fd00::4"), ("h5", "224.0.0.1"), ("h6", "0.0.0.0") })
            view = view with { Members = view.Members.Add(host, new Published<MemberRecord>(new MemberRecord(Ip(vtep), 4789), host, 1)) };
        var changes = Apply(view);
        Assert.Equal([At(2)], Flood);
        Assert.Equal(1, _segment.Fdb.Count);
        Assert.Empty(_segment.Neighbours.Snapshot());
        Assert.All((string[])["h3", "h4", "h5", "h6"], host => Assert.Contains(changes.Conflicts, line => line.StartsWith($"host {host}:", StringComparison.Ordinal)));
        Assert.Empty(Apply(view).Conflicts);
    }

    [Fact]
    public void A_segment_that_took_the_place_of_another_is_gone_on_with()
    {
        var view = Empty.With(1, 2, 3).With(2, "web", 6, Mac(2), "10.1.0.12");
        Apply(view);
        var next = NewSegment();
        next.TakeOver(_segment, Vtep.NowMilliseconds);
        Assert.False(_programmer.Apply(next, view, Self, IsUp).Any);
        Assert.Equal((0, 0, 3), Numbers(_programmer.Apply(next, view.Without(2), Self, IsUp)));
    }

    [Fact]
    public void Whatever_happens_in_whatever_order_tables_are_what_was_published()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var segment = NewSegment();
            var programmer = new TableProgrammer();
            var down = new HashSet<string>();
            var view = Empty.With(1);
            for (var step = 0; step < 300; step++)
            {
                for (var change = random.Next(1, 4); change > 0; change--)
                {
                    var host = random.Next(1, 6);
                    var id = $"e{random.Next(4)}";
                    view = random.Next(7) switch
                    {
                        0 => view.With(host),
                        1 => view.Without(host),
                        2 => view.Without(host, id),
                        3 when random.Next(10) == 0 => view with { Record = view.Record is null ? Empty.Record : null },
                        3 => Flip(view, down, $"h{host}"),
                        _ => view.With(host, id, step, Mac(random.Next(1, 9)), [.. Enumerable.Range(0, random.Next(3)).Select(_ => $"10.1.0.{random.Next(1, 12)}")]),
                    };
                }

                var isUp = (string name) => !down.Contains(name);
                programmer.Apply(segment, view, Self, isUp, everything: random.Next(10) == 0);
                var differences = TableAudit.Compare(segment, view, Self, isUp, Vtep.NowMilliseconds);
                Assert.True(differences.Count == 0, $"seed {seed}, step {step}: {string.Join("; ", differences)}");
            }
        }

        static NetworkView Flip(NetworkView view, HashSet<string> down, string host)
        {
            if (!down.Remove(host)) down.Add(host);
            return view;
        }
    }
}
