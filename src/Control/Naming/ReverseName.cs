using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>Addresses as names: 4.3.2.1.in-addr.arpa (RFC 1035, section 3.5) and 32 nibbles under ip6.arpa (RFC 3596, section 2.5).</summary>
internal static class ReverseName
{
    private const string IPv4Suffix = "in-addr.arpa";
    private const string IPv6Suffix = "ip6.arpa";

    /// <summary>Reads a name.</summary>
    /// <param name="name">In lower case, without the final dot.</param>
    /// <param name="prefix">The address, or what all addresses below the name begin with.</param>
    /// <param name="isExact">Whether the name says nothing beyond <paramref name="prefix"/>: "x.2.1.in-addr.arpa" does.</param>
    /// <returns>False if it is no such name.</returns>
    public static bool TryParse(ReadOnlySpan<char> name, out AddressPrefix prefix, out bool isExact)
    {
        var isIPv4 = name.EndsWith(IPv4Suffix, StringComparison.Ordinal);
        (prefix, isExact) = (default, false);
        if (!isIPv4 && !name.EndsWith(IPv6Suffix, StringComparison.Ordinal)) return false;
        var rest = name[..^(isIPv4 ? IPv4Suffix : IPv6Suffix).Length];
        if (rest is [.., not '.']) return false;
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        var (bits, step, most) = isIPv4 ? (0, 8, 32) : (0, 4, 128);
        while (rest.Length > 1 && bits < most)
        {
            var label = rest[(rest[..^1].LastIndexOf('.') + 1)..^1];
            if (!(isIPv4 ? TryOctet(label, out var value) : TryNibble(label, out value))) break;
            bytes[bits / 8] |= (byte)(isIPv4 || bits % 8 != 0 ? value : value << 4);
            bits += step;
            rest = rest[..^(label.Length + 1)];
        }

        var address = isIPv4 ? InternetAddress.ReadIPv4(bytes) : InternetAddress.ReadIPv6(bytes);
        // ::ffff:0:0/96 stands for IPv4 in programs and is nobody's address.
        if (address.IsIPv4 != isIPv4) return false;
        prefix = new AddressPrefix(address, bits);
        isExact = rest.IsEmpty;
        return true;
    }

    /// <summary>The name of an address.</summary>
    public static string Of(InternetAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        var text = new System.Text.StringBuilder();
        for (var i = address.Size - 1; i >= 0; i--)
        {
            if (address.IsIPv4) text.Append(CultureInfo.InvariantCulture, $"{bytes[i]}.");
            else text.Append(CultureInfo.InvariantCulture, $"{bytes[i] & 0xF:x}.{bytes[i] >> 4:x}.");
        }

        return text.Append(address.IsIPv4 ? IPv4Suffix : IPv6Suffix).ToString();
    }

    /// <summary>How many labels at the end of a name say the network part of a prefix, whole octets or nibbles of it, and the suffix.</summary>
    public static int LabelsOf(AddressPrefix network) => 2 + (network.Address.IsIPv4 ? (network.Length + 7) / 8 : (network.Length + 3) / 4);

    // "01" is another label than "1", and no part of an address.
    private static bool TryOctet(ReadOnlySpan<char> label, out int value)
    {
        value = 0;
        return label.Length is > 0 and <= 3 && (label.Length == 1 || label[0] != '0') && int.TryParse(label, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= 255;
    }

    private static bool TryNibble(ReadOnlySpan<char> label, out int value)
    {
        value = 0;
        return label.Length == 1 && int.TryParse(label, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
