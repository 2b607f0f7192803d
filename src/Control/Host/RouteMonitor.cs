using System.Diagnostics;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>
/// Tells when links, addresses, routes or rules of the calling thread's namespace changed, and once a second in any case, on a thread of its own. What
/// changed is not said: a notification of the kernel is only a nudge to read afresh, so that none can leave a wrong picture. Notifications that come
/// close together are one.
/// </summary>
internal sealed class RouteMonitor : IDisposable
{
    /// <summary>From one turn without a change to the next.</summary>
    public const int TurnMilliseconds = 1000;

    private const int NotificationTag = 0;

    // A route that is replaced is deleted first, and a daemon changes many at once.
    private const int SettleMilliseconds = 50;

    // However many changes there are, reading them takes no more than a tenth of a core.
    private const int PauseFactor = 10;

    private static readonly int[] Groups =
    [
        LibC.RTNLGRP_LINK, LibC.RTNLGRP_IPV4_IFADDR, LibC.RTNLGRP_IPV4_ROUTE, LibC.RTNLGRP_IPV4_RULE,
        LibC.RTNLGRP_IPV6_IFADDR, LibC.RTNLGRP_IPV6_ROUTE, LibC.RTNLGRP_IPV6_RULE,
    ];

    private readonly NetlinkSocket _notifications;
    private readonly EventPoll _poll = new();
    private readonly Action<bool> _onTurn;
    private readonly Action<IOException> _onFault;
    private readonly Thread _thread;
    private volatile bool _stopping;

    private RouteMonitor(Action<bool> onTurn, Action<IOException> onFault)
    {
        _onTurn = onTurn;
        _onFault = onFault;
        _notifications = new NetlinkSocket();
        _thread = new Thread(Watch) { IsBackground = true, Name = "route monitor" };
    }

    /// <summary>Starts to watch.</summary>
    /// <param name="onTurn">Called on the monitor's thread; true if something may have changed.</param>
    /// <param name="onFault">Called on the monitor's thread if a call failed; the monitor ends with it.</param>
    /// <exception cref="ErrnoException">No descriptors left.</exception>
    public static RouteMonitor Start(Action<bool> onTurn, Action<IOException> onFault)
    {
        var monitor = new RouteMonitor(onTurn, onFault);
        try
        {
            foreach (var group in Groups) monitor._notifications.Join(group);
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

    /// <summary>Stops; when it returns no callback runs or will run. Not from a callback.</summary>
    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        _poll.Wake();
        _thread.Join();
        Close();
    }

    private void Watch()
    {
        Span<int> ready = stackalloc int[1];
        try
        {
            // The first turn reads what changed since whoever started this read it.
            for (var changed = true; !_stopping; changed = _poll.Wait(ready, TurnMilliseconds) > 0)
            {
                if (_stopping) break;
                if (changed) Settle();
                if (_stopping) break;
                var start = Stopwatch.GetTimestamp();
                _onTurn(changed);
                var took = (int)Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                if (took > SettleMilliseconds / PauseFactor) Pause(took * PauseFactor);
            }
        }
        catch (IOException exception)
        {
            if (!_stopping) _onFault(exception);
        }
    }

    private void Settle()
    {
        Pause(SettleMilliseconds);
        // Whether some were lost is no matter: all is read afresh.
        _notifications.Drain(static (in _) => { });
    }

    private void Pause(int milliseconds)
    {
        for (var end = Environment.TickCount64 + milliseconds; !_stopping && Environment.TickCount64 < end;) Thread.Sleep(10);
    }

    private void Close()
    {
        _poll.Dispose();
        _notifications.Dispose();
    }
}
