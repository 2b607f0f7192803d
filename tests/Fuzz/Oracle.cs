using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>Decides, independently of src, what must become of a datagram or a frame in the set-up of <see cref="Target"/>.</summary>
internal static class Oracle
{
    /// <summary>Why a datagram must be dropped, or null with what must come up which TAP.</summary>
    internal static DropReason? Decapsulate(byte[] datagram, int sender, out uint vni, out byte[] frame, out OffloadFacts offload)
    {
        (vni, frame, offload) = (0, [], default);
        if (datagram.Length < 8) return DropReason.Truncated;
        if ((datagram[0] & 8) == 0) return DropReason.NoVniFlag;
        vni = (uint)((datagram[4] * 65536) + (datagram[5] * 256) + datagram[6]);
        if (vni is not (Target.Vni or Target.StrictVni or Target.DownVni)) return DropReason.UnknownVni;
        var hasReserved = (datagram[0] & 0xF7) != 0 || datagram[1] != 0 || datagram[2] != 0 || datagram[3] != 0 || datagram[7] != 0;
        if (vni == Target.StrictVni && hasReserved) return DropReason.ReservedBits;
        if (sender is not (2 or 3)) return DropReason.UnknownVtep;

        frame = datagram[8..];
        var packet = SlowPacket.Parse(frame);
        if (packet is null) return DropReason.Truncated;
        if (!packet.IsStation) return DropReason.InvalidSource;
        if (packet.Source == Target.Device) return DropReason.OwnMac;
        if (packet.IsTruncatedIp) return DropReason.TruncatedIp;
        if (vni == Target.DownVni) return DropReason.DeviceDown;
        if (packet.Source is Target.NullStation or Target.SelfStation) return DropReason.StaticConflict;
        if (packet.Source == Target.StaticStation && sender != 3) return DropReason.StaticConflict;
        offload = Offload(packet);
        return null;
    }

    private static OffloadFacts Offload(SlowPacket packet)
    {
        if (packet.IpVersion == 0 || packet.Transport is not { } transport) return default;
        var start = (ushort)packet.TransportOffset;
        if (packet.Protocol == 17 && transport.Length >= 8)
            return SlowPacket.Word(transport, 6) != 0 && packet.IsUnfinished(6) ? new OffloadFacts(true, start, 6) : default;
        if (packet.Protocol != 6 || transport.Length < 20) return default;
        var header = transport[12] / 16 * 4;
        if (header < 20 || header > transport.Length || !packet.IsUnfinished(16)) return default;
        var headers = start - 14 - (4 * packet.Tags) + header;
        if (packet.IpLength <= Target.Mtu || headers >= Target.Mtu || packet.IpLength - headers <= Target.Mtu - headers) return new OffloadFacts(true, start, 16);
        var kind = packet.IpVersion == 4 ? SegmentKind.TcpIPv4 : SegmentKind.TcpIPv6;
        return new OffloadFacts(true, start, 16, kind, (ushort)(Target.Mtu - headers), (ushort)(start + header), transport[13] >= 0x80);
    }

    /// <summary>What must become of a frame: an answer on the TAP, or datagrams and drops.</summary>
    internal static (byte[]? Answer, (int Vtep, uint Vni)[] Copies, DropReason[] Drops) Encapsulate(byte[] frame)
    {
        var packet = SlowPacket.Parse(frame);
        if (packet is null) return (null, [], [DropReason.Truncated]);
        if (Answer(packet) is { } answer) return (answer, [], []);
        return packet.Destination switch
        {
            Target.StaticStation => (null, [(3, Target.Vni)], []),
            Target.NullStation => (null, [], [DropReason.NullDestination]),
            Target.SelfStation => (null, [], [DropReason.Hairpin]),
            _ => (null, [(2, Target.Vni), (3, 300)], []),
        };
    }

    private static byte[]? Answer(SlowPacket packet) =>
        packet.Tags > 0 || !packet.IsStation ? null
        : packet.Type == 0x0806 ? AnswerArp(packet)
        : packet.IpVersion == 6 ? AnswerSolicitation(packet)
        : null;

    private static byte[]? AnswerArp(SlowPacket packet)
    {
        var arp = packet.Payload;
        if (arp.Length < 28 || !arp[..8].SequenceEqual(Craft.Hex("0001 0800 0604 0001"))) return null;
        var (sender, senderIp, targetIp) = (SlowPacket.Number(arp[8..14]), arp[14..18], arp[24..28]);
        if (senderIp.SequenceEqual(targetIp) || !targetIp.SequenceEqual(Craft.U32(Target.NeighbourIp))) return null;
        if (Target.Neighbour == sender || Target.Neighbour == packet.Source) return null;
        return Craft.Ethernet(sender, Target.Neighbour, 0x0806, Craft.Concat(
            Craft.Hex("0001 0800 0604 0002"), Craft.Mac(Target.Neighbour), targetIp, Craft.Mac(sender), senderIp));
    }

    private static byte[]? AnswerSolicitation(SlowPacket packet)
    {
        if (packet.Protocol != 58 || packet.Transport is not { Length: >= 24 } message) return null;
        if (message[0] != 135 || message[1] != 0 || packet.HopLimit != 255) return null;
        var (source, target) = (packet.IpSource, message[8..24]);
        if (source[0] == 0xFF || !target.SequenceEqual(Target.NeighbourIp6) || packet.Source == Target.Neighbour) return null;
        var sum = Craft.NaiveSum(Craft.Concat(Craft.PseudoHeader(source, packet.IpDestination, 58, message.Length), message));
        if (sum != 0xFFFF && !packet.IsUnfinished(2)) return null;

        ulong? option = null;
        for (var rest = message[24..]; rest.Length > 0;)
        {
            if (rest.Length < 2 || rest[1] == 0 || rest[1] * 8 > rest.Length) return null;
            if (rest[0] == 1 && rest[1] == 1) option = SlowPacket.Number(rest[2..8]);
            rest = rest[(rest[1] * 8)..];
        }

        var isProbe = source.All(octet => octet == 0);
        if (!isProbe) return Advertise(option ?? packet.Source, source, 0x60);
        var isSolicitedNode = packet.IpDestination[..13].SequenceEqual(Craft.Hex("ff02 0000 0000 0000 0000 0001 ff"));
        return option is null && isSolicitedNode ? Advertise(0x3333_0000_0001, Craft.Address6("ff02::1"), 0x20) : null;
    }

    private static byte[] Advertise(ulong mac, byte[] destination, byte flags)
    {
        var message = Craft.Concat([136, 0, 0, 0, flags, 0, 0, 0], Target.NeighbourIp6, [2, 1], Craft.Mac(Target.Neighbour));
        Craft.U16(Craft.TransportChecksum(Target.NeighbourIp6, destination, 58, message)).CopyTo(message, 2);
        return Craft.Ethernet(mac, Target.Neighbour, 0x86DD, Craft.IPv6(Target.NeighbourIp6, destination, 58, message, 255));
    }
}
