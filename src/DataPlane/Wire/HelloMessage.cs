using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>What a hello says of the one who sends it.</summary>
[Flags]
public enum HelloSigns : byte
{
    /// <summary>Nothing: it is there.</summary>
    None = 0,

    /// <summary>It hears the one it is sent to.</summary>
    HearsYou = 1,

    /// <summary>It stops; nothing more will come.</summary>
    Leaving = 2,
}

/// <summary>
/// A sign of life from VTEP to VTEP, as BFD's control packet is one (RFC 5880, section 4.1): each side sends them at its own pace, and each says what it heard of the other. It stands in a VXLAN datagram
/// without the I flag, as an echo message does (<see cref="EchoMessage"/>). All numbers big-endian:
/// <code>
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |0|0|0|0|0|0|0|1|                  zero                         |
/// |                            zero                               |
/// |                "Slve": 53 6c 76 65                            |
/// |                nonce of the one who sends (64 bits)           |
/// |                                                               |
/// |  version = 1  |   kind = 3    |     flags     |     zero      |
/// |                sequence number                                |
/// |        the last sequence number heard of the receiver         |
/// |        microseconds from hearing it to this                   |
/// |        nonce of the receiver; 0: not known yet                |
/// |                                                          (64) |
/// |        milliseconds between two of these                      |
/// </code>
/// The nonces are BFD's discriminators, random and of 64 bits: who does not read what the two send each other cannot know the receiver's, and what does not bear it proves nothing.
/// </summary>
public readonly record struct HelloMessage
{
    /// <summary>Bytes of a message, its VXLAN header included.</summary>
    public const int Size = 48;

    private const uint Flags0 = 0x0100_0000;
    private const uint Magic = 0x536C_7665;
    private const byte Version = 1;
    private const byte Kind = 3;
    private const int ZeroOffset = 4;
    private const int MagicOffset = 8;
    private const int NonceOffset = 12;
    private const int VersionOffset = 20;
    private const int KindOffset = 21;
    private const int FlagsOffset = 22;
    private const int ReservedOffset = 23;
    private const int SequenceOffset = 24;
    private const int HeardOffset = 28;
    private const int HeldOffset = 32;
    private const int YoursOffset = 36;
    private const int IntervalOffset = 44;

    /// <summary>Random number of the one who sends, never 0.</summary>
    public ulong Nonce { get; init; }

    /// <summary>That of the receiver; 0 if it is not known yet.</summary>
    public ulong Yours { get; init; }

    /// <summary>What it says.</summary>
    public HelloSigns Flags { get; init; }

    /// <summary>Counts what is sent under the nonce, from 1.</summary>
    public uint Sequence { get; init; }

    /// <summary>The last sequence number heard of the receiver; 0 if none was.</summary>
    public uint Heard { get; init; }

    /// <summary>Microseconds from hearing that to this.</summary>
    public uint HeldMicroseconds { get; init; }

    /// <summary>Milliseconds between two of the sender's.</summary>
    public uint IntervalMilliseconds { get; init; }

    /// <summary>Reads a message; false for anything that is not exactly one.</summary>
    /// <param name="datagram">A UDP payload, its VXLAN header first.</param>
    /// <param name="message">The message.</param>
    public static bool TryParse(ReadOnlySpan<byte> datagram, out HelloMessage message)
    {
        message = default;
        if (datagram.Length < Size || BinaryPrimitives.ReadUInt32BigEndian(datagram) != Flags0 || BinaryPrimitives.ReadUInt32BigEndian(datagram[ZeroOffset..]) != 0) return false;
        if (BinaryPrimitives.ReadUInt32BigEndian(datagram[MagicOffset..]) != Magic || datagram[VersionOffset] != Version || datagram[KindOffset] != Kind) return false;
        var nonce = BinaryPrimitives.ReadUInt64BigEndian(datagram[NonceOffset..]);
        if (nonce == 0) return false;
        message = new HelloMessage
        {
            Nonce = nonce,
            Yours = BinaryPrimitives.ReadUInt64BigEndian(datagram[YoursOffset..]),
            Flags = (HelloSigns)datagram[FlagsOffset],
            Sequence = BinaryPrimitives.ReadUInt32BigEndian(datagram[SequenceOffset..]),
            Heard = BinaryPrimitives.ReadUInt32BigEndian(datagram[HeardOffset..]),
            HeldMicroseconds = BinaryPrimitives.ReadUInt32BigEndian(datagram[HeldOffset..]),
            IntervalMilliseconds = BinaryPrimitives.ReadUInt32BigEndian(datagram[IntervalOffset..]),
        };
        return true;
    }

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Flags0);
        BinaryPrimitives.WriteUInt32BigEndian(destination[ZeroOffset..], 0);
        BinaryPrimitives.WriteUInt32BigEndian(destination[MagicOffset..], Magic);
        BinaryPrimitives.WriteUInt64BigEndian(destination[NonceOffset..], Nonce);
        destination[VersionOffset] = Version;
        destination[KindOffset] = Kind;
        destination[FlagsOffset] = (byte)Flags;
        destination[ReservedOffset] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[SequenceOffset..], Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(destination[HeardOffset..], Heard);
        BinaryPrimitives.WriteUInt32BigEndian(destination[HeldOffset..], HeldMicroseconds);
        BinaryPrimitives.WriteUInt64BigEndian(destination[YoursOffset..], Yours);
        BinaryPrimitives.WriteUInt32BigEndian(destination[IntervalOffset..], IntervalMilliseconds);
    }
}
