using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Sleeve.Control.Host;

namespace Sleeve.Control.Capture;

/// <summary>One block of a stream of ours.</summary>
/// <param name="Bytes">All of it.</param>
internal readonly record struct PcapngBlock(ReadOnlyMemory<byte> Bytes)
{
    private ReadOnlySpan<byte> Span => Bytes.Span;

    /// <summary>What kind.</summary>
    public uint Type => BinaryPrimitives.ReadUInt32LittleEndian(Span);

    /// <summary>Whether it is a packet.</summary>
    public bool IsPacket => Type == 6;

    /// <summary>Whether it is an interface.</summary>
    public bool IsInterface => Type == 1;

    /// <summary>Packets that were lost, if it says so.</summary>
    public long Lost => Type == 5 && Find(Span[20..^4], 5) is { Length: 8 } count ? BinaryPrimitives.ReadInt64LittleEndian(count) : 0;

    /// <summary>An interface's name.</summary>
    public string Name => Encoding.UTF8.GetString(Find(Span[16..^4], 2));

    /// <summary>A packet's interface.</summary>
    public int Link => BinaryPrimitives.ReadInt32LittleEndian(Span[8..]);

    /// <summary>A packet's time in nanoseconds since 1970.</summary>
    public long Nanoseconds => ((long)BinaryPrimitives.ReadUInt32LittleEndian(Span[12..]) << 32) | BinaryPrimitives.ReadUInt32LittleEndian(Span[16..]);

    /// <summary>A packet's bytes, as far as they were kept.</summary>
    public ReadOnlySpan<byte> Packet => Span.Slice(28, Kept);

    /// <summary>A packet's length.</summary>
    public int OriginalLength => BinaryPrimitives.ReadInt32LittleEndian(Span[24..]);

    /// <summary>Whether a packet came in.</summary>
    public bool IsInbound => Find(Options, 2) is [1, ..];

    /// <summary>What is said of a packet.</summary>
    public string Comment => Encoding.UTF8.GetString(Find(Options, 1));

    private int Kept => BinaryPrimitives.ReadInt32LittleEndian(Span[20..]);

    private ReadOnlySpan<byte> Options => Span[(28 + ((Kept + 3) & ~3))..^4];

    private static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> options, ushort code)
    {
        while (options.Length >= 4)
        {
            var (each, length) = (BinaryPrimitives.ReadUInt16LittleEndian(options), BinaryPrimitives.ReadUInt16LittleEndian(options[2..]));
            if (each == 0 || 4 + length > options.Length) break;
            if (each == code) return options.Slice(4, length);
            options = options[Math.Min(options.Length, 4 + ((length + 3) & ~3))..];
        }

        return default;
    }
}

/// <summary>Takes the blocks of a stream that <see cref="PcapngWriter"/> wrote.</summary>
internal static class PcapngReader
{
    // A packet of 128 KiB and what is said of it.
    private const int MaxBlock = 256 * 1024;

    /// <summary>Takes the next block, if all of it is there.</summary>
    /// <exception cref="HostException">What comes is no such stream.</exception>
    public static bool TryTake(ref ReadOnlySequence<byte> stream, out PcapngBlock block)
    {
        block = default;
        Span<byte> head = stackalloc byte[8];
        if (stream.Length < head.Length) return false;
        stream.Slice(0, head.Length).CopyTo(head);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(head[4..]);
        if (length is < 12 or > MaxBlock) throw new HostException("what comes is no capture of sleeve's: is it another program's socket?");
        if (stream.Length < length) return false;
        block = new PcapngBlock(stream.Slice(0, length).ToArray());
        stream = stream.Slice(length);
        return true;
    }
}
