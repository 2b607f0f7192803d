using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>What an echo message is.</summary>
public enum EchoKind : byte
{
    /// <summary>Asks.</summary>
    Request = 1,

    /// <summary>Answers.</summary>
    Reply = 2,
}

/// <summary>What the one who asks wants, and what the one who answers says.</summary>
[Flags]
public enum EchoWishes : byte
{
    /// <summary>An answer as long as the request.</summary>
    None = 0,

    /// <summary>Asked for: an answer of <see cref="EchoMessage.Size"/> bytes, so that only the way there is measured.</summary>
    Brief = 1,

    /// <summary>Asked for: no answer; it is only counted.</summary>
    Silent = 2,

    /// <summary>Asked for: an answer that must not be fragmented.</summary>
    DontFragment = 4,

    /// <summary>Said: the request arrived together with others of its flow (UDP_GRO).</summary>
    Coalesced = 128,
}

/// <summary>
/// A message that asks a Sleeve for an answer, to measure the path (<c>sleeve doctor REMOTE</c>). It stands in a VXLAN datagram without the I flag, which
/// every VTEP drops (RFC 7348, section 5), and with the O bit, which draft-ietf-nvo3-vxlan-gpe gives to operations and maintenance. All numbers big-endian:
/// <code>
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |0|0|0|0|0|0|0|1|                  zero                         |
/// |                      VNI                      |     zero      |
/// |                "Slve": 53 6c 76 65                            |
/// |                nonce of the one who asks (64 bits)            |
/// |                                                               |
/// |  version = 1  |     kind      |     flags     | TOS, received |
/// |                sequence number                                |
/// |        requests of this nonce received so far                 |
/// |        how many of them came late                             |
/// |        nanoseconds from receipt to answer                     |
/// |        nanoseconds from the first request of the nonce        |
/// |        to the last before this one                      (64)  |
/// |        bytes of the requests of this nonce                    |
/// |        before this one                                  (64)  |
/// |        bytes of this request                                  |
/// |        padding, as the request has it                         |
/// </code>
/// What only an answer says is zero in a request. Magic and nonce stand where a frame has its MAC addresses and the version where it has its type, so that what
/// spreads datagrams by inner addresses keeps those of one nonce together. Not authenticated: the nonce keeps others from answering, admission and a limit keep
/// it from being of use to them (Pipeline/EchoDesk.cs).
/// </summary>
public readonly record struct EchoMessage
{
    /// <summary>Bytes of a message without padding, its VXLAN header included.</summary>
    public const int Size = 64;

    private const uint Flags0 = 0x0100_0000;
    private const uint Magic = 0x536C_7665;
    private const byte Version = 1;
    private const int VniOffset = 4;
    private const int MagicOffset = 8;
    private const int NonceOffset = 12;
    private const int VersionOffset = 20;
    private const int KindOffset = 21;
    private const int FlagsOffset = 22;
    private const int TypeOfServiceOffset = 23;
    private const int SequenceOffset = 24;
    private const int CountOffset = 28;
    private const int LateOffset = 32;
    private const int ResidenceOffset = 36;
    private const int ElapsedOffset = 40;
    private const int BytesOffset = 48;
    private const int LengthOffset = 56;
    private const int ReservedOffset = 60;

    /// <summary>The segment whose VTEPs may ask.</summary>
    public Vni Vni { get; init; }

    /// <summary>What it is.</summary>
    public EchoKind Kind { get; init; }

    /// <summary>What is asked for, or said.</summary>
    public EchoWishes Flags { get; init; }

    /// <summary>TOS or traffic class with which the request arrived.</summary>
    public byte TypeOfService { get; init; }

    /// <summary>A random number of the one who asks.</summary>
    public ulong Nonce { get; init; }

    /// <summary>Counts the requests of a run.</summary>
    public uint Sequence { get; init; }

    /// <summary>Requests of this nonce received so far, this one included.</summary>
    public uint Count { get; init; }

    /// <summary>How many of them came after one with a higher sequence number.</summary>
    public uint Late { get; init; }

    /// <summary>Nanoseconds from receipt to answer.</summary>
    public uint ResidenceNanoseconds { get; init; }

    /// <summary>Nanoseconds from the first request of the nonce to the last that came before this one.</summary>
    public ulong ElapsedNanoseconds { get; init; }

    /// <summary>UDP payload bytes of the requests of the nonce that came before this one.</summary>
    public ulong Bytes { get; init; }

    /// <summary>UDP payload bytes of this request.</summary>
    public uint Length { get; init; }

    /// <summary>Reads a message; false for anything that is not exactly one.</summary>
    /// <param name="datagram">A UDP payload, its VXLAN header first.</param>
    /// <param name="message">The message.</param>
    public static bool TryParse(ReadOnlySpan<byte> datagram, out EchoMessage message)
    {
        message = default;
        if (datagram.Length < Size || BinaryPrimitives.ReadUInt32BigEndian(datagram) != Flags0 || datagram[VniOffset + 3] != 0) return false;
        if (BinaryPrimitives.ReadUInt32BigEndian(datagram[MagicOffset..]) != Magic || datagram[VersionOffset] != Version) return false;
        var kind = (EchoKind)datagram[KindOffset];
        if (kind is not (EchoKind.Request or EchoKind.Reply)) return false;
        message = new EchoMessage
        {
            Vni = new Vni(BinaryPrimitives.ReadUInt32BigEndian(datagram[VniOffset..]) >> 8),
            Kind = kind,
            Flags = (EchoWishes)datagram[FlagsOffset],
            TypeOfService = datagram[TypeOfServiceOffset],
            Nonce = BinaryPrimitives.ReadUInt64BigEndian(datagram[NonceOffset..]),
            Sequence = BinaryPrimitives.ReadUInt32BigEndian(datagram[SequenceOffset..]),
            Count = BinaryPrimitives.ReadUInt32BigEndian(datagram[CountOffset..]),
            Late = BinaryPrimitives.ReadUInt32BigEndian(datagram[LateOffset..]),
            ResidenceNanoseconds = BinaryPrimitives.ReadUInt32BigEndian(datagram[ResidenceOffset..]),
            ElapsedNanoseconds = BinaryPrimitives.ReadUInt64BigEndian(datagram[ElapsedOffset..]),
            Bytes = BinaryPrimitives.ReadUInt64BigEndian(datagram[BytesOffset..]),
            Length = BinaryPrimitives.ReadUInt32BigEndian(datagram[LengthOffset..]),
        };
        return true;
    }

    /// <summary>Writes <see cref="Size"/> bytes; padding is the caller's.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Flags0);
        BinaryPrimitives.WriteUInt32BigEndian(destination[VniOffset..], Vni.Value << 8);
        BinaryPrimitives.WriteUInt32BigEndian(destination[MagicOffset..], Magic);
        BinaryPrimitives.WriteUInt64BigEndian(destination[NonceOffset..], Nonce);
        destination[VersionOffset] = Version;
        destination[KindOffset] = (byte)Kind;
        destination[FlagsOffset] = (byte)Flags;
        destination[TypeOfServiceOffset] = TypeOfService;
        BinaryPrimitives.WriteUInt32BigEndian(destination[SequenceOffset..], Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(destination[CountOffset..], Count);
        BinaryPrimitives.WriteUInt32BigEndian(destination[LateOffset..], Late);
        BinaryPrimitives.WriteUInt32BigEndian(destination[ResidenceOffset..], ResidenceNanoseconds);
        BinaryPrimitives.WriteUInt64BigEndian(destination[ElapsedOffset..], ElapsedNanoseconds);
        BinaryPrimitives.WriteUInt64BigEndian(destination[BytesOffset..], Bytes);
        BinaryPrimitives.WriteUInt32BigEndian(destination[LengthOffset..], Length);
        BinaryPrimitives.WriteUInt32BigEndian(destination[ReservedOffset..], 0);
    }
}
