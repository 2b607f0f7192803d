using System.Buffers.Binary;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Counting with addresses: an address as a number, the first and the last of a prefix, what lies in what.</summary>
internal static class PrefixArithmetic
{
    /// <summary>The address as a number of 32 or 128 bits, first byte on the wire most significant.</summary>
    public static UInt128 ToNumber(this InternetAddress address)
    {
        if (address.IsIPv4) return address.IPv4Value;
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    /// <summary>The address with a number.</summary>
    /// <param name="number">Of 32 bits for IPv4; what is above them is lost.</param>
    /// <param name="isIPv4">Of which family.</param>
    public static InternetAddress FromNumber(UInt128 number, bool isIPv4)
    {
        if (isIPv4) return InternetAddress.FromIPv4((uint)number);
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, number);
        return InternetAddress.ReadIPv6(bytes);
    }

    /// <summary>Bits of an address of its family: 32 or 128.</summary>
    public static int Width(this AddressPrefix prefix) => prefix.Address.Size * 8;

    /// <summary>Bits of the host part.</summary>
    public static int HostBits(this AddressPrefix prefix) => prefix.Width() - prefix.Length;

    /// <summary>Its addresses, all of them; 2^128 - 1 stands for 2^128.</summary>
    public static UInt128 Count(this AddressPrefix prefix) => prefix.HostBits() == 128 ? UInt128.MaxValue : UInt128.One << prefix.HostBits();

    /// <summary>Its first address as a number.</summary>
    public static UInt128 First(this AddressPrefix prefix) => prefix.Network().Address.ToNumber();

    /// <summary>Its last address as a number.</summary>
    public static UInt128 Last(this AddressPrefix prefix) => prefix.First() + (prefix.HostBits() == 128 ? UInt128.MaxValue : prefix.Count() - 1);

    /// <summary>Whether the host bits are zero.</summary>
    public static bool IsNetwork(this AddressPrefix prefix) => prefix.Network() == prefix;

    /// <summary>Whether an address lies in it.</summary>
    public static bool Contains(this AddressPrefix prefix, InternetAddress address) =>
        prefix.Address.IsIPv4 == address.IsIPv4 && new AddressPrefix(address, prefix.Length).Network() == prefix.Network();

    /// <summary>Whether all of another lies in it.</summary>
    public static bool Contains(this AddressPrefix prefix, AddressPrefix other) => other.Length >= prefix.Length && prefix.Contains(other.Address);

    /// <summary>Whether some address lies in both.</summary>
    public static bool Overlaps(this AddressPrefix prefix, AddressPrefix other) => prefix.Contains(other) || other.Contains(prefix);
}
