using System.Collections.Concurrent;
using System.Diagnostics;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Host;

public class LinkMonitorTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [SkippableFact]
    public void Reports_each_change_of_a_watched_link_and_of_no_other()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var link = host.CreateVethPair("a0", "b0");
        using var changes = new BlockingCollection<LinkChange>();
        using var monitor = LinkMonitor.Start(network.Namespace, [link.Index], changes.Add, static fault => throw fault);

        host.SetMtu(link.Index, 1400);
        var change = Next(changes);
        Assert.Equal((LinkChanges.Mtu, 1500, 1400), (change.Changes, change.Before.Mtu, change.Now.Mtu));
        host.SetMtu(host.GetLink("b0").Index, 1300);
        host.SetMac(link.Index, MacAddress.FromValue(0x02_00_00_00_00_01));
        Assert.Equal(LinkChanges.Mac, Next(changes).Changes);
        host.SetName(link.Index, "renamed0");
        change = Next(changes);
        Assert.Equal((LinkChanges.Name, "a0", "renamed0"), (change.Changes, change.Before.Name, change.Now.Name));
        host.SetUp(link.Index, true);
        Assert.True(Next(changes).Changes.HasFlag(LinkChanges.Up));
        var bridge = network.CreateOrSkip(static host => host.CreateBridge("br0"));
        host.SetMaster(link.Index, bridge.Index);
        Assert.Equal(LinkChanges.Master, Next(changes).Changes);
        // Leaving a bridge is announced as a deletion too, of the port: that must not be taken for the link's.
        host.SetMaster(link.Index, 0);
        Assert.Equal(LinkChanges.Master, Next(changes).Changes);
        host.DeleteLink(link.Index);
        Assert.True(NextOf(changes, LinkChanges.Deleted).Before.Index == link.Index);
        Assert.False(changes.TryTake(out _, 100));
    }

    [SkippableFact]
    public void A_link_moved_away_is_deleted_here()
    {
        using var here = TestNetwork.CreateOrSkip();
        using var there = TestNetwork.CreateOrSkip();
        var link = here.Host.CreateVethPair("a0", "b0");
        using var changes = new BlockingCollection<LinkChange>();
        using var monitor = LinkMonitor.Start(here.Namespace, [link.Index], changes.Add, static fault => throw fault);
        here.Host.MoveTo(link.Index, there.Namespace);
        NextOf(changes, LinkChanges.Deleted);
    }

    [SkippableFact]
    public void Has_the_right_picture_after_an_overrun()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var link = host.CreateVethPair("a0", "b0");
        var other = host.GetLink("b0");
        using var changes = new BlockingCollection<LinkChange>();
        using var mayGoOn = new ManualResetEventSlim();
        using var monitor = LinkMonitor.Start(
            network.Namespace, [link.Index],
            change =>
            {
                changes.Add(change);
                mayGoOn.Wait(Patience);
            },
            static fault => throw fault, receiveBufferBytes: 1);

        host.SetMtu(link.Index, 1400);
        Next(changes);
        // While the monitor is held up, far more happens than its queue takes; the last, which counts, is among what is lost.
        for (var i = 0; i < 200; i++) host.SetMtu(other.Index, 1000 + i);
        host.SetMtu(link.Index, 1234);
        mayGoOn.Set();
        Assert.Equal(1234, Next(changes).Now.Mtu);
    }

    [SkippableFact]
    public void Stops_promptly_also_from_its_own_callback()
    {
        using var network = TestNetwork.CreateOrSkip();
        var link = network.Host.CreateVethPair("a0", "b0");
        var monitor = LinkMonitor.Start(network.Namespace, [link.Index], static _ => { }, static fault => throw fault);
        var watch = Stopwatch.StartNew();
        monitor.Dispose();
        monitor.Dispose();
        Assert.InRange(watch.ElapsedMilliseconds, 0, 1000);

        using var called = new ManualResetEventSlim();
        LinkMonitor? own = null;
        own = LinkMonitor.Start(
            network.Namespace, [link.Index],
            _ =>
            {
                own!.Dispose();
                called.Set();
            },
            static fault => throw fault);
        network.Host.SetMtu(link.Index, 1400);
        Assert.True(called.Wait(Patience));
    }

    [SkippableFact]
    public void Refuses_to_watch_what_is_not_there()
    {
        using var network = TestNetwork.CreateOrSkip();
        var exception = Assert.Throws<HostException>(() => LinkMonitor.Start(network.Namespace, [99], static _ => { }, static _ => { }));
        Assert.Equal("there is no interface 99 to watch", exception.Message);
    }

    private static LinkChange Next(BlockingCollection<LinkChange> changes)
    {
        Assert.True(changes.TryTake(out var change, Patience), "no change was reported");
        return change;
    }

    private static LinkChange NextOf(BlockingCollection<LinkChange> changes, LinkChanges wanted)
    {
        while (true)
        {
            var change = Next(changes);
            if (change.Changes.HasFlag(wanted)) return change;
        }
    }
}
