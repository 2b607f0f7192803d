using System.Globalization;
using System.Text.Json;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Firewall;

/// <summary>Whether one expression of an nftables rule matches a packet (libnftables-json(5)).</summary>
/// <param name="packet">The packet.</param>
/// <param name="sets">Elements of the named sets of the rule's table.</param>
internal sealed class NftMatch(FirewallPacket packet, IReadOnlyDictionary<string, JsonElement> sets)
{
    private const int MaxDepth = 8;

    /// <summary>Whether a match holds: left, op, right.</summary>
    public Tri Holds(JsonElement match)
    {
        if (!match.TryGetProperty("left", out var left) || !match.TryGetProperty("right", out var right)) return Tri.Perhaps;
        var value = ValueOf(left);
        if (value.IsAbsent) return Tri.No;
        if (value.IsUnknown) return Tri.Perhaps;
        return (match.TryGetProperty("op", out var op) ? op.GetString() : "==") switch
        {
            "==" or "in" => Contains(right, value, 0),
            "!=" => Not(Contains(right, value, 0)),
            "<" => Compare(right, value, static (a, b) => a < b),
            ">" => Compare(right, value, static (a, b) => a > b),
            "<=" => Compare(right, value, static (a, b) => a <= b),
            ">=" => Compare(right, value, static (a, b) => a >= b),
            _ => Tri.Perhaps,
        };
    }

    /// <summary>Finds what a verdict map says of the packet.</summary>
    /// <returns>Whether an element matches, and its verdict.</returns>
    public (Tri Found, JsonElement Verdict) LookUp(JsonElement map)
    {
        if (!map.TryGetProperty("key", out var key) || !map.TryGetProperty("data", out var data)) return (Tri.Perhaps, default);
        var value = ValueOf(key);
        if (value.IsAbsent) return (Tri.No, default);
        if (value.IsUnknown || ElementsOf(data) is not { } elements) return (Tri.Perhaps, default);
        foreach (var element in elements.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() != 2) return (Tri.Perhaps, default);
            var found = Contains(element[0], value, 0);
            if (found != Tri.No) return (found, element[1]);
        }

        return (Tri.No, default);
    }

    private static Tri Not(Tri value) => value switch { Tri.Yes => Tri.No, Tri.No => Tri.Yes, _ => Tri.Perhaps };

    private Value ValueOf(JsonElement left)
    {
        if (left.ValueKind != JsonValueKind.Object) return Value.Unknown;
        if (left.TryGetProperty("payload", out var payload)) return OfPayload(Text(payload, "protocol"), Text(payload, "field"));
        if (left.TryGetProperty("meta", out var meta)) return OfMeta(Text(meta, "key"));
        // The two directions of VXLAN have different ports, so that nothing is ever an answer.
        return left.TryGetProperty("ct", out var ct) && Text(ct, "key") == "state" ? new Value("new") : Value.Unknown;
    }

    private Value OfPayload(string protocol, string field) => (protocol, field) switch
    {
        ("udp" or "th", "dport") => new Value(packet.Port),
        ("udp" or "th", _) => Value.Unknown,
        ("ip", "protocol") => packet.IsIPv4 ? new Value("udp") : Value.Absent,
        ("ip6", "nexthdr") => packet.IsIPv4 ? Value.Absent : new Value("udp"),
        ("ip", _) when !packet.IsIPv4 => Value.Absent,
        ("ip6", _) when packet.IsIPv4 => Value.Absent,
        ("ip" or "ip6", "saddr") => Value.Of(packet.IsInward ? packet.Remote : packet.Local),
        ("ip" or "ip6", "daddr") => Value.Of(packet.IsInward ? packet.Local : packet.Remote),
        ("tcp" or "sctp" or "dccp" or "icmp" or "icmpv6" or "igmp" or "esp" or "ah" or "udplite" or "arp", _) => Value.Absent,
        _ => Value.Unknown,
    };

    private Value OfMeta(string key) => key switch
    {
        "l4proto" => new Value("udp"),
        "nfproto" => new Value(packet.IsIPv4 ? "ipv4" : "ipv6"),
        "protocol" => new Value(packet.IsIPv4 ? "ip" : "ip6"),
        "iif" or "iifname" => packet.IsInward ? Value.Of(packet.Link) : Value.Absent,
        "oif" or "oifname" => packet.IsInward ? Value.Absent : Value.Of(packet.Link),
        _ => Value.Unknown,
    };

    private JsonElement? ElementsOf(JsonElement data)
    {
        if (data.ValueKind == JsonValueKind.Object && data.TryGetProperty("set", out var set) && set.ValueKind == JsonValueKind.Array) return set;
        return data.ValueKind == JsonValueKind.String && data.GetString() is ['@', .. var name] && sets.TryGetValue(name, out var elements) ? elements : null;
    }

    private Tri Contains(JsonElement right, Value value, int depth)
    {
        if (depth > MaxDepth) return Tri.Perhaps;
        switch (right.ValueKind)
        {
            case JsonValueKind.Number:
                return value.Number is { } number && right.TryGetInt64(out var other) ? number == other ? Tri.Yes : Tri.No : Tri.Perhaps;
            case JsonValueKind.String when right.GetString() is ['@', .. var name]:
                return sets.TryGetValue(name, out var elements) ? Contains(elements, value, depth + 1) : Tri.Perhaps;
            case JsonValueKind.String:
                return Equals(right.GetString()!, value);
            case JsonValueKind.Array:
                var any = Tri.No;
                foreach (var element in right.EnumerateArray())
                {
                    var one = Contains(element, value, depth + 1);
                    if (one > any) any = one;
                }

                return any;
            case JsonValueKind.Object when right.TryGetProperty("set", out var set): return Contains(set, value, depth + 1);
            case JsonValueKind.Object when right.TryGetProperty("elem", out var element) && element.TryGetProperty("val", out var inner): return Contains(inner, value, depth + 1);
            case JsonValueKind.Object when right.TryGetProperty("prefix", out var prefix): return InPrefix(prefix, value);
            case JsonValueKind.Object when right.TryGetProperty("range", out var range) && range.ValueKind == JsonValueKind.Array && range.GetArrayLength() == 2: return InRange(range, value);
            default: return Tri.Perhaps;
        }
    }

    private static Tri Equals(string text, Value value)
    {
        if (value.Address is { } address) return InternetAddress.TryParse(text, out var other) ? address == other ? Tri.Yes : Tri.No : Tri.Perhaps;
        if (value.Word is not { } word) return Tri.Perhaps;
        if (text is [.. var start, '*']) return word.StartsWith(start, StringComparison.Ordinal) ? Tri.Yes : Tri.No;
        return word == text ? Tri.Yes : Tri.No;
    }

    private static Tri InPrefix(JsonElement prefix, Value value)
    {
        if (value.Address is not { } address || !InternetAddress.TryParse(Text(prefix, "addr"), out var network) || !prefix.TryGetProperty("len", out var length) || !length.TryGetInt32(out var bits)) return Tri.Perhaps;
        if (address.IsIPv4 != network.IsIPv4) return Tri.No;
        return HaveCommonStart(address, network, bits) ? Tri.Yes : Tri.No;
    }

    internal static bool HaveCommonStart(InternetAddress one, InternetAddress other, int bits)
    {
        Span<byte> a = stackalloc byte[16], b = stackalloc byte[16];
        one.Write(a);
        other.Write(b);
        for (var i = 0; i < Math.Min(bits, one.Size * 8); i++)
            if (((a[i / 8] ^ b[i / 8]) & (0x80 >> (i % 8))) != 0) return false;
        return true;
    }

    private static Tri InRange(JsonElement range, Value value)
    {
        if (value.Number is { } number && range[0].TryGetInt64(out var first) && range[1].TryGetInt64(out var last)) return number >= first && number <= last ? Tri.Yes : Tri.No;
        if (value.Address is not { } address || range[0].ValueKind != JsonValueKind.String || range[1].ValueKind != JsonValueKind.String
            || !InternetAddress.TryParse(range[0].GetString()!, out var from) || !InternetAddress.TryParse(range[1].GetString()!, out var to)) return Tri.Perhaps;
        return Compare(from, address) <= 0 && Compare(address, to) <= 0 ? Tri.Yes : Tri.No;
    }

    private static int Compare(InternetAddress one, InternetAddress other)
    {
        Span<byte> a = stackalloc byte[16], b = stackalloc byte[16];
        one.Write(a);
        other.Write(b);
        return a[..one.Size].SequenceCompareTo(b[..other.Size]);
    }

    private static Tri Compare(JsonElement right, Value value, Func<long, long, bool> holds) =>
        value.Number is { } number && right.ValueKind == JsonValueKind.Number && right.TryGetInt64(out var other) ? holds(number, other) ? Tri.Yes : Tri.No : Tri.Perhaps;

    private static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    // One of a number, a word and an address; or unknown, or what the packet does not have.
    private readonly record struct Value(long? Number, string? Word, InternetAddress? Address, bool IsAbsent = false)
    {
        public Value(long number)
            : this(number, number.ToString(CultureInfo.InvariantCulture), null)
        {
        }

        public Value(string word)
            : this(null, word, null)
        {
        }

        public static Value Unknown => default;

        public static Value Absent => new(null, null, null, true);

        public bool IsUnknown => !IsAbsent && Number is null && Word is null && Address is null;

        public static Value Of(InternetAddress? address) => new(null, null, address);

        public static Value Of(string? word) => new(null, word, null);
    }
}
