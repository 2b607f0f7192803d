using System.Buffers.Binary;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>Reads the Ethernet frames of a file as tcpdump, Wireshark and <c>sleeve capture</c> write it: pcap, or pcapng (draft-ietf-opsawg-pcapng), of either byte order.</summary>
internal static class PacketFile
{
    /// <summary>Frames read of one file, at most.</summary>
    public const int MaxFrames = 10_000;

    private const int MaxBytes = 64 << 20;
    private const int Ethernet = 1;
    private const int EthernetSize = 14;
    private const uint SectionHeader = 0x0A0D0D0A;

    /// <summary>Reads a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="takesIp">Take IP packets without a link header too, and put an Ethernet header of zeroes in front.</param>
    /// <exception cref="IOException">It cannot be read, is none of the two, or holds other frames than Ethernet's, or too many.</exception>
    public static IReadOnlyList<byte[]> Read(string path, bool takesIp = false)
    {
        if (new FileInfo(path).Length > MaxBytes) throw new IOException($"is longer than {MaxBytes} bytes");
        return Parse(File.ReadAllBytes(path), takesIp);
    }

    /// <summary>Reads the bytes of a file.</summary>
    /// <inheritdoc cref="Read"/>
    public static IReadOnlyList<byte[]> Parse(ReadOnlySpan<byte> file, bool takesIp = false)
    {
        if (file.Length < 24) throw new IOException("is no packet capture: too short");
        var magic = BinaryPrimitives.ReadUInt32LittleEndian(file);
        if (magic == SectionHeader) return ParseBlocks(file, takesIp);
        return magic switch
        {
            0xA1B2C3D4 or 0xA1B23C4D => ParseRecords(file, isBig: false, takesIp),
            0xD4C3B2A1 or 0x4D3CB2A1 => ParseRecords(file, isBig: true, takesIp),
            _ => throw new IOException("is no packet capture: it begins as neither pcap nor pcapng does"),
        };
    }

    private static List<byte[]> ParseRecords(ReadOnlySpan<byte> file, bool isBig, bool takesIp)
    {
        var link = (int)(Read32(file[20..], isBig) & 0x0FFF_FFFF);
        if (!IsTaken(link, takesIp)) throw new IOException("holds other frames than Ethernet's");
        var frames = new List<byte[]>();
        for (var rest = file[24..]; rest.Length >= 16;)
        {
            var length = Read32(rest[8..], isBig);
            if (length > rest.Length - 16) throw new IOException("ends inside a frame");
            Add(frames, rest.Slice(16, (int)length), link);
            rest = rest[(16 + (int)length)..];
        }

        return frames;
    }

    private static List<byte[]> ParseBlocks(ReadOnlySpan<byte> file, bool takesIp)
    {
        const int InterfaceBlock = 1, SimplePacket = 3, EnhancedPacket = 6;
        var frames = new List<byte[]>();
        var links = new List<int>();
        var isBig = false;
        for (var rest = file; rest.Length >= 12;)
        {
            var isSection = BinaryPrimitives.ReadUInt32LittleEndian(rest) == SectionHeader;
            if (isSection)
            {
                isBig = BinaryPrimitives.ReadUInt32BigEndian(rest[8..]) == 0x1A2B3C4D;
                links.Clear();
            }

            var length = Read32(rest[4..], isBig);
            if (length < 12 || length % 4 != 0 || length > rest.Length) throw new IOException("has a block of an impossible length");
            var body = rest[8..((int)length - 4)];
            switch (isSection ? 0 : (int)Read32(rest, isBig))
            {
                case InterfaceBlock when body.Length >= 8: links.Add(isBig ? BinaryPrimitives.ReadUInt16BigEndian(body) : BinaryPrimitives.ReadUInt16LittleEndian(body)); break;
                case EnhancedPacket when body.Length >= 20: AddOf(Read32(body, isBig), body[20..], Read32(body[12..], isBig)); break;
                case SimplePacket when body.Length >= 4: AddOf(0, body[4..], Math.Min(Read32(body, isBig), (uint)body.Length - 4)); break;
            }

            rest = rest[(int)length..];
        }

        return frames;

        void AddOf(uint link, ReadOnlySpan<byte> data, uint captured)
        {
            if (link >= links.Count || !IsTaken(links[(int)link], takesIp)) throw new IOException("holds other frames than Ethernet's");
            if (captured > data.Length) throw new IOException("ends inside a frame");
            Add(frames, data[..(int)captured], links[(int)link]);
        }
    }

    // LINKTYPE_RAW, _IPV4 and _IPV6.
    private static bool IsTaken(int link, bool takesIp) => link == Ethernet || (takesIp && link is (101 or 228 or 229));

    private static void Add(List<byte[]> frames, ReadOnlySpan<byte> frame, int link)
    {
        if (frames.Count == MaxFrames) throw new IOException($"holds more than {MaxFrames} frames");
        if (link == Ethernet)
        {
            frames.Add(frame.ToArray());
            return;
        }

        var whole = new byte[EthernetSize + frame.Length];
        BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(EthernetSize - 2), frame is [var first, ..] && first >> 4 == 6 ? EtherType.IPv6 : EtherType.IPv4);
        frame.CopyTo(whole.AsSpan(EthernetSize));
        frames.Add(whole);
    }

    private static uint Read32(ReadOnlySpan<byte> at, bool isBig) => isBig ? BinaryPrimitives.ReadUInt32BigEndian(at) : BinaryPrimitives.ReadUInt32LittleEndian(at);
}
