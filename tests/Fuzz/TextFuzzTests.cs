using System.Globalization;
using System.Text.RegularExpressions;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>What operators type, against parsers by regular expression and by splitting.</summary>
public sealed partial class TextFuzzTests
{
    private const int Cases = 200_000;
    private const string Letters = "0123456789abcdefABCDEF:::...--gx/%[] +\t\0é";

    private static readonly string[] Macs = ["02:11:22:33:44:55", "2:1:a:B:c:0", "02-11-22-33-44-55", "ff:ff:ff:ff:ff:ff"];

    private static readonly string[] Addresses =
        ["10.0.0.1", "255.255.255.255", "0.0.0.0", "::", "::1", "2001:db8::1", "fe80:0:0:0:1:2:3:4", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8", "64:ff9b::192.0.2.33"];

    [GeneratedRegex("^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}\\z|^[0-9a-fA-F]{1,2}(-[0-9a-fA-F]{1,2}){5}\\z")]
    private static partial Regex MacText { get; }

    [GeneratedRegex("^(0|[1-9][0-9]{0,2})\\z")]
    private static partial Regex Octet { get; }

    [GeneratedRegex("^[0-9a-fA-F]{1,4}\\z")]
    private static partial Regex Group { get; }

    [Fact]
    public void A_MAC_is_read_if_and_only_if_it_looks_like_one() => ForEach(Macs, text =>
    {
        var expected = MacText.IsMatch(text);
        Assert.True(MacAddress.TryParse(text, out var mac) == expected, text);
        if (!expected) return;
        var octets = text.Split(':', '-').Select(part => byte.Parse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(SlowPacket.Number(octets), mac.Value);
    });

    [Fact]
    public void An_address_is_read_if_and_only_if_it_is_one() => ForEach(Addresses, text =>
    {
        var expected = IPv4(text) ?? IPv6(text);
        var isRead = InternetAddress.TryParse(text, out var address);
        Assert.True(isRead == (expected is not null), $"\"{text}\" read: {isRead}");
        if (expected is null) return;
        var bytes = new byte[16];
        address.Write(bytes);
        // ::ffff:a.b.c.d is an IPv4 address here.
        var wire = expected.Length == 16 && expected[..12].SequenceEqual(Craft.Hex("0000 0000 0000 0000 0000 ffff")) ? expected[12..] : expected;
        Assert.Equal(wire, bytes[..address.Size]);
        Assert.True(InternetAddress.TryParse(address.ToString(), out var again) && again == address, text);
    });

    private static byte[]? IPv4(string text)
    {
        var parts = text.Split('.');
        if (parts.Length != 4 || !parts.All(part => Octet.IsMatch(part) && int.Parse(part, CultureInfo.InvariantCulture) < 256)) return null;
        return [.. parts.Select(part => byte.Parse(part, CultureInfo.InvariantCulture))];
    }

    // RFC 4291, section 2.2.
    private static byte[]? IPv6(string text)
    {
        if (text.Length > 45) return null;
        var halves = text.Split("::");
        if (halves.Length > 2) return null;
        var last = Groups(halves[^1], mayEndInIPv4: true);
        if (last is null) return null;
        if (halves.Length == 1) return last.Length == 16 ? last : null;
        var first = Groups(halves[0], mayEndInIPv4: false);
        return first is null || first.Length + last.Length > 14 ? null : [.. first, .. new byte[16 - first.Length - last.Length], .. last];
    }

    private static byte[]? Groups(string text, bool mayEndInIPv4)
    {
        if (text.Length == 0) return [];
        var parts = text.Split(':');
        var bytes = new List<byte>();
        for (var i = 0; i < parts.Length; i++)
        {
            if (mayEndInIPv4 && i == parts.Length - 1 && IPv4(parts[i]) is { } quad) bytes.AddRange(quad);
            else if (Group.IsMatch(parts[i])) bytes.AddRange(Craft.U16(int.Parse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)));
            else return null;
        }

        return [.. bytes];
    }

    private static void ForEach(string[] corpus, Action<string> judge)
    {
        var random = new Random(4861);
        for (var i = 0; i < Cases; i++)
        {
            var text = corpus[random.Next(corpus.Length)];
            for (var changes = random.Next(4); changes > 0; changes--)
            {
                var at = random.Next(text.Length + 1);
                var letter = Letters[random.Next(Letters.Length)].ToString();
                text = random.Next(4) switch
                {
                    0 => text.Insert(at, letter),
                    1 when at < text.Length => text.Remove(at, 1),
                    2 when at < text.Length => text.Remove(at, 1).Insert(at, letter),
                    _ => text[..at] + corpus[random.Next(corpus.Length)][..random.Next(3)],
                };
            }

            judge(text);
        }
    }
}
