using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Frames byte by byte, made without the product's writers so that they can judge it.</summary>
public static class Frames
{
    /// <summary>IEEE 802 local experimental ethertype 1, for frames that are nobody's business.</summary>
    public const ushort Experimental = 0x88B5;

    /// <summary>IPv4.</summary>
    public const ushort IPv4 = 0x0800;

    /// <summary>ARP.</summary>
    public const ushort Arp = 0x0806;

    /// <summary>IPv6.</summary>
    public const ushort IPv6 = 0x86DD;

    /// <summary>02:00:00:xx:xx:xx, a locally administered address.</summary>
    public static MacAddress Mac(int number) => MacAddress.FromValue(0x02_00_00_00_00_00UL + (uint)number);

    /// <summary>Destination, source, type, payload; not padded.</summary>
    public static byte[] Ethernet(MacAddress destination, MacAddress source, ushort type, params ReadOnlySpan<byte> payload)
    {
        var frame = new byte[14 + payload.Length];
        destination.Write(frame);
        source.Write(frame.AsSpan(6));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), type);
        payload.CopyTo(frame.AsSpan(14));
        return frame;
    }

    /// <summary>An experimental frame with random content: no other frame of any test is equal to it.</summary>
    public static byte[] Unique(MacAddress destination, MacAddress source, int length = 60) =>
        Ethernet(destination, source, Experimental, RandomNumberGenerator.GetBytes(length - 14));

    /// <summary>An experimental frame that carries a number.</summary>
    public static byte[] Numbered(MacAddress destination, MacAddress source, int number, int length = 60)
    {
        var payload = new byte[length - 14];
        BinaryPrimitives.WriteInt32BigEndian(payload, number);
        return Ethernet(destination, source, Experimental, payload);
    }

    /// <summary>The number of a frame made by <see cref="Numbered"/>.</summary>
    public static int NumberOf(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadInt32BigEndian(frame[14..]);

    /// <summary>The beginning of a frame, for a message.</summary>
    public static string Show(ReadOnlySpan<byte> frame) => $"{Convert.ToHexStringLower(frame[..Math.Min(frame.Length, 32)])}… ({frame.Length} bytes)";

    /// <summary>Inserts a tag (type and control information) behind the addresses.</summary>
    public static byte[] Tag(byte[] frame, ushort type, ushort control)
    {
        var tag = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(tag, type);
        BinaryPrimitives.WriteUInt16BigEndian(tag.AsSpan(2), control);
        return [.. frame.AsSpan(0, 12), .. tag, .. frame.AsSpan(12)];
    }

    /// <summary>An IPv4 packet with a right header checksum.</summary>
    public static byte[] Ipv4Packet(
        IPAddress source, IPAddress destination, byte protocol, ReadOnlySpan<byte> payload, ushort id = 0, ushort fragment = 0)
    {
        var packet = new byte[20 + payload.Length];
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), id);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), fragment);
        packet[8] = 64;
        packet[9] = protocol;
        source.TryWriteBytes(packet.AsSpan(12), out _);
        destination.TryWriteBytes(packet.AsSpan(16), out _);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Checksums.Finish(Checksums.Add(0, packet.AsSpan(0, 20))));
        payload.CopyTo(packet.AsSpan(20));
        return packet;
    }

    /// <summary>An IPv6 packet without extension headers.</summary>
    public static byte[] Ipv6Packet(IPAddress source, IPAddress destination, byte protocol, ReadOnlySpan<byte> payload, byte hopLimit = 64)
    {
        var packet = new byte[40 + payload.Length];
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)payload.Length);
        packet[6] = protocol;
        packet[7] = hopLimit;
        source.TryWriteBytes(packet.AsSpan(8), out _);
        destination.TryWriteBytes(packet.AsSpan(24), out _);
        payload.CopyTo(packet.AsSpan(40));
        return packet;
    }

    /// <summary>
    /// A frame with a UDP datagram in IPv4 or IPv6, random content and source port (a flow of its own, which nothing merges), and these values in the IP header; tags are of VLANs 1, 2 and so on.
    /// </summary>
    public static byte[] IpFrame(
        MacAddress to, MacAddress from, bool isIpv6, byte typeOfService = 0, byte timeToLive = 64, bool dontFragment = false, int flowLabel = 0, int tags = 0)
    {
        var (source, destination) = isIpv6 ? (IPAddress.Parse("fd01::1"), IPAddress.Parse("fd01::2")) : (IPAddress.Parse("10.1.1.1"), IPAddress.Parse("10.1.1.2"));
        var udp = Udp(source, destination, (ushort)RandomNumberGenerator.GetInt32(20000, 60000), 7002, RandomNumberGenerator.GetBytes(40));
        byte[] packet;
        if (isIpv6)
        {
            packet = Ipv6Packet(source, destination, 17, udp, timeToLive);
            BinaryPrimitives.WriteUInt32BigEndian(packet, (6U << 28) | ((uint)typeOfService << 20) | (uint)flowLabel);
        }
        else
        {
            packet = Ipv4Packet(source, destination, 17, udp, id: 77, fragment: dontFragment ? (ushort)0x4000 : (ushort)0);
            (packet[1], packet[8]) = (typeOfService, timeToLive);
            packet[10] = packet[11] = 0;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Checksums.Finish(Checksums.Add(0, packet.AsSpan(0, 20))));
        }

        var frame = Ethernet(to, from, isIpv6 ? IPv6 : IPv4, packet);
        for (var tag = tags; tag > 0; tag--) frame = Tag(frame, 0x8100, (ushort)tag);
        return frame;
    }

    /// <summary>A UDP datagram with a right checksum for these addresses.</summary>
    public static byte[] Udp(IPAddress source, IPAddress destination, ushort sourcePort, ushort destinationPort, ReadOnlySpan<byte> payload)
    {
        var udp = new byte[8 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(udp, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(2), destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(4), (ushort)udp.Length);
        payload.CopyTo(udp.AsSpan(8));
        var checksum = Checksums.Transport(source, destination, 17, udp);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(6), checksum == 0 ? (ushort)0xFFFF : checksum);
        return udp;
    }

    /// <summary>A UDP datagram in IP of the addresses' family in Ethernet.</summary>
    public static byte[] UdpFrame(
        MacAddress to, MacAddress from,
        IPAddress source, IPAddress destination, ushort sourcePort, ushort destinationPort, ReadOnlySpan<byte> payload)
    {
        var udp = Udp(source, destination, sourcePort, destinationPort, payload);
        return source.GetAddressBytes().Length == 4
            ? Ethernet(to, from, IPv4, Ipv4Packet(source, destination, 17, udp))
            : Ethernet(to, from, IPv6, Ipv6Packet(source, destination, 17, udp));
    }

    /// <summary>An ARP packet for IPv4 over Ethernet (RFC 826), 28 bytes.</summary>
    public static byte[] ArpPacket(ushort operation, MacAddress senderMac, IPAddress sender, MacAddress targetMac, IPAddress target)
    {
        byte[] packet = [0, 1, 8, 0, 6, 4, (byte)(operation >> 8), (byte)operation, .. new byte[20]];
        senderMac.Write(packet.AsSpan(8));
        sender.TryWriteBytes(packet.AsSpan(14), out _);
        targetMac.Write(packet.AsSpan(18));
        target.TryWriteBytes(packet.AsSpan(24), out _);
        return packet;
    }

    /// <summary>An ARP request as stations send it: broadcast, target hardware address zero.</summary>
    public static byte[] ArpRequest(MacAddress senderMac, IPAddress sender, IPAddress target, MacAddress? to = null) =>
        Ethernet(to ?? MacAddress.Broadcast, senderMac, Arp, ArpPacket(1, senderMac, sender, MacAddress.Zero, target));

    /// <summary>A VXLAN datagram: flags 0x08 and no reserved bit, unless said otherwise.</summary>
    public static byte[] Vxlan(int vni, ReadOnlySpan<byte> frame, byte flags = 0x08)
    {
        var datagram = new byte[8 + frame.Length];
        datagram[0] = flags;
        BinaryPrimitives.WriteUInt32BigEndian(datagram.AsSpan(4), (uint)vni << 8);
        frame.CopyTo(datagram.AsSpan(8));
        return datagram;
    }
}
