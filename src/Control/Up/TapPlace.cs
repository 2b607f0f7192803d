using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Up;

/// <summary>A network namespace that TAPs are in: its configuration, and the watch over its links.</summary>
internal sealed class TapPlace : IDisposable
{
    private readonly NetworkNamespace? _namespace;
    private readonly List<OverlayDevice> _devices = [];
    private LinkMonitor? _monitor;

    private TapPlace(NetworkNamespace? @namespace, RouteNetlink host)
    {
        _namespace = @namespace;
        Host = host;
    }

    /// <summary>Its configuration.</summary>
    public RouteNetlink Host { get; }

    /// <summary>Opens a namespace.</summary>
    /// <param name="name">A name, a path or a process; null for the current one.</param>
    /// <exception cref="HostException">There is no such namespace, or no right to enter it.</exception>
    public static TapPlace Open(string? name)
    {
        var opened = name is null ? null : NetworkNamespace.Open(name);
        try
        {
            // Of an ordinary user's: the TAPs are in a user namespace of theirs then.
            opened?.UseAgentIfNeeded(OwnProgram.AgentWords);
            return new TapPlace(opened, RouteNetlink.Open(opened));
        }
        catch
        {
            opened?.Dispose();
            throw;
        }
    }

    /// <summary>Makes or adopts a TAP here; it is the caller's, who disposes it before this.</summary>
    /// <inheritdoc cref="OverlayDevice.Make"/>
    public OverlayDevice Make(UpSegment segment, int queues, int mtu)
    {
        var device = OverlayDevice.Make(Host, _namespace, segment, queues, mtu);
        _devices.Add(device);
        return device;
    }

    /// <summary>Watches the links of the TAPs made so far.</summary>
    /// <inheritdoc cref="LinkMonitor.Start"/>
    public void Watch(Action<OverlayDevice, LinkChange> onChange, Action<IOException> onFault)
    {
        var byIndex = _devices.ToDictionary(static device => device.Link.Index);
        _monitor = LinkMonitor.Start(_namespace, byIndex.Keys, change => onChange(byIndex[change.Now.Index], change), onFault);
    }

    /// <summary>Sets the TAPs up.</summary>
    public void SetUp()
    {
        foreach (var device in _devices) device.SetUp();
    }

    /// <summary>Ends the watch; what is left is undone without being reported.</summary>
    public void StopWatching() => _monitor?.Dispose();

    /// <inheritdoc/>
    public void Dispose()
    {
        _monitor?.Dispose();
        Host.Dispose();
        _namespace?.Dispose();
    }
}
