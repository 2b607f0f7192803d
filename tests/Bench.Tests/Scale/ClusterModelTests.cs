using Sleeve.Bench.ClusterScale.Measure;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Bench.ClusterScale.Report;
using Sleeve.Bench.ClusterScale.Roles;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.Tests.Scale;

/// <summary>The clusters that bench/scale measures are ones that could be: every key is understood, nothing contradicts anything, and the sums are as they say.</summary>
public sealed class ClusterModelTests
{
    private static ClusterView ViewOf(ClusterModel model, out int keys)
    {
        var writes = Enumerable.Range(0, model.Networks).SelectMany(model.OfNetwork).Concat(Enumerable.Range(0, model.Peers).SelectMany(model.OfHost))
            .Concat(Enumerable.Range(0, model.Peers).SelectMany(host => Enumerable.Range(0, model.EndpointsOfAHost).SelectMany(number => model.OfEndpoint(host, number)))).ToArray();
        // No key is written twice: no address, MAC or VNI is anybody's else.
        keys = writes.Select(static write => write.Key).Distinct().Count();
        Assert.Equal(writes.Length, keys);
        var edit = new ViewEdit(ClusterView.Empty);
        edit.SetAll([.. writes.Select(static write => new StoreEntry(write.Key, write.Value!, 1, 1, 0))]);
        return edit.Finish(1, out _);
    }

    [Theory]
    [InlineData(10, 10, 10, 10)]
    [InlineData(40, 20, 20, 20)]
    [InlineData(12, 100, 1, 12)]
    public void A_cluster_is_one_that_could_be(int peers, int endpoints, int networks, int members)
    {
        var model = new ClusterModel(peers, endpoints, networks);
        var view = ViewOf(model, out var keys);
        Assert.Empty(view.Faults);
        // The signs of life are beside it.
        Assert.Equal(model.Keys, keys + peers);
        Assert.Equal((peers, networks, members), (view.Peers.Count, view.Networks.Count, model.Members));
        foreach (var (name, network) in view.Networks)
        {
            Assert.Equal(members, network.Members.Count);
            Assert.Equal(model.Endpoints / networks, network.Endpoints.Count);
            Assert.All(network.Endpoints, each => Assert.True(network.Members.ContainsKey(each.Key.Host)));
            Assert.All(network.Endpoints, each => Assert.True(network.Holds(each.Key.Host, each.Key.Id, each.Value.Value.Addresses.Single()), name));
            // Every address is in a block of its host.
            var blocks = network.Blocks.ToDictionary(static each => each.Key, static each => each.Value.Host);
            Assert.Equal(members, blocks.Values.Distinct().Count());
        }
    }

    [Fact]
    public void Its_tables_have_all_endpoints_of_others_and_no_conflict()
    {
        var model = new ClusterModel(12, 100, 1);
        var view = ViewOf(model, out _).Networks[ClusterModel.NetworkOf(0)];
        var segment = new Segment(new SegmentOptions { Vni = ClusterModel.VniOf(0), Name = "sl-1000", GatewayMac = LocalNetwork.GatewayMacOf(ClusterModel.VniOf(0)) }, new VtepAddress(ClusterModel.VtepOf(0), 4789));
        var changes = new TableProgrammer().Apply(segment, view, ClusterModel.HostOf(0), static _ => true);
        Assert.Empty(changes.Conflicts);
        Assert.Empty(TableAudit.Compare(segment, view, ClusterModel.HostOf(0), static _ => true, Vtep.NowMilliseconds));
        Assert.Equal((11 * 100) + 1, segment.Fdb.Count);
    }

    [Fact]
    public void What_comes_is_new_and_what_goes_is_what_came()
    {
        var model = new ClusterModel(10, 10, 10);
        var there = Enumerable.Range(0, 10).SelectMany(host => Enumerable.Range(0, 10).SelectMany(number => model.OfEndpoint(host, number))).Select(static write => write.Key).ToHashSet();
        var arrival = ClusterModel.Arrival(3, 4, 65_535);
        Assert.DoesNotContain(arrival, write => there.Contains(write.Key));
        Assert.Equal(arrival.Select(static write => write.Key), ClusterModel.Departure(3, 4, 65_535).Select(static write => write.Key));
        Assert.Equal(3, ClusterModel.Commit(arrival).Conditions.Count);
        Assert.Empty(ClusterModel.Commit(ClusterModel.Departure(3, 4, 65_535)).Conditions);
    }

    [Fact]
    public void Lines_of_watches_tell_their_last_change()
    {
        Assert.Equal(17, WatcherRole.RevisionOf("{\"result\":{\"header\":{\"revision\":\"19\"},\"events\":[{\"kv\":{\"mod_revision\":\"16\"}},{\"kv\":{\"mod_revision\":\"17\"}}]}}"u8));
        Assert.Null(WatcherRole.RevisionOf("{\"result\":{\"header\":{\"revision\":\"19\"}}}"u8));
        Assert.Null(WatcherRole.RevisionOf("{\"result\":{\"header\":{\"revision\":\"19\"},\"fragment\":true,\"events\":[{\"kv\":{\"mod_revision\":\"17\"}}]}}"u8));
    }

    [Fact]
    public void Counters_and_figures_are_read_as_they_are_written()
    {
        Assert.Equal(new Loopback(1234, 5), Loopback.Parse("Inter-|   Receive\n face |bytes packets\n    lo:    1234       5    0    0    0     0          0         0     1234       5\n  eth0: 1 2\n"));
        Assert.Equal(0.5, RoleLines.Read("at revision=7 ticks=0.5")["ticks"]);
        Assert.Equal(("120 µs", "1.2 ms", "12 ms", "1.2 s"), (ScaleTable.Time(0.12), ScaleTable.Time(1.2), ScaleTable.Time(12), ScaleTable.Time(1234)));
    }
}
