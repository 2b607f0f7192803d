using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// Writes an answer of ours, record by record, into bytes of the caller: header, the question as it came, records whose owner is a part of the question's name (by a pointer, RFC 1035,
/// section 4.1.4), and the OPT record if the query had one. What does not fit any more is left out and said (TC).
/// </summary>
internal ref struct DnsReply
{
    /// <summary>Bytes of the longest answer: header, question, OPT, and <see cref="NetworkResolver.MaxAddresses"/> IPv6 addresses.</summary>
    public const int MaxSize = DnsQuery.HeaderSize + DnsQuery.MaxNameSize + 4 + OptSize + (NetworkResolver.MaxAddresses * (RecordHeaderSize + 16));

    private const int RecordHeaderSize = 12;
    private const int OptSize = 11;
    private const ushort ResponseFlags = 0x8080; // QR, RA
    private const ushort AuthoritativeFlag = 0x0400;
    private const ushort TruncatedFlag = 0x0200;
    private const ushort Pointer = 0xC000;
    private readonly Span<byte> _bytes;
    private readonly int _limit;
    private readonly bool _hasEdns;
    private readonly ushort _id;
    private readonly bool _hasQuestion;
    private ushort _flags;
    private DnsCode _code;
    private int _length;
    private ushort _answers;
    private ushort _authorities;

    /// <summary>Begins an answer.</summary>
    /// <param name="bytes">Where to; every byte up to the length is written.</param>
    /// <param name="query">What is answered.</param>
    /// <param name="limit">Bytes that the client takes, 512 or more.</param>
    public DnsReply(Span<byte> bytes, in DnsQuery query, int limit)
    {
        _bytes = bytes;
        _hasEdns = query.HasEdns;
        _limit = Math.Min(limit, bytes.Length) - (_hasEdns ? OptSize : 0);
        (_id, _flags, _hasQuestion) = (query.Id, (ushort)(query.FlagsToEcho | ResponseFlags), !query.Question.IsEmpty);
        query.Question.CopyTo(bytes[DnsQuery.HeaderSize..]);
        _length = DnsQuery.HeaderSize + query.Question.Length;
        Debug.Assert(_length <= _limit, "a question fits into 512 bytes");
    }

    /// <summary>What it says of the whole.</summary>
    public void SetCode(DnsCode code, bool isAuthoritative)
    {
        _code = code;
        if (isAuthoritative) _flags |= AuthoritativeFlag;
    }

    /// <summary>Says that something is left out, so the client asks again by TCP.</summary>
    public void SetTruncated() => _flags |= TruncatedFlag;

    /// <summary>Adds an address of the name that was asked for.</summary>
    /// <returns>False if it does not fit; the answer says so then.</returns>
    public bool TryAddAddress(InternetAddress address, int ttlSeconds)
    {
        if (!TryBegin(0, address.IsIPv4 ? DnsType.A : DnsType.Aaaa, ttlSeconds, address.Size, out var data)) return false;
        address.Write(data);
        _answers++;
        return true;
    }

    /// <summary>Adds the name of the address that was asked for.</summary>
    /// <param name="name">Labels with dots between them, 253 characters at most.</param>
    /// <param name="ttlSeconds">How long it may be kept.</param>
    public void AddPointer(string name, int ttlSeconds)
    {
        if (!TryBegin(0, DnsType.Ptr, ttlSeconds, name.Length + 2, out var data)) return;
        foreach (var label in name.Split('.'))
        {
            data[0] = (byte)label.Length;
            data = data[(1 + Encoding.ASCII.GetBytes(label, data[1..]))..];
        }

        data[0] = 0;
        _answers++;
    }

    /// <summary>Adds what is answered to a question for everything: that nobody needs to know (RFC 8482, section 4.2).</summary>
    public void AddMinimal(int ttlSeconds)
    {
        if (!TryBegin(0, DnsType.HInfo, ttlSeconds, 9, out var data)) return;
        "\u0007RFC8482\0"u8.CopyTo(data);
        _answers++;
    }

    /// <summary>Adds the start of the zone that answers: for whoever asks for it, or as the reason why there is nothing (RFC 2308).</summary>
    /// <param name="zone">Where in the question's name the zone begins, in bytes.</param>
    /// <param name="serial">Of the zone.</param>
    /// <param name="ttlSeconds">How long it, and that there is nothing, may be kept.</param>
    /// <param name="isAnswer">Whether it is what was asked for.</param>
    public void AddZone(int zone, uint serial, int ttlSeconds, bool isAnswer)
    {
        var mailbox = "\u000Ahostmaster"u8;
        if (!TryBegin(zone, DnsType.Soa, ttlSeconds, 2 + mailbox.Length + 2 + 20, out var data)) return;
        var owner = (ushort)(Pointer | (DnsQuery.HeaderSize + zone));
        BinaryPrimitives.WriteUInt16BigEndian(data, owner);
        mailbox.CopyTo(data[2..]);
        BinaryPrimitives.WriteUInt16BigEndian(data[(2 + mailbox.Length)..], owner);
        var numbers = data[^20..];
        BinaryPrimitives.WriteUInt32BigEndian(numbers, serial);
        // Refresh, retry, expire are for secondary servers, of which there is none; the last says how long a negative answer may be kept.
        foreach (var seconds in (ReadOnlySpan<int>)[60, 10, 600, ttlSeconds])
        {
            numbers = numbers[4..];
            BinaryPrimitives.WriteInt32BigEndian(numbers, seconds);
        }

        if (isAnswer) _answers++;
        else _authorities++;
    }

    /// <summary>Ends it.</summary>
    /// <returns>Its length in bytes.</returns>
    public int Finish()
    {
        BinaryPrimitives.WriteUInt16BigEndian(_bytes, _id);
        BinaryPrimitives.WriteUInt16BigEndian(_bytes[2..], (ushort)(_flags | ((int)_code & 0xF)));
        BinaryPrimitives.WriteUInt16BigEndian(_bytes[4..], _hasQuestion ? (ushort)1 : (ushort)0);
        BinaryPrimitives.WriteUInt16BigEndian(_bytes[6..], _answers);
        BinaryPrimitives.WriteUInt16BigEndian(_bytes[8..], _authorities);
        BinaryPrimitives.WriteUInt16BigEndian(_bytes[10..], _hasEdns ? (ushort)1 : (ushort)0);
        if (!_hasEdns) return _length;
        WriteOpt(_bytes[_length..], (byte)((int)_code >> 4), isDnssecOk: false);
        return _length + OptSize;
    }

    /// <summary>Writes an OPT record without options (RFC 6891, section 6.1.2).</summary>
    /// <param name="destination">At least 11 bytes.</param>
    /// <param name="extendedCode">The upper 8 bits of the code.</param>
    /// <param name="isDnssecOk">Whether DNSSEC records are wanted.</param>
    /// <returns>Bytes written.</returns>
    public static int WriteOpt(Span<byte> destination, byte extendedCode, bool isDnssecOk)
    {
        destination[..OptSize].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(destination[1..], DnsType.Opt);
        BinaryPrimitives.WriteUInt16BigEndian(destination[3..], DnsQuery.MaxUdpSize);
        destination[5] = extendedCode;
        destination[7] = isDnssecOk ? (byte)0x80 : (byte)0;
        return OptSize;
    }

    private bool TryBegin(int owner, ushort type, int ttlSeconds, int size, out Span<byte> data)
    {
        data = default;
        if (_length + RecordHeaderSize + size > _limit)
        {
            SetTruncated();
            return false;
        }

        var header = _bytes[_length..];
        BinaryPrimitives.WriteUInt16BigEndian(header, (ushort)(Pointer | (DnsQuery.HeaderSize + owner)));
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], type);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], DnsType.ClassIn);
        BinaryPrimitives.WriteInt32BigEndian(header[6..], ttlSeconds);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], (ushort)size);
        data = header.Slice(RecordHeaderSize, size);
        _length += RecordHeaderSize + size;
        return true;
    }
}
