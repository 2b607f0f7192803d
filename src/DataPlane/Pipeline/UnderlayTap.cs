using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>A worker's queue of the underlay TAP. One thread.</summary>
internal sealed class UnderlayTap : ITunnelPort, IDisposable
{
    private readonly TunnelTap _tap;
    private readonly int _interfaceIndex;

    private UnderlayTap(TunnelTap tap, MacAddress deviceMac, int interfaceIndex)
    {
        _tap = tap;
        _interfaceIndex = interfaceIndex;
        DeviceMac = deviceMac;
    }

    /// <inheritdoc/>
    public MacAddress DeviceMac { get; }

    /// <inheritdoc/>
    public bool TakesUdp { get; private set; }

    /// <summary>Opens a queue in the calling thread's network namespace, and tests it.</summary>
    /// <param name="options">Which TAP.</param>
    /// <param name="interfaceIndex">The interface that datagrams have to leave by; 0 for any.</param>
    /// <param name="reason">Why there is none.</param>
    /// <returns>Null if it cannot be had.</returns>
    internal static UnderlayTap? TryOpen(UnderlayTapOptions options, int interfaceIndex, out string reason)
    {
        UnderlayTap? opened = null;
        try
        {
            opened = new UnderlayTap(TunnelTap.Open(options.Name), options.Mac, interfaceIndex);
            using var watch = PacketSocket.Watch(options.Index);
            reason = "its self-test failed: the kernel does not take tunnel super-frames whole";
            if (opened.Takes(watch, SegmentKind.TcpIPv4) && opened.Takes(watch, SegmentKind.TcpIPv6))
            {
                opened.TakesUdp = opened.Takes(watch, SegmentKind.Udp);
                return opened;
            }
        }
        catch (ErrnoException failure)
        {
            reason = failure is { Call: nameof(LibC.socket), Errno: LibC.EPERM }
                ? "CAP_NET_RAW is missing, without which nobody can tell whether super-frames leave the host"
                : failure.Message;
        }

        opened?.Dispose();
        return null;
    }

    // To a MAC that is nobody's, so that it ends on this device, before any firewall: does it arrive there whole?
    private bool Takes(PacketSocket watch, SegmentKind kind)
    {
        const int PayloadSize = 3000;
        const int SegmentSize = 1000;
        var isIPv6 = kind == SegmentKind.TcpIPv6;
        var transport = 14 + (isIPv6 ? 40 : 20);
        var transportSize = kind == SegmentKind.Udp ? 8 : 20;
        var headerSize = TunnelFrame.HeaderSize(isIPv4: true);
        var whole = new byte[headerSize + transport + transportSize + PayloadSize];
        var frame = whole.AsSpan(headerSize);
        frame[12] = isIPv6 ? (byte)0x86 : (byte)0x08;
        frame[13] = isIPv6 ? (byte)0xDD : (byte)0x00;
        var network = frame[14..];
        var length = network.Length - (isIPv6 ? 40 : 0);
        network[0] = isIPv6 ? (byte)0x60 : (byte)0x45;
        network[isIPv6 ? 6 : 9] = kind == SegmentKind.Udp ? IpProtocol.Udp : IpProtocol.Tcp;
        network[isIPv6 ? 4 : 2] = (byte)(length >> 8);
        network[isIPv6 ? 5 : 3] = (byte)length;
        frame[transport + 12] = 0x50;
        var facts = new OffloadFacts(true, (ushort)transport, kind == SegmentKind.Udp ? (ushort)6 : (ushort)16, kind, SegmentSize, (ushort)(transport + transportSize));
        if (!InnerHeaders.TryParse(frame, out var headers) || !SegmentPlan.TryMake(frame, headers, facts, out var plan)) return false;
        var nobody = MacAddress.FromValue(DeviceMac.Value ^ 1);
        var loopback = InternetAddress.FromIPv4(0x7F000001);
        TunnelFrame.WriteHeaders(
            whole, new TunnelOuter(nobody, loopback, 1, new VtepAddress(loopback, VtepAddress.DefaultPort), default, 1, HasChecksum: true), frame.Length, plan, facts);
        var packet = new byte[64];
        while (watch.Receive(packet) > 0)
        {
            // What the device itself had to say.
        }

        return Write(whole) == 0 && watch.Receive(packet) == whole.Length - VirtioNetHeader.TunnelSize - 14;
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> frame) => _tap.Write(frame);

    /// <inheritdoc/>
    public bool TryFindSource(VtepAddress remote, out InternetAddress source)
    {
        source = default;
        try
        {
            using var socket = new UnderlaySocket(!remote.Address.IsIPv4);
            Span<byte> bytes = stackalloc byte[16];
            remote.Address.Write(bytes);
            Span<byte> found = stackalloc byte[16];
            if (socket.TryFindSource(bytes[..remote.Address.Size], remote.Port, found) != 0) return false;
            source = remote.Address.IsIPv4 ? InternetAddress.ReadIPv4(found) : InternetAddress.ReadIPv6(found);
            return true;
        }
        catch (ErrnoException)
        {
            // No descriptors: the sockets that are open still work.
            return false;
        }
    }

    /// <inheritdoc/>
    public IDepartures? Watch(VtepAddress remote)
    {
        using var raised = ThreadCapabilities.Raise();
        try
        {
            return new Departures(PacketSocket.WatchOutgoing(!remote.Address.IsIPv4, remote.Port, _interfaceIndex));
        }
        catch (ErrnoException)
        {
            return null;
        }
    }

    public void Dispose() => _tap.Dispose();

    private sealed class Departures(PacketSocket socket) : IDepartures
    {
        public int Take(Span<byte> packet, int waitMilliseconds) => socket.Receive(packet, waitMilliseconds);

        public void Dispose() => socket.Dispose();
    }
}
