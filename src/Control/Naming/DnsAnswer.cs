using System.Buffers.Binary;

namespace Sleeve.Control.Naming;

/// <summary>
/// An answer of another server, as far as one who passes it on has to understand it: that it answers what was asked (RFC 5452, section 9.1) and that its records are whole.
/// No name in it is expanded.
/// </summary>
internal readonly ref struct DnsAnswer
{
    /// <summary>Records at most: more do not fit into 64 KiB, with one byte of a name each.</summary>
    public const int MaxRecords = 65536 / 11;

    private const ushort ResponseFlag = 0x8000;
    private const ushort OpcodeBits = 0x7800;
    private const ushort TruncatedFlag = 0x0200;

    /// <summary>What it says of the whole; the upper bits of an OPT record are left out.</summary>
    public DnsCode Code { get; private init; }

    /// <summary>Whether something was left out for lack of room: by TCP there is more.</summary>
    public bool IsTruncated { get; private init; }

    /// <summary>Reads a message.</summary>
    /// <param name="message">Bytes that came from a server.</param>
    /// <param name="id">The id that the question was sent with.</param>
    /// <param name="question">The question that was sent.</param>
    /// <param name="answer">The answer.</param>
    /// <returns>False if it answers something else, or cannot be read.</returns>
    public static bool TryRead(ReadOnlySpan<byte> message, ushort id, ReadOnlySpan<byte> question, out DnsAnswer answer)
    {
        answer = default;
        if (message.Length < DnsQuery.HeaderSize || BinaryPrimitives.ReadUInt16BigEndian(message) != id) return false;
        var flags = BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        if ((flags & (ResponseFlag | OpcodeBits)) != ResponseFlag || BinaryPrimitives.ReadUInt16BigEndian(message[4..]) != 1) return false;
        var at = DnsQuery.HeaderSize + question.Length;
        if (message.Length < at || !IsSameQuestion(message[DnsQuery.HeaderSize..at], question)) return false;
        answer = new DnsAnswer { Code = (DnsCode)(flags & 0xF), IsTruncated = (flags & TruncatedFlag) != 0 };
        // What is cut off may be cut off anywhere; nobody looks behind the question then.
        if (answer.IsTruncated) return true;
        var records = BinaryPrimitives.ReadUInt16BigEndian(message[6..]) + BinaryPrimitives.ReadUInt16BigEndian(message[8..]) + BinaryPrimitives.ReadUInt16BigEndian(message[10..]);
        if (records > MaxRecords) return false;
        for (; records > 0; records--)
            if (!DnsQuery.TrySkipRecord(message, ref at, out _)) return false;
        return at == message.Length;
    }

    // In any case of its letters (RFC 4343). Lengths of labels, at most 63, are no letters.
    private static bool IsSameQuestion(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        var name = one.Length - 4;
        for (var i = 0; i < name; i++)
            if (Lower(one[i]) != Lower(other[i])) return false;
        return one[name..].SequenceEqual(other[name..]);
    }

    private static byte Lower(byte octet) => octet is >= (byte)'A' and <= (byte)'Z' ? (byte)(octet | 0x20) : octet;
}
