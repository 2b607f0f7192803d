using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>How the words of a command line are read; every reader takes the whole word or nothing.</summary>
internal static class Words
{
    /// <summary>A VNI, 0 to 16777215.</summary>
    public static bool Vni(string text, out Vni value)
    {
        var read = TryNumber(text, 0, DataPlane.Wire.Vni.MaxValue, out var number);
        value = read ? new Vni((uint)number) : default;
        return read;
    }

    /// <summary>A UDP port, 1 to 65535.</summary>
    public static bool Port(string text, out ushort value)
    {
        var read = TryNumber(text, 1, ushort.MaxValue, out var number);
        value = (ushort)number;
        return read;
    }

    /// <summary>A range of UDP ports, MIN-MAX or one port.</summary>
    public static bool PortRange(string text, out (ushort Min, ushort Max) value)
    {
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        value = default;
        if (!Port(dash < 0 ? text : text[..dash], out var min) || !Port(dash < 0 ? text : text[(dash + 1)..], out var max) || min > max) return false;
        value = (min, max);
        return true;
    }

    /// <summary>A number within limits.</summary>
    public static ReadWord<int> Number(int min, int max) => (string text, out int value) =>
    {
        var read = TryNumber(text, min, max, out var number);
        value = (int)number;
        return read;
    };

    /// <summary>An IPv4 or IPv6 address.</summary>
    public static bool Address(string text, out InternetAddress value) => InternetAddress.TryParse(text, out value);

    /// <summary>An address that one host can have and that needs no interface to be reached.</summary>
    public static bool UnicastAddress(string text, out InternetAddress value) =>
        InternetAddress.TryParse(text, out value) && value is { IsMulticast: false, IsUnspecified: false, IsIPv4Broadcast: false, IsIPv6LinkLocal: false };

    /// <summary>An address with a prefix length.</summary>
    public static bool Prefix(string text, out AddressPrefix value) =>
        AddressPrefix.TryParse(text, out value) && !value.Address.IsMulticast && !value.Address.IsUnspecified;

    /// <summary>A MAC address.</summary>
    public static bool Mac(string text, out MacAddress value) => MacAddress.TryParse(text, out value);

    /// <summary>A MAC address that a station can have.</summary>
    public static bool StationMac(string text, out MacAddress value) => MacAddress.TryParse(text, out value) && value.IsValidSource;

    /// <summary>What <see cref="LinkName"/> takes.</summary>
    public const string LinkNameAllowed = "an interface name of 1 to 15 bytes without '/', ':', '%', white space or control characters";

    /// <summary>What <see cref="SocketPath"/> takes.</summary>
    public const string SocketPathAllowed = "a path of 1 to 107 bytes";

    /// <summary>What <see cref="Place"/> takes.</summary>
    public const string PlaceAllowed = "a path of 1 to 107 bytes, or https://HOST:PORT";

    private const int MaxSocketPathLength = 107;

    /// <summary>An interface name. The kernel would replace "%d" by a number (dev_alloc_name), so that the name would be another.</summary>
    public static bool LinkName(string text, out string value)
    {
        value = text;
        return LinkInfo.IsValidName(text) && !text.Any(static c => c == '%' || char.IsControl(c));
    }

    /// <summary>Any word that is not empty.</summary>
    public static bool Text(string text, out string value)
    {
        value = text;
        return text.Length > 0;
    }

    /// <summary>A path that fits a unix socket's address (unix(7): 108 bytes with the closing zero).</summary>
    public static bool SocketPath(string text, out string value)
    {
        value = text;
        return text.Length > 0 && System.Text.Encoding.UTF8.GetByteCount(text) <= MaxSocketPathLength;
    }

    /// <summary>Where a client finds the API.</summary>
    public static bool Place(string text, out string value)
    {
        value = text;
        return ApiPlace.IsRemote(text) ? ApiPlace.IsUrl(text) : SocketPath(text, out value);
    }

    /// <summary>How runs of datagrams reach the kernel; null for auto.</summary>
    public static bool TransmitOffload(string text, out TransmitOffload? value)
    {
        value = text switch { "tunnel-gso" => DataPlane.Pipeline.TransmitOffload.TunnelGso, "udp-gso" => DataPlane.Pipeline.TransmitOffload.UdpGso, "none" => DataPlane.Pipeline.TransmitOffload.None, _ => null };
        return value is not null || text == "auto";
    }

    /// <summary>Whether runs are taken at once.</summary>
    public static bool ReceiveOffload(string text, out bool value)
    {
        value = text == "auto";
        return text is "auto" or "none";
    }

    /// <summary>Whose datagrams to take.</summary>
    public static bool Admission(string text, out Admission value)
    {
        value = text switch { "any" => DataPlane.Forwarding.Admission.Any, "listed" => DataPlane.Forwarding.Admission.Listed, _ => DataPlane.Forwarding.Admission.Peers };
        return text is "any" or "peers" or "listed";
    }

    /// <summary>What <see cref="FdbEntry"/> takes.</summary>
    public const string FdbEntryAllowed = "MAC dst IP, then perhaps port PORT, vni N, via IF, and permanent or static; MAC 00:00:00:00:00:00 for a default destination";

    /// <summary>What <see cref="Neighbour"/> takes.</summary>
    public const string NeighbourAllowed = "IP lladdr MAC, then perhaps router";

    /// <summary>An FDB entry in the words of <c>sleeve fdb add</c>.</summary>
    public static bool FdbEntry(string text, out StaticEntry value)
    {
        value = new StaticEntry(default, default, null, null, EntryKind.Permanent);
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0 || !Mac(words[0], out var mac)) return false;
        value = value with { Mac = mac };
        var seen = new HashSet<string>();
        for (var i = 1; i < words.Length; i++)
        {
            var isState = words[i] is "permanent" or "static";
            if (!seen.Add(isState ? "state" : words[i])) return false;
            var argument = isState ? "" : ++i < words.Length ? words[i] : "";
            switch (isState ? words[i] : words[i - 1])
            {
                case "permanent": break;
                case "static": value = value with { Kind = EntryKind.Static }; break;
                case "dst" when UnicastAddress(argument, out var dst) || (InternetAddress.TryParse(argument, out dst) && dst.IsUnspecified): value = value with { Destination = dst }; break;
                case "port" when Port(argument, out var port): value = value with { Port = port }; break;
                case "vni" when Vni(argument, out var vni): value = value with { Vni = vni }; break;
                case "via" when LinkName(argument, out var via): value = value with { Via = via }; break;
                default: return false;
            }
        }

        return seen.Contains("dst");
    }

    /// <summary>A neighbour in the words of <c>sleeve neigh add</c>.</summary>
    public static bool Neighbour(string text, out Neighbour value)
    {
        value = default;
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is not ([_, "lladdr", _] or [_, "lladdr", _, "router"])) return false;
        if (!InternetAddress.TryParse(words[0], out var address) || address.IsMulticast || address.IsUnspecified || !StationMac(words[2], out var mac)) return false;
        value = new Neighbour(address, mac, words.Length == 4);
        return true;
    }

    /// <summary>What <see cref="Policy"/> takes.</summary>
    public const string PolicyAllowed = "GROUP, 0 to 65535, then perhaps ,dont-learn and ,applied";

    /// <summary>What <see cref="Groups"/> takes.</summary>
    public const string GroupsAllowed = "any, or groups and ranges from 0 to 65535 such as 0,10-19,42";

    /// <summary>A VXLAN-GBP group with its bits.</summary>
    public static bool Policy(string text, out GroupPolicy value)
    {
        value = default;
        var words = text.Split(',');
        if (!TryNumber(words[0], 0, ushort.MaxValue, out var group) || words[1..].Distinct().Count() != words.Length - 1) return false;
        if (words[1..].Any(static word => word is not ("dont-learn" or "applied"))) return false;
        value = new GroupPolicy((ushort)group, words.Contains("dont-learn"), words.Contains("applied"));
        return true;
    }

    /// <summary>A set of VXLAN-GBP groups; null for any.</summary>
    public static bool Groups(string text, out PolicyGroups? value)
    {
        value = null;
        if (text == "any") return true;
        var ranges = new List<(ushort, ushort)>();
        foreach (var word in text.Split(','))
        {
            var dash = word.IndexOf('-', StringComparison.Ordinal);
            if (!TryNumber(dash < 0 ? word : word[..dash], 0, ushort.MaxValue, out var first)) return false;
            var last = first;
            if (dash >= 0 && !TryNumber(word[(dash + 1)..], first, ushort.MaxValue, out last)) return false;
            ranges.Add(((ushort)first, (ushort)last));
        }

        value = new PolicyGroups(ranges);
        return true;
    }

    private static bool TryNumber(string text, long min, long max, out long value) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= min && value <= max;
}
