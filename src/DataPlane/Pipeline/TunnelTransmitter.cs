using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Sends super-frames whole through the underlay TAP, in the order of the stages: which way to the remote and is it good, outer headers into the
/// slot's headroom, one write; and for the first to a remote and one a second after that, was it seen leaving? What is not sent here goes by the
/// sockets, cut. One thread; nothing is allocated but for a new remote and for a check.
/// </summary>
public sealed class TunnelTransmitter
{
    // More remotes than that at once, and proofs begin anew.
    private const int MaxPaths = 8192;

    // Between two checks, so that a thousand remotes cannot make them all of the work: some 40 µs each.
    private const int CheckIntervalMilliseconds = 2;

    // The device's queue may need a moment; only what is about to be sent again waits for it.
    private const int PatienceMilliseconds = 5;

    // Other packets to the same port that leave meanwhile, at most.
    private const int MaxLooked = 1024;

    private readonly ITunnelPort _port;
    private readonly InternetAddress _local;
    private readonly bool _hasChecksum;
    private readonly Dictionary<VtepAddress, TunnelPath> _paths = [];
    private ushort _identification = (ushort)Random.Shared.Next();
    private long _nextCheck = long.MinValue;
    private long _sent;
    private long _refused;
    private long _eaten;
    private string? _trouble;

    /// <summary>Makes a transmitter.</summary>
    /// <param name="port">The underlay TAP.</param>
    /// <param name="options">Address to send from, and whether there are outer UDP checksums.</param>
    public TunnelTransmitter(ITunnelPort port, VtepOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _port = port;
        _local = options.Local;
        _hasChecksum = options.Local.IsIPv4 ? options.UdpChecksum : !options.ZeroChecksum6Transmit;
    }

    /// <summary>Super-frames handed over, how many the kernel refused, and how many were not seen leaving; both kinds were sent again, cut.</summary>
    public (long Sent, long Refused, long Eaten) Messages => (Volatile.Read(ref _sent), Volatile.Read(ref _refused), Volatile.Read(ref _eaten));

    /// <summary>Why super-frames do not go this way now; null while they do.</summary>
    public string? Trouble => Volatile.Read(ref _trouble);

    /// <summary>Sends the super-frame of an entry.</summary>
    /// <param name="batch">The batch, which still has the frame as the TAP gave it.</param>
    /// <param name="datagram">An entry with a super-frame.</param>
    /// <param name="sourcePort">UDP source port of its flow.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>False if it has to be sent another way.</returns>
    public bool TrySend(DatagramBatch batch, in Datagram datagram, ushort sourcePort, long nowMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(batch);
        // The kernel would route it, and not by the interface that the FDB entry names.
        if (datagram.Remote.InterfaceIndex != 0) return false;
        ref readonly var frame = ref batch.WholeOf(datagram, out var plan);
        if (!frame.Offload.NeedsChecksum || !TunnelFrame.Fits(frame.Length) || !TunnelFrame.CanBear(datagram.Outer) || datagram.Remote.IsGroup || (frame.Offload.Kind == SegmentKind.Udp && !_port.TakesUdp)) return false;

        var remote = datagram.Remote.Address;
        var path = PathTo(remote);
        var isDue = path.IsCheckDue(nowMilliseconds);
        // Too many checks at once: what was good stays good meanwhile, what is new or blocked waits.
        if (!isDue || nowMilliseconds < _nextCheck) return path.IsProven && TryWrite(batch, frame, plan, datagram, path, sourcePort);
        _nextCheck = nowMilliseconds + CheckIntervalMilliseconds;
        return TrySendWatched(batch, frame, plan, datagram, path, sourcePort, nowMilliseconds);
    }

    private bool TrySendWatched(
        DatagramBatch batch, in Frame frame, in SegmentPlan plan, in Datagram datagram, TunnelPath path, ushort sourcePort, long nowMilliseconds)
    {
        var remote = datagram.Remote.Address;
        var source = _local;
        if ((_local.IsUnspecified && !_port.TryFindSource(remote, out source)) || source.IsIPv4 != remote.Address.IsIPv4
            || _port.Watch(remote) is not { } departures)
        {
            path.Postpone(nowMilliseconds);
            return false;
        }

        path.Source = source;
        var wasBlocked = path.IsBlocked;
        bool isSent, hasLeft;
        try
        {
            isSent = TryWrite(batch, frame, plan, datagram, path, sourcePort);
            hasLeft = isSent && HasLeft(departures, batch.Frames.Slab.Slice(frame.Offset - VxlanHeader.Size, VxlanHeader.Size + plan.HeaderLength), plan, remote.Address.IsIPv4);
        }
        finally
        {
            // The kernel takes milliseconds to close it; not here.
            ThreadPool.UnsafeQueueUserWorkItem(static watch => watch.Dispose(), departures, preferLocal: false);
        }

        if (!isSent) return false;
        if (hasLeft)
        {
            path.Prove(nowMilliseconds);
        }
        else
        {
            path.Miss(nowMilliseconds);
            Volatile.Write(ref _eaten, _eaten + 1);
        }

        if (wasBlocked != path.IsBlocked) Report();
        return hasLeft;
    }

    private bool TryWrite(
        DatagramBatch batch, in Frame frame, in SegmentPlan plan, in Datagram datagram, TunnelPath path, ushort sourcePort)
    {
        var remote = datagram.Remote;
        var headerSize = TunnelFrame.HeaderSize(remote.Address.Address.IsIPv4);
        var whole = batch.Frames.Slab.Slice(frame.Offset - headerSize, headerSize + frame.Length);
        var outer = new TunnelOuter(_port.DeviceMac, path.Source, sourcePort, remote.Address, remote.Header, _identification, _hasChecksum, datagram.Outer);
        _identification += (ushort)plan.Count;
        TunnelFrame.WriteHeaders(whole[..headerSize], outer, frame.Length, plan, frame.Offload);
        if (_port.Write(whole) == 0)
        {
            Volatile.Write(ref _sent, _sent + 1);
            return true;
        }

        Volatile.Write(ref _refused, _refused + 1);
        return false;
    }

    // The VXLAN header and the addresses below it, and the ports and sequence number of the first segment: nothing on the way changes those.
    private static bool HasLeft(IDepartures departures, ReadOnlySpan<byte> payload, in SegmentPlan plan, bool isIPv4)
    {
        Span<byte> packet = stackalloc byte[512];
        var start = (isIPv4 ? 20 : 40) + 8;
        var link = VxlanHeader.Size + plan.Headers.NetworkOffset;
        var transport = VxlanHeader.Size + plan.Headers.TransportOffset;
        var transportSize = plan.Headers.Protocol == IpProtocol.Tcp ? 8 : 4;
        var wait = 0;
        for (var looked = 0; looked < MaxLooked; looked++)
        {
            var length = Math.Min(departures.Take(packet, wait), packet.Length);
            if (length == 0 && wait > 0) return false;
            wait = length == 0 ? PatienceMilliseconds : 0;
            if (length < start + transport + transportSize) continue;
            var seen = packet[start..length];
            if (seen[..link].SequenceEqual(payload[..link]) && seen.Slice(transport, transportSize).SequenceEqual(payload.Slice(transport, transportSize))) return true;
        }

        return false;
    }

    private TunnelPath PathTo(VtepAddress remote)
    {
        if (_paths.TryGetValue(remote, out var path)) return path;
        if (_paths.Count == MaxPaths) _paths.Clear();
        return _paths[remote] = new TunnelPath();
    }

    private void Report()
    {
        var blocked = _paths.Where(static path => path.Value.IsBlocked).Select(static path => path.Key.Address.ToString()).ToArray();
        var names = blocked.Length > 3 ? $"{blocked.Length} VTEPs" : string.Join(", ", blocked);
        Volatile.Write(ref _trouble, blocked.Length == 0
            ? null
            : $"tunnel-gso: super-frames to {names} do not leave this host, which forwards them: a firewall (forward chain), rp_filter, an IPsec policy, or a route by another interface than --dev; tried again every {TunnelPath.BlockedMilliseconds / 1000} s");
    }
}
