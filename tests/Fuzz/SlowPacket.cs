using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>
/// What is in a frame, found in the slowest and most obvious way: copies instead of offsets, lists instead of loops over views. Shares nothing
/// with src.
/// </summary>
internal sealed class SlowPacket
{
    internal ulong Destination { get; private init; }

    internal ulong Source { get; private init; }

    internal int Tags { get; private init; }

    /// <summary>The type behind the tags.</summary>
    internal int Type { get; private init; }

    internal byte[] Payload { get; private init; } = [];

    /// <summary>4, 6, or 0 if it is no IP or contradicts itself.</summary>
    internal int IpVersion { get; private set; }

    internal bool IsTruncatedIp { get; private set; }

    internal byte[] IpSource { get; private set; } = [];

    internal byte[] IpDestination { get; private set; } = [];

    internal int IpLength { get; private set; }

    internal int HopLimit { get; private set; }

    /// <summary>Null for fragments and where the walk ended early.</summary>
    internal byte[]? Transport { get; private set; }

    internal int TransportOffset { get; private set; }

    internal int Protocol { get; private set; }

    /// <summary>Null if there is no whole Ethernet header.</summary>
    internal static SlowPacket? Parse(byte[] frame)
    {
        if (frame.Length < 14) return null;
        var rest = frame[12..];
        var type = Word(rest, 0);
        rest = rest[2..];
        var tags = 0;
        while (tags < 4 && type is 0x8100 or 0x88A8 && rest.Length >= 4)
        {
            type = Word(rest, 2);
            rest = rest[4..];
            tags++;
        }

        var packet = new SlowPacket { Destination = Number(frame[..6]), Source = Number(frame[6..12]), Tags = tags, Type = type, Payload = rest };
        if (type == 0x0800) packet.ParseIPv4();
        if (type == 0x86DD) packet.ParseIPv6();
        return packet;
    }

    internal static int Word(byte[] bytes, int at) => (bytes[at] * 256) + bytes[at + 1];

    internal static ulong Number(byte[] bytes) => bytes.Aggregate(0UL, (number, octet) => (number * 256) + octet);

    internal bool IsStation => Source != 0 && (Source >> 40 & 1) == 0;

    private int NetworkOffset => 14 + (4 * Tags);

    private void ParseIPv4()
    {
        IsTruncatedIp = Payload.Length < 20;
        if (IsTruncatedIp || Payload[0] / 16 != 4) return;
        var (header, total) = (Payload[0] % 16 * 4, Word(Payload, 2));
        if (header < 20 || total < header || total > Payload.Length) return;
        (IpVersion, IpLength, Protocol, HopLimit) = (4, total, Payload[9], Payload[8]);
        (IpSource, IpDestination) = (Payload[12..16], Payload[16..20]);
        var isMore = (Payload[6] & 0x20) != 0;
        var isLater = Word(Payload, 6) % 0x2000 != 0;
        if (isMore || isLater) return;
        (Transport, TransportOffset) = (Payload[header..total], NetworkOffset + header);
    }

    private void ParseIPv6()
    {
        IsTruncatedIp = Payload.Length < 40;
        if (IsTruncatedIp || Payload[0] / 16 != 6) return;
        var total = 40 + Word(Payload, 4);
        if (total > Payload.Length || total > 65535) return;
        (IpVersion, IpLength, Protocol, HopLimit) = (6, total, Payload[6], Payload[7]);
        (IpSource, IpDestination) = (Payload[8..24], Payload[24..40]);
        var (next, rest, offset) = ((int)Payload[6], Payload[40..total], NetworkOffset + 40);
        for (var walked = 0; next is 0 or 43 or 60; walked++)
        {
            if (walked == 8 || rest.Length < 8) return;
            var size = (rest[1] + 1) * 8;
            next = rest[0];
            if (size > rest.Length && next is 0 or 43 or 44 or 60) return;
            if (size > rest.Length)
            {
                // Says what follows, but it does not.
                Protocol = next;
                return;
            }

            rest = rest[size..];
            offset += size;
        }

        if (next == 44) return;
        (Protocol, Transport, TransportOffset) = (next, rest, offset);
    }

    /// <summary>True if the transport checksum holds only the pseudo-header sum. Where the field stands is the protocol's matter.</summary>
    internal bool IsUnfinished(int at) =>
        Word(Transport!, at) == Craft.UnfinishedChecksum(IpSource, IpDestination, (byte)Protocol, Transport!.Length);
}
