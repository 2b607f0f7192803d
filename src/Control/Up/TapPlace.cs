using System.Collections.Concurrent;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Up;

/// <summary>A network namespace that TAPs are in: its configuration, and the watch over its links.</summary>
internal sealed class TapPlace : IDisposable
{
    private readonly NetworkNamespace? _namespace;
    // By the index of the link.
    private readonly ConcurrentDictionary<int, OverlayDevice> _devices = new();
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

    /// <summary>TAPs that are held here.</summary>
    public int Devices => _devices.Count;

    /// <summary>Makes or adopts a TAP here; it is the caller's, who takes it out (<see cref="Forget"/>) before it is closed.</summary>
    /// <inheritdoc cref="OverlayDevice.Make"/>
    public OverlayDevice Make(UpSegment segment, int queues, int mtu, DeviceLife life, IReadOnlyList<FileDescriptor> passed)
    {
        var device = OverlayDevice.Make(Host, _namespace, segment, queues, mtu, life, passed);
        _devices[device.Link.Index] = device;
        return device;
    }

    /// <summary>Begins to watch the links of the TAPs that are made here, before or after this.</summary>
    /// <param name="onChange">Called on a thread of the watch, one at a time; must not throw.</param>
    /// <param name="onFault">Called there if the watch ends.</param>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public void Watch(Action<OverlayDevice, LinkChange> onChange, Action<IOException> onFault) =>
        _monitor ??= LinkMonitor.Start(_namespace, [], change => Tell(change, onChange), onFault);

    /// <summary>Watches one TAP.</summary>
    public void Watch(OverlayDevice device) => _monitor?.Add(device.Link);

    private void Tell(LinkChange change, Action<OverlayDevice, LinkChange> onChange)
    {
        // One that was taken out meanwhile is nobody's business any more.
        if (_devices.TryGetValue(change.Now.Index, out var device)) onChange(device, change);
    }

    /// <summary>Watches a TAP no more.</summary>
    public void Forget(OverlayDevice device)
    {
        _devices.TryRemove(device.Link.Index, out _);
        _monitor?.Remove(device.Link.Index);
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
