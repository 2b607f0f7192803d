using System.Buffers.Binary;

namespace Sleeve.Control.Naming;

/// <summary>What is to become of a message that should be a query.</summary>
internal enum QueryVerdict
{
    /// <summary>It can be answered.</summary>
    Good,

    /// <summary>It is not answered at all: no header, or an answer itself. Two servers that answered those would go on for ever.</summary>
    Ignored,

    /// <summary>It is answered with <see cref="DnsCode.FormatError"/>.</summary>
    Malformed,

    /// <summary>It is answered with <see cref="DnsCode.NotImplemented"/>: an update, a notification.</summary>
    NotImplemented,

    /// <summary>It is answered with <see cref="DnsCode.BadVersion"/> (RFC 6891, section 6.1.3).</summary>
    BadVersion,
}

/// <summary>
/// A query of one question, a view over its bytes that cannot fail once read (RFC 1035, section 4; RFC 9619: there is one question; RFC 6891: EDNS).
/// <code>
///  0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
/// |                      ID                       |
/// |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
/// |        QDCOUNT        |       ANCOUNT         |   32 bits a line
/// |        NSCOUNT        |       ARCOUNT         |
/// |  QNAME ...            | QTYPE     | QCLASS    |
/// </code>
/// A name in a question is never compressed, since nothing stands before it that it could point to; names of other records are skipped and never expanded, so no pointer is followed.
/// </summary>
internal readonly ref struct DnsQuery
{
    /// <summary>Bytes of the header.</summary>
    public const int HeaderSize = 12;

    /// <summary>Bytes of a name at most, its lengths and the final zero included (RFC 1035, section 2.3.4).</summary>
    public const int MaxNameSize = 255;

    /// <summary>Bytes of an answer by UDP that everybody takes (RFC 1035, section 4.2.1).</summary>
    public const int LeastUdpSize = 512;

    /// <summary>Bytes of an answer by UDP at most: it fits IPv6's least MTU whole, so it is never fragmented.</summary>
    public const int MaxUdpSize = 1232;

    /// <summary>Records behind the question at most; there are one or two in practice.</summary>
    public const int MaxAdditional = 8;

    private const int FlagsOffset = 2;
    private const int CountsOffset = 4;
    private const int RecordSize = 10;
    private const ushort Response = 0x8000;
    private const ushort OpcodeBits = 0x7800;
    private const ushort EchoedFlags = 0x7910; // opcode, RD, CD
    private const ushort DnssecOkBit = 0x8000;
    private const byte PointerBits = 0xC0;

    /// <summary>The question with its type and class, as it came: an answer repeats it byte by byte. Empty if it could not be read.</summary>
    public ReadOnlySpan<byte> Question { get; private init; }

    /// <summary>What an answer repeats to be known.</summary>
    public ushort Id { get; private init; }

    /// <summary>The flags of the header.</summary>
    public ushort Flags { get; private init; }

    /// <summary>Type that is asked for.</summary>
    public ushort Type => BinaryPrimitives.ReadUInt16BigEndian(Question[^4..]);

    /// <summary>Class that is asked for.</summary>
    public ushort Class => BinaryPrimitives.ReadUInt16BigEndian(Question[^2..]);

    /// <summary>Whether there is an OPT record; then the answer has one too.</summary>
    public bool HasEdns { get; private init; }

    /// <summary>Bytes that the client takes by UDP, as it says; 512 without EDNS.</summary>
    public ushort PayloadSize { get; private init; }

    /// <summary>Whether it wants DNSSEC records (RFC 3225).</summary>
    public bool IsDnssecOk { get; private init; }

    /// <summary>Whether it wants an answer that others have to be asked for.</summary>
    public bool WantsRecursion => (Flags & 0x0100) != 0;

    /// <summary>Flags that an answer has as the query has them: opcode, RD, CD.</summary>
    public ushort FlagsToEcho => (ushort)(Flags & EchoedFlags);

    /// <summary>Bytes that the answer by UDP may have: what the client takes, 512 to <see cref="MaxUdpSize"/>.</summary>
    public int UdpLimit => Math.Clamp((int)PayloadSize, LeastUdpSize, MaxUdpSize);

    /// <summary>Reads a message.</summary>
    /// <param name="message">Bytes that a client sent; the view lives as long as they do.</param>
    /// <param name="query">What could be read of it: its id and flags, unless it is to be ignored.</param>
    public static QueryVerdict Read(ReadOnlySpan<byte> message, out DnsQuery query)
    {
        query = default;
        if (message.Length < HeaderSize) return QueryVerdict.Ignored;
        var flags = BinaryPrimitives.ReadUInt16BigEndian(message[FlagsOffset..]);
        if ((flags & Response) != 0) return QueryVerdict.Ignored;
        var id = BinaryPrimitives.ReadUInt16BigEndian(message);
        query = new DnsQuery { Id = id, Flags = flags, PayloadSize = LeastUdpSize };
        if ((flags & OpcodeBits) != 0) return QueryVerdict.NotImplemented;
        // One question, no answers, no authorities.
        if (BinaryPrimitives.ReadUInt64BigEndian(message[CountsOffset..]) >> 16 != 0x0001_0000_0000) return QueryVerdict.Malformed;
        var additional = BinaryPrimitives.ReadUInt16BigEndian(message[(HeaderSize - 2)..]);
        var at = HeaderSize;
        if (additional > MaxAdditional || !TrySkipPlainName(message, ref at) || message.Length < at + 4) return QueryVerdict.Malformed;
        at += 4;
        var question = message[HeaderSize..at];
        ReadOnlySpan<byte> opt = default;
        for (var i = 0; i < additional; i++)
        {
            var start = at;
            if (!TrySkipRecord(message, ref at, out var type)) return QueryVerdict.Malformed;
            if (type != DnsType.Opt) continue;
            // It belongs to the root, and there is one (RFC 6891, section 6.1.1).
            if (message[start] != 0 || !opt.IsEmpty || !AreOptions(message[(start + 1 + RecordSize)..at])) return QueryVerdict.Malformed;
            opt = message[(start + 1)..at];
        }

        if (at != message.Length) return QueryVerdict.Malformed;
        query = new DnsQuery
        {
            Id = id, Flags = flags, Question = question, HasEdns = !opt.IsEmpty, PayloadSize = opt.IsEmpty ? (ushort)LeastUdpSize : BinaryPrimitives.ReadUInt16BigEndian(opt[2..]),
            IsDnssecOk = !opt.IsEmpty && (BinaryPrimitives.ReadUInt16BigEndian(opt[6..]) & DnssecOkBit) != 0,
        };
        return !opt.IsEmpty && opt[5] != 0 ? QueryVerdict.BadVersion : QueryVerdict.Good;
    }

    /// <summary>
    /// Writes the name as text: in lower case (RFC 4343), without the final dot, "" for the root. A byte that no name here has becomes '?', be it a dot within a label. A label whose
    /// text begins at N has its length in byte N of the question.
    /// </summary>
    /// <param name="text">At least <see cref="MaxNameSize"/> long.</param>
    /// <returns>Characters written.</returns>
    public int CopyName(Span<char> text)
    {
        var (at, written) = (0, 0);
        for (int length; (length = Question[at]) != 0; at += 1 + length)
        {
            if (at > 0) text[written++] = '.';
            foreach (var octet in Question.Slice(at + 1, length))
                text[written++] = char.IsAsciiLetterOrDigit((char)octet) || octet is (byte)'-' or (byte)'_' ? char.ToLowerInvariant((char)octet) : '?';
        }

        return written;
    }

    /// <summary>Skips a record.</summary>
    /// <returns>False if it is not whole.</returns>
    public static bool TrySkipRecord(ReadOnlySpan<byte> message, ref int at, out ushort type)
    {
        type = 0;
        if (!TrySkipName(message, ref at) || message.Length - at < RecordSize) return false;
        type = BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
        at += RecordSize + BinaryPrimitives.ReadUInt16BigEndian(message[(at + RecordSize - 2)..]);
        return at <= message.Length;
    }

    /// <summary>Skips a name without a pointer in it.</summary>
    /// <returns>False if it is not whole, too long, or has something other than labels.</returns>
    public static bool TrySkipPlainName(ReadOnlySpan<byte> message, ref int at)
    {
        for (var start = at; at < message.Length && at - start < MaxNameSize;)
        {
            var length = message[at++];
            if (length == 0) return true;
            if ((length & PointerBits) != 0) return false;
            at += length;
        }

        return false;
    }

    // A pointer ends a name and is not followed; it must point behind itself, as it does in every message that can be expanded.
    private static bool TrySkipName(ReadOnlySpan<byte> message, ref int at)
    {
        for (var start = at; at < message.Length && at - start < MaxNameSize;)
        {
            var length = message[at++];
            if (length == 0) return true;
            if ((length & PointerBits) == PointerBits)
            {
                if (at >= message.Length) return false;
                var target = (length & ~PointerBits) << 8 | message[at++];
                return target >= HeaderSize && target < start;
            }

            if ((length & PointerBits) != 0) return false;
            at += length;
        }

        return false;
    }

    private static bool AreOptions(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (data.Length < 4) return false;
            var length = 4 + BinaryPrimitives.ReadUInt16BigEndian(data[2..]);
            if (length > data.Length) return false;
            data = data[length..];
        }

        return true;
    }
}
