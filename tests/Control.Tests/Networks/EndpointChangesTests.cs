using System.Globalization;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.Views;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Networks;

/// <summary>A change costs what changed: views say in what they differ, and tables are programmed by that. Whoever goes by it has the tables of one who looks at everything.</summary>
public sealed class EndpointChangesTests
{
    private ClusterView _view = ClusterView.Empty;
    private long _revision;

    private NetworkView Network => _view.Networks["net"];

    private NetworkView Change(params ReadOnlySpan<(string Key, string? Value)> writes)
    {
        _revision++;
        var edit = new ViewEdit(_view);
        foreach (var (key, value) in writes) edit.Set(key, value is null ? null : new StoreEntry(key, value, _revision, _revision, 0));
        _view = edit.Finish(_revision, out _);
        return Network;
    }

    private static (string Key, string? Value) Endpoint(int host, string id, MacAddress mac, string address) =>
        (ClusterKeys.Endpoint($"h{host}", "net", id), RecordJson.Write(new EndpointRecord(id, mac, [Ip(address)]) { Vtep = At(host).Address }));

    private NetworkView Begin()
    {
        Change((ClusterKeys.Network("net"), RecordJson.Write(Views.Record)));
        for (var host = 1; host <= 4; host++) Change((ClusterKeys.Member($"h{host}", "net"), RecordJson.Write(new MemberRecord(At(host).Address, 4789))));
        return Network;
    }

    [Fact]
    public void A_view_says_in_what_its_endpoints_differ_from_those_before()
    {
        var before = Begin();
        var after = Change(Endpoint(2, "web", Mac(2), "10.1.0.12"), Endpoint(3, "db", Mac(3), "10.1.0.13"));
        Assert.Same(before.Endpoints, after.Changes!.Before);
        Assert.Equal([("h2", "web"), ("h3", "db")], after.Changes.Keys.Order());
        Assert.Equal([("h2", "web")], Change((ClusterKeys.Endpoint("h2", "net", "web"), null)).Changes!.Keys);
        // What all is read anew for, or is much, is looked at as a whole.
        var edit = new ViewEdit(ClusterView.Empty);
        var (key, value) = Endpoint(2, "web", Mac(2), "10.1.0.12");
        edit.SetAll([new StoreEntry(key, value!, 1, 1, 0)]);
        Assert.Null(edit.Finish(1, out _).Networks["net"].Changes);
        Assert.Null(Change([.. Enumerable.Range(0, EndpointChanges.MaxKeys + 1).Select(static number => Endpoint(2, string.Create(CultureInfo.InvariantCulture, $"c{number}"), Mac(5000 + number), "10.1.0.12"))]).Changes);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(3, 3)]
    public void Tables_programmed_by_changes_are_those_of_one_who_looks_at_everything(int seed, int passedOver)
    {
        var random = new Random(seed);
        var (segment, programmer) = (NewSegment(), new TableProgrammer());
        var down = new HashSet<string>();
        programmer.Apply(segment, Begin(), Self, host => !down.Contains(host));
        for (var step = 0; step < 400; step++)
        {
            // Few MACs and addresses for many endpoints: they get into each other's way, and one's end is another's chance.
            var (host, id) = (random.Next(1, 5), string.Create(CultureInfo.InvariantCulture, $"c{random.Next(6)}"));
            var view = random.Next(3) == 0
                ? Change((ClusterKeys.Endpoint($"h{host}", "net", id), null))
                : Change(Endpoint(host, id, Mac(10 + random.Next(8)), string.Create(CultureInfo.InvariantCulture, $"10.1.0.{20 + random.Next(8)}")));
            if (random.Next(8) == 0 && !down.Remove("h3")) down.Add("h3");
            if (passedOver > 0 && random.Next(passedOver) == 0) continue;
            programmer.Apply(segment, view, Self, each => !down.Contains(each));
            Assert.Empty(TableAudit.Compare(segment, view, Self, each => !down.Contains(each), Vtep.NowMilliseconds));
        }
    }

    [Fact]
    public void What_others_do_to_tables_is_counted_and_seen_at_the_next_look_at_everything()
    {
        var (segment, programmer) = (NewSegment(), new TableProgrammer());
        Begin();
        var view = Change(Endpoint(2, "web", Mac(2), "10.1.0.12"), Endpoint(3, "db", Mac(3), "10.1.0.13"));
        programmer.Apply(segment, view, Self, static _ => true);
        Assert.False(programmer.Apply(segment, view, Self, static _ => true, everything: true).Any);
        segment.Fdb.Delete(Mac(2), null, segment.Options.Vni, Vtep.NowMilliseconds);
        // A change of something else in between does not make up for it, and does not hide it.
        view = Change(Endpoint(4, "new", Mac(4), "10.1.0.14"));
        programmer.Apply(segment, view, Self, static _ => true);
        Assert.NotEmpty(TableAudit.Compare(segment, view, Self, static _ => true, Vtep.NowMilliseconds));
        Assert.True(programmer.Apply(segment, view, Self, static _ => true, everything: true).Any);
        segment.Neighbours.Delete(Ip("10.1.0.13"));
        Assert.True(programmer.Apply(segment, view, Self, static _ => true, everything: true).Any);
        Assert.Empty(TableAudit.Compare(segment, view, Self, static _ => true, Vtep.NowMilliseconds));
        var (fdb, neighbours) = (segment.Fdb.Changes, segment.Neighbours.Changes);
        Assert.False(programmer.Apply(segment, view, Self, static _ => true, everything: true).Any);
        Assert.Equal((fdb, neighbours), (segment.Fdb.Changes, segment.Neighbours.Changes));
    }
}
