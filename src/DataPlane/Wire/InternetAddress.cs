using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// An IPv4 or IPv6 address in 16 bytes, without allocation. IPv4 is held as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2), which never
/// appears on the wire, so the family needs no field of its own. The default value is the IPv6 unspecified address.
/// </summary>
public readonly record struct InternetAddress
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000UL;
    private static readonly ulong HashKey1 = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    private static readonly ulong HashKey2 = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    private readonly ulong _high;
    private readonly ulong _low;

    private InternetAddress(ulong high, ulong low)
    {
        _high = high;
        _low = low;
    }

    /// <summary>0.0.0.0.</summary>
    public static InternetAddress AnyIPv4 => FromIPv4(0);

    /// <summary>::.</summary>
    public static InternetAddress AnyIPv6 => default;

    /// <summary>True for an IPv4 address.</summary>
    public bool IsIPv4 => _high == 0 && (_low & 0xFFFF_FFFF_0000_0000UL) == MappedPrefix;

    /// <summary>True for 0.0.0.0 and ::.</summary>
    public bool IsUnspecified => _high == 0 && (_low == 0 || _low == MappedPrefix);

    /// <summary>True for 224.0.0.0/4 and ff00::/8.</summary>
    public bool IsMulticast => IsIPv4 ? ((uint)_low >> 28) == 0xE : (_high >> 56) == 0xFF;

    /// <summary>True for 127.0.0.0/8 and ::1.</summary>
    public bool IsLoopback => IsIPv4 ? ((uint)_low >> 24) == 127 : _high == 0 && _low == 1;

    /// <summary>True for fe80::/10 (RFC 4291, section 2.5.6), which needs an interface to mean anything.</summary>
    public bool IsIPv6LinkLocal => (_high >> 54) == 0x3FA;

    /// <summary>True for ff02::1:ff00:0/104, where neighbour solicitations go (RFC 4291, section 2.7.1).</summary>
    public bool IsSolicitedNode => _high == 0xFF02_0000_0000_0000UL && _low >> 24 == 0x0000_0001_FFUL;

    /// <summary>True for 255.255.255.255.</summary>
    public bool IsIPv4Broadcast => IsIPv4 && (uint)_low == uint.MaxValue;

    /// <summary>Bytes on the wire: 4 or 16.</summary>
    public int Size => IsIPv4 ? 4 : 16;

    /// <summary>The 32 bits of an IPv4 address, first byte most significant. Meaningless for IPv6.</summary>
    public uint IPv4Value => (uint)_low;

    /// <summary>Makes an IPv4 address of 32 bits, first byte on the wire most significant.</summary>
    public static InternetAddress FromIPv4(uint value) => new(0, MappedPrefix | value);

    /// <summary>Reads 4 bytes.</summary>
    public static InternetAddress ReadIPv4(ReadOnlySpan<byte> source) => FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(source));

    /// <summary>Reads 16 bytes.</summary>
    public static InternetAddress ReadIPv6(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        if (IsIPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)_low);
            return;
        }

        WriteMapped(destination);
    }

    /// <summary>Writes 16 bytes, an IPv4 address in its ::ffff: form.</summary>
    public void WriteMapped(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _high);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _low);
    }

    /// <summary>Reads dotted-quad IPv4 (four decimal parts, nothing shorter) or any IPv6 text without a zone.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out InternetAddress address)
    {
        address = default;
        if (text is null || text.Length > 45 || text.Contains('%', StringComparison.Ordinal) || text.Contains('[', StringComparison.Ordinal)) return false;
        if (!IPAddress.TryParse(text, out var parsed)) return false;
        // IPAddress takes "10" and "0x7f.1" for IPv4, and "::010.0.0.1"; an operator who types those has made a mistake.
        var quad = text[(text.LastIndexOf(':') + 1)..];
        if ((parsed.AddressFamily == AddressFamily.InterNetwork || quad.Contains('.', StringComparison.Ordinal))
            && (!IPAddress.TryParse(quad, out var four) || four.ToString() != quad)) return false;
        address = FromIPAddress(parsed);
        return true;
    }

    /// <summary>Converts from the BCL's type; a scope id is not kept.</summary>
    public static InternetAddress FromIPAddress(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var written);
        return written == 4 ? ReadIPv4(bytes) : ReadIPv6(bytes);
    }

    /// <summary>Converts to the BCL's type (allocates).</summary>
    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        Write(bytes);
        return new IPAddress(bytes[..Size]);
    }

    /// <summary>
    /// A hash spread over all 32 bits, keyed anew in each process: who chooses the addresses, as strangers on the wire do, cannot make them
    /// collide. One folded multiplication, as in wyhash.
    /// </summary>
    public override int GetHashCode()
    {
        var product = Math.BigMul(_high ^ HashKey1, _low ^ HashKey2);
        var mixed = (ulong)product ^ (ulong)(product >> 64);
        return (int)(mixed >> 32) ^ (int)mixed;
    }

    /// <summary>The usual text form (RFC 5952 for IPv6).</summary>
    public override string ToString() => ToIPAddress().ToString();
}
