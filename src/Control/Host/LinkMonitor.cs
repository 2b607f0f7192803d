using System.Collections.Concurrent;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>What became different about a link.</summary>
[Flags]
internal enum LinkChanges
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Set up or down.</summary>
    Up = 1,

    /// <summary>Carrier came or went.</summary>
    Carrier = 2,

    /// <summary>The MTU.</summary>
    Mtu = 4,

    /// <summary>The MAC address.</summary>
    Mac = 8,

    /// <summary>The name.</summary>
    Name = 16,

    /// <summary>Became, or is no longer, a port of a bridge.</summary>
    Master = 32,

    /// <summary>Gone: deleted, or moved to another namespace. The last that is heard of it.</summary>
    Deleted = 64,
}

/// <summary>A change of a watched link.</summary>
/// <param name="Changes">What is different.</param>
/// <param name="Before">The link as it was known.</param>
/// <param name="Now">The link as it is; as it was, if deleted.</param>
internal sealed record LinkChange(LinkChanges Changes, LinkInfo Before, LinkInfo Now);

/// <summary>
/// Watches links for changes, on a thread of its own. A notification of the kernel is only a nudge: the link is then read afresh, so that an
/// overrun (ENOBUFS) or a stale notification cannot leave a wrong picture. The price: what changes and changes back at once may not be seen.
/// </summary>
internal sealed class LinkMonitor : IDisposable
{
    private const int NotificationTag = 0;

    private readonly Dictionary<int, LinkInfo> _known = [];
    private readonly HashSet<int> _nudged = [];
    private readonly ConcurrentQueue<(int Index, LinkInfo? Link)> _orders = new();
    private readonly NetlinkSocket _notifications;
    private readonly RouteNetlink _host;
    private readonly EventPoll _poll = new();
    private readonly Action<LinkChange> _onChange;
    private readonly Action<IOException> _onFault;
    private readonly Thread _thread;
    private volatile bool _stopping;
    private bool _closesItself;

    private LinkMonitor(NetworkNamespace? where, Action<LinkChange> onChange, Action<IOException> onFault)
    {
        _onChange = onChange;
        _onFault = onFault;
        _notifications = NetlinkSocket.Open(where);
        _host = RouteNetlink.Open(where);
        _thread = new Thread(Watch) { IsBackground = true, Name = "link monitor" };
    }

    /// <summary>Starts to watch.</summary>
    /// <param name="where">The namespace of the links; null for the calling thread's. Only used during the call.</param>
    /// <param name="linkIndices">The links; one that is already gone is reported as an error here.</param>
    /// <param name="onChange">Called on the monitor's thread, one at a time; must not throw. It may call <see cref="Dispose"/>.</param>
    /// <param name="onFault">Called on the monitor's thread if the socket fails; the monitor ends with it.</param>
    /// <param name="receiveBufferBytes">The queue of notifications; 0 for the system's default.</param>
    /// <exception cref="HostException">There is no such link.</exception>
    public static LinkMonitor Start(
        NetworkNamespace? where, IReadOnlyCollection<int> linkIndices, Action<LinkChange> onChange, Action<IOException> onFault,
        int receiveBufferBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(linkIndices);
        var monitor = new LinkMonitor(where, onChange, onFault);
        try
        {
            if (receiveBufferBytes > 0) monitor._notifications.SetReceiveBuffer(receiveBufferBytes);
            // Subscribe first, read second: a change in between is then read, and its notification finds nothing new.
            monitor._notifications.Join(LibC.RTNLGRP_LINK);
            foreach (var index in linkIndices)
            {
                monitor._known[index] = monitor._host.FindLink(index)
                    ?? throw new HostException($"there is no interface {index} to watch", LibC.ENODEV);
            }

            monitor._poll.Add(monitor._notifications.Descriptor, NotificationTag);
        }
        catch (IOException)
        {
            monitor.Close();
            throw;
        }

        monitor._thread.Start();
        return monitor;
    }

    /// <summary>Watches one more link, from any thread: differences from what is known of it are told like changes, also that it is gone.</summary>
    public void Add(LinkInfo link)
    {
        _orders.Enqueue((link.Index, link));
        _poll.Wake();
    }

    /// <summary>Watches a link no more, from any thread; a callback about it may still be under way, or come once.</summary>
    public void Remove(int linkIndex)
    {
        _orders.Enqueue((linkIndex, null));
        _poll.Wake();
    }

    /// <summary>Stops at once; when it returns no callback runs or will run, unless it was called from one. Not from two threads at a time.</summary>
    public void Dispose()
    {
        if (_stopping) return;
        _closesItself = Thread.CurrentThread == _thread;
        _stopping = true;
        if (_closesItself) return;
        _poll.Wake();
        _thread.Join();
        Close();
    }

    private static LinkChanges Compare(LinkInfo before, LinkInfo now) =>
        (before.IsUp != now.IsUp ? LinkChanges.Up : 0)
        | (before.HasCarrier != now.HasCarrier ? LinkChanges.Carrier : 0)
        | (before.Mtu != now.Mtu ? LinkChanges.Mtu : 0)
        | (before.Mac != now.Mac ? LinkChanges.Mac : 0)
        | (before.Name != now.Name ? LinkChanges.Name : 0)
        | (before.MasterIndex != now.MasterIndex ? LinkChanges.Master : 0);

    private void Watch()
    {
        Span<int> ready = stackalloc int[1];
        try
        {
            while (!_stopping)
            {
                _poll.Wait(ready, Timeout.Infinite);
                if (_stopping) break;
                while (_orders.TryDequeue(out var order)) Obey(order.Index, order.Link);
                if (!_notifications.Drain(Nudge)) _nudged.UnionWith(_known.Keys);
                foreach (var index in _nudged)
                {
                    if (_stopping) break;
                    if (_known.ContainsKey(index)) Refresh(index);
                }

                _nudged.Clear();
            }
        }
        catch (IOException exception)
        {
            if (!_stopping) _onFault(exception);
        }
        finally
        {
            if (_closesItself) Close();
        }
    }

    private void Obey(int index, LinkInfo? link)
    {
        if (link is null)
        {
            _known.Remove(index);
            return;
        }

        _known[index] = link;
        _nudged.Add(index);
    }

    private void Nudge(in NetlinkMessage message)
    {
        if (message.TryRead(out LibC.ifinfomsg header, out _) && _known.ContainsKey(header.ifi_index)) _nudged.Add(header.ifi_index);
    }

    private void Refresh(int index)
    {
        var before = _known[index];
        if (_host.FindLink(index) is not { } now)
        {
            _known.Remove(index);
            _onChange(new LinkChange(LinkChanges.Deleted, before, before));
            return;
        }

        _known[index] = now;
        var changes = Compare(before, now);
        if (changes != LinkChanges.None) _onChange(new LinkChange(changes, before, now));
    }

    private void Close()
    {
        _poll.Dispose();
        _notifications.Dispose();
        _host.Dispose();
    }
}
