using System.Buffers.Binary;
using System.Diagnostics;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>What a probe of a path found.</summary>
/// <param name="Mtu">Bytes of the largest IP packet that got through, or that nobody objected to.</param>
/// <param name="Verdict">How that is known: <see cref="Confirmed"/> and so on.</param>
internal readonly record struct ProbeResult(int Mtu, string Verdict)
{
    /// <summary>The far end answered a packet of that size.</summary>
    public const string Confirmed = "confirmed";

    /// <summary>Nobody objected to that size, and nobody answered at any: it may get through or not.</summary>
    public const string Unconfirmed = "unconfirmed";

    /// <summary>Larger ones vanish without a word; the far end answered this size.</summary>
    public const string BlackHole = "black-hole";

    /// <summary>Nothing gets there: no route, or the far end is said to be unreachable.</summary>
    public const string Unreachable = "unreachable";
}

/// <summary>
/// Measures a path. First by UDP datagrams with DF to the remote's VXLAN port, whose VXLAN header has no I flag, so that every VTEP ignores them (RFC 7348, section
/// 5): what a router cannot pass on it says by ICMP. Whether the rest arrives nobody says; an ICMP echo of the same size asks the host itself. It goes
/// another way than UDP where routers spread flows. One thread.
/// </summary>
/// <param name="local">The address to send from; unspecified for any.</param>
/// <param name="stop">Ends a probe within <see cref="Patience"/> milliseconds; its result is then worth nothing.</param>
internal sealed class PathMtuProbe(InternetAddress local, CancellationToken stop)
{
    private const int UdpHeaderSize = 8;
    private const int EchoHeaderSize = 8;
    private const int MaxObjections = 8;
    private const int Patience = 400;
    private const int EchoAttempts = 3;

    private readonly byte[] _packet = new byte[ushort.MaxValue];
    private readonly byte[] _answer = new byte[128];
    private readonly ushort _identifier = (ushort)Random.Shared.Next();
    private ushort _sequence;

    /// <summary>Measures; takes milliseconds where somebody answers, some seconds in a black hole.</summary>
    /// <param name="remote">Where to.</param>
    /// <param name="port">Its VXLAN port.</param>
    /// <param name="most">What the interface or the route takes: the largest size that is tried.</param>
    public ProbeResult Run(InternetAddress remote, ushort port, int most)
    {
        var least = Math.Min(most, remote.IsIPv4 ? PacketTooBig.LeastIPv4Mtu : PacketTooBig.LeastIPv6Mtu);
        try
        {
            using var udp = ProbeSocket.Udp(Bytes(SourceFor(remote)), Bytes(remote), port);
            var (size, verdict) = AskRouters(udp, remote, least, Math.Min(most, ushort.MaxValue));
            if (verdict != ProbeResult.Unconfirmed) return new ProbeResult(size, verdict);
            return AskFarEnd(remote, least, size);
        }
        catch (ErrnoException)
        {
            return new ProbeResult(0, ProbeResult.Unreachable);
        }
    }

    private (int Size, string Verdict) AskRouters(ProbeSocket socket, InternetAddress remote, int least, int size)
    {
        var headers = IpHeaderSize(remote) + UdpHeaderSize;
        Array.Clear(_packet);
        for (var objections = 0; objections < MaxObjections && !stop.IsCancellationRequested; objections++)
        {
            var errno = socket.Send(_packet.AsSpan(0, size - headers));
            var said = socket.Await(_answer, errno == 0 ? Patience : 0);
            switch (said.Errno != 0 ? said.Errno : errno)
            {
                case 0:
                    return (size, ProbeResult.Unconfirmed);
                case LibC.ECONNREFUSED:
                    // No VTEP there, but the host, and the packet reached it.
                    return (size, ProbeResult.Confirmed);
                case LibC.EMSGSIZE when size > least:
                    size = Math.Max(said.Mtu > 0 && said.Mtu < size ? said.Mtu : size / 2, least);
                    break;
                default:
                    return (size, ProbeResult.Unreachable);
            }
        }

        return (size, ProbeResult.Unconfirmed);
    }

    private ProbeResult AskFarEnd(InternetAddress remote, int least, int size)
    {
        try
        {
            using var icmp = ProbeSocket.Icmp(Bytes(SourceFor(remote)), Bytes(remote));
            if (IsAnswered(icmp, remote, size)) return new ProbeResult(size, ProbeResult.Confirmed);
            if (!IsAnswered(icmp, remote, least)) return new ProbeResult(size, ProbeResult.Unconfirmed);
            var (arrives, vanishes) = (least, size);
            while (vanishes - arrives > 1 && !stop.IsCancellationRequested)
            {
                var middle = (arrives + vanishes) / 2;
                if (IsAnswered(icmp, remote, middle)) arrives = middle;
                else vanishes = middle;
            }

            return new ProbeResult(arrives, ProbeResult.BlackHole);
        }
        catch (ErrnoException)
        {
            // Without CAP_NET_RAW nobody can be asked.
            return new ProbeResult(size, ProbeResult.Unconfirmed);
        }
    }

    private bool IsAnswered(ProbeSocket socket, InternetAddress remote, int size)
    {
        var message = _packet.AsSpan(0, size - IpHeaderSize(remote));
        for (var attempt = 0; attempt < EchoAttempts && !stop.IsCancellationRequested; attempt++)
        {
            message[..EchoHeaderSize].Clear();
            message[0] = remote.IsIPv4 ? (byte)8 : (byte)128;
            BinaryPrimitives.WriteUInt16BigEndian(message[4..], _identifier);
            BinaryPrimitives.WriteUInt16BigEndian(message[6..], ++_sequence);
            // Of ICMPv6 the kernel sums (RFC 3542, section 3.1).
            if (remote.IsIPv4) BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(InternetChecksum.Add(0, message)));
            if (socket.Send(message) != 0) continue;
            var start = Stopwatch.GetTimestamp();
            for (var left = Patience; left > 0; left = Patience - (int)Stopwatch.GetElapsedTime(start).TotalMilliseconds)
            {
                var answer = socket.Await(_answer, left);
                if (answer.Errno == LibC.EMSGSIZE) return false;
                if (IsOurs(_answer.AsSpan(0, Math.Min(answer.Length, _answer.Length)), remote.IsIPv4)) return true;
            }
        }

        return false;
    }

    private bool IsOurs(ReadOnlySpan<byte> answer, bool isIPv4)
    {
        if (isIPv4)
        {
            var header = answer.Length > 0 ? (answer[0] & 0x0F) * 4 : 0;
            if (answer.Length < header + EchoHeaderSize) return false;
            answer = answer[header..];
        }

        return answer.Length >= EchoHeaderSize && answer[0] == (isIPv4 ? 0 : 129)
            && BinaryPrimitives.ReadUInt16BigEndian(answer[4..]) == _identifier && BinaryPrimitives.ReadUInt16BigEndian(answer[6..]) == _sequence;
    }

    private InternetAddress SourceFor(InternetAddress remote) =>
        local.IsIPv4 == remote.IsIPv4 ? local : remote.IsIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;

    private static int IpHeaderSize(InternetAddress remote) => remote.IsIPv4 ? 20 : 40;

    private static byte[] Bytes(InternetAddress address)
    {
        var bytes = new byte[address.Size];
        address.Write(bytes);
        return bytes;
    }
}
