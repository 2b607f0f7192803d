using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Sleeve.DataPlane.Wire;

/// <summary>A 48-bit Ethernet address (IEEE 802-2014, section 8), held in the low bits of a number so that it is its own hash key.</summary>
public readonly record struct MacAddress
{
    /// <summary>Bytes on the wire.</summary>
    public const int Size = 6;

    private const ulong GroupBit = 1UL << 40;

    private MacAddress(ulong value) => Value = value;

    /// <summary>The address as a number, the first byte on the wire most significant; the upper 16 bits are zero.</summary>
    public ulong Value { get; }

    /// <summary>00:00:00:00:00:00, the key of the default destinations in an FDB; never a legal source.</summary>
    public static MacAddress Zero => default;

    /// <summary>ff:ff:ff:ff:ff:ff.</summary>
    public static MacAddress Broadcast => new(0xFFFF_FFFF_FFFFUL);

    /// <summary>True for multicast and broadcast: the lowest bit of the first byte.</summary>
    public bool IsGroup => (Value & GroupBit) != 0;

    /// <summary>True for 00:00:00:00:00:00.</summary>
    public bool IsZero => Value == 0;

    /// <summary>True for ff:ff:ff:ff:ff:ff.</summary>
    public bool IsBroadcast => Value == 0xFFFF_FFFF_FFFFUL;

    /// <summary>True if a station may send from it: neither group nor zero (the kernel's is_valid_ether_addr).</summary>
    public bool IsValidSource => !IsGroup && Value != 0;

    /// <summary>Takes the low 48 bits of a number.</summary>
    public static MacAddress FromValue(ulong value) => new(value & 0xFFFF_FFFF_FFFFUL);

    /// <summary>Reads the first 6 bytes.</summary>
    public static MacAddress Read(ReadOnlySpan<byte> source) =>
        new(((ulong)BinaryPrimitives.ReadUInt16BigEndian(source) << 32) | BinaryPrimitives.ReadUInt32BigEndian(source[2..]));

    /// <summary>Writes 6 bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16BigEndian(destination, (ushort)(Value >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(destination[2..], (uint)Value);
    }

    /// <summary>Reads six groups of one or two hexadecimal digits separated by ':' throughout or '-' throughout, as iproute2 takes them.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out MacAddress address)
    {
        address = default;
        if (text is null || text.Length > 17) return false;
        var separator = text.Contains('-', StringComparison.Ordinal) ? '-' : ':';
        ulong value = 0;
        var groups = 0;
        foreach (var range in text.AsSpan().Split(separator))
        {
            var group = text.AsSpan()[range];
            // Number parsing would take a NUL behind a digit.
            if (++groups > Size || group.Length is 0 or > 2 || !char.IsAsciiHexDigit(group[^1])
                || !byte.TryParse(group, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var octet)) return false;
            value = (value << 8) | octet;
        }

        if (groups != Size) return false;
        address = new MacAddress(value);
        return true;
    }

    /// <summary>Lower-case hexadecimal with colons, as iproute2 prints it.</summary>
    public override string ToString() => string.Create(17, Value, static (chars, value) =>
    {
        for (var i = 0; i < Size; i++)
        {
            var octet = (byte)(value >> (40 - (8 * i)));
            octet.TryFormat(chars[(i * 3)..], out _, "x2", CultureInfo.InvariantCulture);
            if (i < Size - 1) chars[(i * 3) + 2] = ':';
        }
    });
}
