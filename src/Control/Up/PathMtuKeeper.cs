using Sleeve.Control.Host;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>How path MTUs are kept.</summary>
internal sealed record PathMtuOptions
{
    /// <summary>Seconds after which a learned path MTU is forgotten if nothing else is said: RFC 1191, section 6.3, and the kernel's own.</summary>
    public const int DefaultTimeToLive = 600;

    /// <summary>Seconds after which a learned path MTU is forgotten (--pmtu-ttl), 1 to 86400. Default 600.</summary>
    public int TimeToLiveSeconds { get; init; } = DefaultTimeToLive;

    /// <summary>Seconds from one probe of a path to the next (--pmtu-probe), 5 to 86400; 0 for none. Default 0.</summary>
    public int ProbeSeconds { get; init; }
}

/// <summary>
/// Keeps the path MTU of every remote of every segment: from the route to it, followed as links, addresses and routes change; from what the kernel
/// learned of it by ICMP, and from probes if there are any; remotes that are learned at run time within a second.
/// </summary>
internal sealed class PathMtuKeeper : IDisposable
{
    // Read again in each turn, one after the other: what the kernel learns it does not notify of.
    private const int ReadAgain = 64;

    private readonly Func<IEnumerable<Segment>> _segments;
    private readonly RouteNetlink _host;
    private readonly RouteMtuReader _reader;
    private readonly PathMtuOptions _options;
    private readonly Func<long> _clock;
    private readonly Dictionary<PathKey, Path> _paths = [];
    private readonly List<PathKey> _keys = [];
    private readonly PathMtuProber? _prober;
    private readonly ushort _port;
    private readonly int _linkIndex;
    private RouteMonitor? _monitor;
    private int _next;

    private PathMtuKeeper(Func<IEnumerable<Segment>> segments, VtepAddress self, int linkIndex, PathMtuOptions options, Func<long> clock)
    {
        _segments = segments;
        _port = self.Port;
        _linkIndex = linkIndex;
        _options = options;
        _clock = clock;
        _host = RouteNetlink.Open();
        _reader = new RouteMtuReader(_host, self.Address);
        if (options.ProbeSeconds > 0) _prober = new PathMtuProber(self.Address, options.ProbeSeconds);
    }

    /// <summary>Reads everything once, in the calling thread's namespace, and goes on watching.</summary>
    /// <param name="segments">Whose remotes; asked in each turn.</param>
    /// <param name="self">The address that datagrams are sent from, unspecified for any, and the port that they are sent to.</param>
    /// <param name="linkIndex">The interface that datagrams are sent by where no FDB entry says otherwise; 0 lets the route decide.</param>
    /// <param name="options">How.</param>
    /// <param name="clock">Milliseconds.</param>
    /// <param name="onFault">Called if watching failed: path MTUs stay as they are then.</param>
    public static PathMtuKeeper Start(
        Func<IEnumerable<Segment>> segments, VtepAddress self, int linkIndex, PathMtuOptions options, Func<long> clock, Action<IOException> onFault)
    {
        var keeper = new PathMtuKeeper(segments, self, linkIndex, options, clock);
        try
        {
            keeper.Turn(changed: true);
            keeper._monitor = RouteMonitor.Start(keeper.Turn, onFault);
            return keeper;
        }
        catch (IOException)
        {
            keeper.Dispose();
            throw;
        }
    }

    private void Turn(bool changed)
    {
        var now = _clock();
        Collect();
        if (changed) _reader.Forget();
        for (var i = 0; i < _keys.Count; i++)
        {
            var key = _keys[i];
            var isNext = (i - _next + _keys.Count) % _keys.Count < ReadAgain;
            if (!_paths.TryGetValue(key, out var path)) _paths[key] = path = new Path();
            else if (!changed && !isNext) continue;
            // Probes go where the route leads.
            path.Probe = key.LinkIndex == _linkIndex ? _prober?.ResultOf(key.Address) : null;
            path.Update(_reader.Read(key.Address, key.LinkIndex), key.Address, now, _options.TimeToLiveSeconds * 1000L);
        }

        if (_prober is not null) _prober.Targets = [.. _paths.Where(each => each.Value.Base > 0 && each.Key.LinkIndex == _linkIndex).Select(each => new ProbeTarget(each.Key.Address, _port, each.Value.Base))];

        _next = _keys.Count == 0 ? 0 : (_next + ReadAgain) % _keys.Count;
        foreach (var segment in _segments())
        {
            foreach (var remote in segment.Remotes.All)
            {
                if (!_paths.TryGetValue(KeyOf(remote), out var path)) continue;
                var before = remote.PathMtu.Bytes;
                path.Apply(remote);
                // What was not known before did not change.
                if (before != 0 && remote.PathMtu.Bytes != before)
                    segment.Events.Publish(EventKind.MtuChanged, now, remote: remote.Address.Address, number: remote.PathMtu.Bytes);
            }
        }
    }

    private PathKey KeyOf(Remote remote) => new(remote.Address.Address, remote.InterfaceIndex != 0 ? remote.InterfaceIndex : _linkIndex);

    // The paths to all remotes there are now, each once; others are forgotten.
    private void Collect()
    {
        _keys.Clear();
        var seen = new HashSet<PathKey>();
        foreach (var segment in _segments())
            foreach (var remote in segment.Remotes.All)
                if (!remote.IsNull && !remote.IsSelf && seen.Add(KeyOf(remote))) _keys.Add(KeyOf(remote));
        if (_paths.Count == _keys.Count) return;
        foreach (var gone in _paths.Keys.Where(key => !seen.Contains(key)).ToArray()) _paths.Remove(gone);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _prober?.Dispose();
        _monitor?.Dispose();
        _host.Dispose();
    }

    // Where to, and by which interface; 0 for the one that the route names.
    private readonly record struct PathKey(InternetAddress Address, int LinkIndex);

    // What is known of one path.
    private sealed class Path
    {
        private int _learned;
        private long _learnedUntil;

        private PathMtu _mtu;

        /// <summary>What the interface or the route takes; 0 without either.</summary>
        public int Base { get; private set; }

        /// <summary>What a probe found; null without one.</summary>
        public ProbeResult? Probe { get; set; }

        public void Apply(Remote remote)
        {
            if (remote.PathMtu != _mtu) remote.PathMtu = _mtu;
            if (remote.ProbedMtu != (Probe?.Mtu ?? 0) || remote.ProbeVerdict != Probe?.Verdict) remote.SetProbe(Probe?.Mtu ?? 0, Probe?.Verdict);
        }

        public void Update(RouteMtu route, InternetAddress address, long now, long timeToLive)
        {
            // As long as the kernel refuses to send more, so must we; and no shorter than asked for.
            if (route.Learned > 0)
            {
                if (route.Learned != _learned || now >= _learnedUntil) _learnedUntil = now + timeToLive;
                _learned = route.Learned;
            }
            else if (now >= _learnedUntil)
            {
                _learned = 0;
            }

            var (bytes, origin) = (route.Link, PathMtuOrigin.Link);
            // A metric above the interface's MTU promises what the interface cannot carry.
            if (route.Route > 0 && (bytes == 0 || route.Route < bytes)) (bytes, origin) = (route.Route, PathMtuOrigin.Route);
            Base = bytes;
            var floor = address.IsIPv4 ? PacketTooBig.LeastIPv4Mtu : PacketTooBig.LeastIPv6Mtu;
            if (_learned > 0 && Math.Max(_learned, floor) < bytes) (bytes, origin) = (Math.Max(_learned, floor), PathMtuOrigin.Learned);
            if (Probe is { Verdict: not ProbeResult.Unreachable } probe && Math.Max(probe.Mtu, floor) < bytes) (bytes, origin) = (Math.Max(probe.Mtu, floor), PathMtuOrigin.Probe);
            _mtu = bytes == 0 ? default : new PathMtu(bytes, origin);
        }
    }
}
