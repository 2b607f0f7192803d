using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A UDP datagram of the underlay as seen on the wire, taken apart.</summary>
public sealed class OuterPacket
{
    private readonly byte[] _udp;

    private OuterPacket(IPAddress source, IPAddress destination, byte typeOfService, byte timeToLive, byte[] udp) =>
        (Source, Destination, TypeOfService, TimeToLive, _udp) = (source, destination, typeOfService, timeToLive, udp);

    /// <summary>DF, of IPv4.</summary>
    public bool DontFragment { get; private init; }

    /// <summary>Flow label, of IPv6.</summary>
    public int FlowLabel { get; private init; }

    /// <summary>Source address.</summary>
    public IPAddress Source { get; }

    /// <summary>Destination address.</summary>
    public IPAddress Destination { get; }

    /// <summary>DSCP and ECN.</summary>
    public byte TypeOfService { get; }

    /// <summary>TTL or hop limit.</summary>
    public byte TimeToLive { get; }

    /// <summary>Source port.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_udp);

    /// <summary>Destination port.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_udp.AsSpan(2));

    /// <summary>The checksum as it was sent; 0 = none.</summary>
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_udp.AsSpan(6));

    /// <summary>True if the checksum fits what was sent.</summary>
    public bool ChecksumIsRight => Checksums.Transport(Source, Destination, 17, _udp) == 0;

    /// <summary>What UDP carries.</summary>
    public ReadOnlySpan<byte> Payload => _udp.AsSpan(8);

    /// <summary>First byte of the VXLAN header.</summary>
    public byte Flags => Payload[0];

    /// <summary>The VNI of the VXLAN header.</summary>
    public int Vni => (int)(BinaryPrimitives.ReadUInt32BigEndian(Payload[4..]) >> 8);

    /// <summary>The frame inside.</summary>
    public ReadOnlySpan<byte> Inner => Payload[8..];

    /// <summary>The packets in the order of the frames in them: different flows have none among each other with several workers.</summary>
    public static List<OuterPacket> InOrderOf(IReadOnlyList<byte[]> frames, IReadOnlyList<OuterPacket> packets) =>
        [.. frames.Select(frame => packets.Single(p => p.Inner.SequenceEqual(frame)))];

    /// <summary>False for anything that is not a whole UDP datagram with room for a VXLAN header and an Ethernet header.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, [NotNullWhen(true)] out OuterPacket? packet)
    {
        packet = null;
        if (frame.Length < 14 + 20 + 8 + 8 + 14) return false;
        var type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
        var ip = frame[14..];
        if (type == Frames.IPv4)
        {
            var header = (ip[0] & 0x0F) * 4;
            var total = BinaryPrimitives.ReadUInt16BigEndian(ip[2..]);
            var fragment = BinaryPrimitives.ReadUInt16BigEndian(ip[6..]) & 0x3FFF;
            if (ip[9] != 17 || fragment != 0 || total > ip.Length || total < header + 30) return false;
            packet = new OuterPacket(new IPAddress(ip[12..16]), new IPAddress(ip[16..20]), ip[1], ip[8], ip[header..total].ToArray()) { DontFragment = (ip[6] & 0x40) != 0 };
            return true;
        }

        if (type != Frames.IPv6 || ip.Length < 40 + 30 || ip[6] != 17) return false;
        var length = BinaryPrimitives.ReadUInt16BigEndian(ip[4..]);
        if (length < 30 || 40 + length > ip.Length) return false;
        var trafficClass = (byte)(BinaryPrimitives.ReadUInt16BigEndian(ip) >> 4);
        packet = new OuterPacket(new IPAddress(ip[8..24]), new IPAddress(ip[24..40]), trafficClass, ip[7], ip[40..(40 + length)].ToArray())
        {
            FlowLabel = (int)(BinaryPrimitives.ReadUInt32BigEndian(ip) & 0xFFFFF),
        };
        return true;
    }
}
