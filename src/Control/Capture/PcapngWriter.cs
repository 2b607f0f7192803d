using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Sleeve.Control.Capture;

/// <summary>Writes the blocks of a pcapng stream (draft-ietf-opsawg-pcapng), little-endian, time stamps in nanoseconds.</summary>
internal sealed class PcapngWriter(IBufferWriter<byte> output)
{
    /// <summary>LINKTYPE_ETHERNET.</summary>
    public const ushort Ethernet = 1;

    /// <summary>LINKTYPE_RAW: an IPv4 or IPv6 packet.</summary>
    public const ushort RawIp = 101;

    private const ushort EndOfOptions = 0, Comment = 1, InterfaceName = 2, InterfaceDescription = 3, PacketFlags = 2, TimeResolution = 9, DropCount = 5, UserApplication = 4;
    private const byte Nanoseconds = 9;

    /// <summary>The block that a stream begins with.</summary>
    public void Section(string application)
    {
        Span<byte> fixedPart = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(fixedPart, 0x1A2B3C4D);
        BinaryPrimitives.WriteUInt16LittleEndian(fixedPart[4..], 1);
        BinaryPrimitives.WriteUInt16LittleEndian(fixedPart[6..], 0);
        BinaryPrimitives.WriteInt64LittleEndian(fixedPart[8..], -1);
        Write(0x0A0D0D0A, fixedPart, default, [Text(UserApplication, application)]);
    }

    /// <summary>An interface; they are numbered from 0 as they are written.</summary>
    public void Interface(string name, string description, ushort linkType, int snapLength)
    {
        Span<byte> fixedPart = stackalloc byte[8];
        BinaryPrimitives.WriteUInt16LittleEndian(fixedPart, linkType);
        BinaryPrimitives.WriteUInt16LittleEndian(fixedPart[2..], 0);
        BinaryPrimitives.WriteInt32LittleEndian(fixedPart[4..], snapLength);
        Write(1, fixedPart, default, [Text(InterfaceName, name), Text(InterfaceDescription, description), (TimeResolution, [Nanoseconds])]);
    }

    /// <summary>A packet.</summary>
    /// <param name="link">Which interface.</param>
    /// <param name="nanoseconds">Since 1970.</param>
    /// <param name="bytes">What was kept of it.</param>
    /// <param name="originalLength">Its length.</param>
    /// <param name="isInbound">Its direction as the host sees the interface.</param>
    /// <param name="comment">Said of it; null for nothing.</param>
    public void Packet(int link, long nanoseconds, ReadOnlySpan<byte> bytes, int originalLength, bool isInbound, string? comment)
    {
        Span<byte> fixedPart = stackalloc byte[20];
        BinaryPrimitives.WriteInt32LittleEndian(fixedPart, link);
        BinaryPrimitives.WriteUInt32LittleEndian(fixedPart[4..], (uint)(nanoseconds >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(fixedPart[8..], (uint)nanoseconds);
        BinaryPrimitives.WriteInt32LittleEndian(fixedPart[12..], bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(fixedPart[16..], originalLength);
        byte[] flags = [isInbound ? (byte)1 : (byte)2, 0, 0, 0];
        Write(6, fixedPart, bytes, comment is null ? [(PacketFlags, flags)] : [(PacketFlags, flags), Text(Comment, comment)]);
    }

    /// <summary>How many packets of an interface were left out.</summary>
    public void Statistics(int link, long nanoseconds, long lost)
    {
        Span<byte> fixedPart = stackalloc byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(fixedPart, link);
        BinaryPrimitives.WriteUInt32LittleEndian(fixedPart[4..], (uint)(nanoseconds >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(fixedPart[8..], (uint)nanoseconds);
        var count = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(count, lost);
        Write(5, fixedPart, default, [(DropCount, count)]);
    }

    private static (ushort Code, byte[] Value) Text(ushort code, string text) => (code, Encoding.UTF8.GetBytes(text));

    private void Write(uint type, ReadOnlySpan<byte> fixedPart, ReadOnlySpan<byte> data, ReadOnlySpan<(ushort Code, byte[] Value)> options)
    {
        var optionsLength = 4;
        foreach (var option in options) optionsLength += 4 + Padded(option.Value.Length);
        var length = 12 + fixedPart.Length + Padded(data.Length) + optionsLength;
        var block = output.GetSpan(length)[..length];
        block.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(block, type);
        BinaryPrimitives.WriteInt32LittleEndian(block[4..], length);
        fixedPart.CopyTo(block[8..]);
        var at = 8 + fixedPart.Length;
        data.CopyTo(block[at..]);
        at += Padded(data.Length);
        foreach (var (code, value) in options)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(block[at..], code);
            BinaryPrimitives.WriteUInt16LittleEndian(block[(at + 2)..], (ushort)value.Length);
            value.CopyTo(block[(at + 4)..]);
            at += 4 + Padded(value.Length);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(block[at..], EndOfOptions);
        BinaryPrimitives.WriteInt32LittleEndian(block[(at + 4)..], length);
        output.Advance(length);
    }

    private static int Padded(int length) => (length + 3) & ~3;
}
