using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>An address with the length of its network, 10.0.0.1/24: an interface's address (host bits kept) or a route's destination.</summary>
internal readonly record struct AddressPrefix
{
    /// <summary>Makes a prefix.</summary>
    /// <param name="address">IPv4 or IPv6.</param>
    /// <param name="length">Bits, 0 to 32 or 128.</param>
    /// <exception cref="ArgumentOutOfRangeException">More bits than the address has.</exception>
    public AddressPrefix(InternetAddress address, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, address.Size * 8);
        Address = address;
        Length = length;
    }

    /// <summary>The address, host bits and all.</summary>
    public InternetAddress Address { get; }

    /// <summary>Bits of the network part.</summary>
    public int Length { get; }

    /// <summary>The prefix of one address: /32 or /128.</summary>
    public static AddressPrefix Of(InternetAddress address) => new(address, address.Size * 8);

    /// <summary>Reads ADDRESS/LENGTH; without a length it is that one address, as iproute2 has it.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out AddressPrefix prefix)
    {
        prefix = default;
        if (text is null) return false;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!InternetAddress.TryParse(slash < 0 ? text : text[..slash], out var address)) return false;
        var length = address.Size * 8;
        if (slash >= 0 && !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length)) return false;
        if (length > address.Size * 8) return false;
        prefix = new AddressPrefix(address, length);
        return true;
    }

    /// <summary>The same network with the host bits zero.</summary>
    public AddressPrefix Network()
    {
        Span<byte> bytes = stackalloc byte[16];
        Address.Write(bytes);
        for (var i = 0; i < Address.Size; i++)
        {
            var kept = Math.Clamp(Length - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xFF00 >> kept);
        }

        return new AddressPrefix(Address.IsIPv4 ? InternetAddress.ReadIPv4(bytes) : InternetAddress.ReadIPv6(bytes), Length);
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Address}/{Length}");
}
