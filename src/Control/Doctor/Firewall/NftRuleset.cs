using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Sleeve.Control.Doctor.Firewall;

/// <summary>
/// The rules of nftables as <c>nft -j list ruleset</c> prints them, and what they do to a packet. It walks the base chains of the packet's way in the order of
/// their priorities. What cannot be known here (limits, marks, chance, matches of xtables) matches perhaps, and the verdict is "perhaps" where that decides.
/// </summary>
internal sealed class NftRuleset
{
    private const int MaxDepth = 16;
    private readonly Dictionary<string, Table> _tables = new(StringComparer.Ordinal);
    private readonly List<Chain> _base = [];

    private NftRuleset()
    {
    }

    /// <summary>Whether there is no rule and no policy at all.</summary>
    public bool IsEmpty => _tables.Values.All(static table => table.Chains.Values.All(static chain => chain.Rules.Count == 0 && !chain.DropsByPolicy));

    /// <summary>Reads it.</summary>
    public static bool TryParse(string json, [NotNullWhen(true)] out NftRuleset? rules, out string? problem)
    {
        rules = null;
        problem = null;
        try
        {
            var root = JsonDocument.Parse(json).RootElement;
            if (!root.TryGetProperty("nftables", out var objects) || objects.ValueKind != JsonValueKind.Array)
            {
                problem = "no list named nftables";
                return false;
            }

            var made = new NftRuleset();
            foreach (var each in objects.EnumerateArray()) made.Add(each);
            rules = made;
            return true;
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            problem = failure.Message;
            return false;
        }
    }

    private void Add(JsonElement each)
    {
        if (each.TryGetProperty("chain", out var chain))
        {
            var made = new Chain(Key(chain), Text(chain, "name"))
            {
                Hook = Text(chain, "hook"),
                Kind = Text(chain, "type"),
                Device = Text(chain, "dev"),
                Priority = chain.TryGetProperty("prio", out var priority) && priority.TryGetInt32(out var number) ? number : 0,
                DropsByPolicy = Text(chain, "policy") == "drop",
            };
            TableOf(chain).Chains[made.Name] = made;
            if (made.Hook.Length > 0) _base.Add(made);
        }
        else if ((each.TryGetProperty("set", out var set) || each.TryGetProperty("map", out set)) && set.TryGetProperty("elem", out var elements))
        {
            TableOf(set).Sets[Text(set, "name")] = elements;
        }
        else if (each.TryGetProperty("rule", out var rule) && TableOf(rule).Chains.TryGetValue(Text(rule, "chain"), out var owner))
        {
            owner.Rules.Add(rule);
        }
    }

    /// <summary>What becomes of a packet.</summary>
    public FirewallVerdict Judge(FirewallPacket packet)
    {
        string[] hooks = packet.IsInward ? ["ingress", "prerouting", "input"] : ["output", "postrouting", "egress"];
        var perhaps = FirewallVerdict.Pass;
        foreach (var hook in hooks)
        {
            foreach (var chain in _base.Where(chain => chain.Hook == hook && chain.Kind != "nat" && Concerns(chain, packet)).OrderBy(static chain => chain.Priority))
            {
                var walk = new Walk(_tables[chain.Table], packet);
                var verdict = walk.Through(chain);
                if (verdict.Outcome == FirewallOutcome.Drop) return verdict;
                if (verdict.Outcome == FirewallOutcome.Perhaps && perhaps.Outcome == FirewallOutcome.Pass) perhaps = verdict;
            }
        }

        return perhaps;
    }

    private static bool Concerns(Chain chain, FirewallPacket packet) => chain.Table.Split(' ')[0] switch
    {
        "inet" => true,
        "ip" => packet.IsIPv4,
        "ip6" => !packet.IsIPv4,
        "netdev" => packet.Link is not null && chain.Device == packet.Link,
        _ => false,
    };

    private Table TableOf(JsonElement element)
    {
        var key = Key(element);
        if (!_tables.TryGetValue(key, out var table)) _tables[key] = table = new Table();
        return table;
    }

    private static string Key(JsonElement element) => $"{Text(element, "family")} {Text(element, "table")}";

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private sealed class Table
    {
        public Dictionary<string, Chain> Chains { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, JsonElement> Sets { get; } = new(StringComparer.Ordinal);
    }

    private sealed record Chain(string Table, string Name)
    {
        public string Hook { get; init; } = "";

        public string Kind { get; init; } = "";

        public string Device { get; init; } = "";

        public int Priority { get; init; }

        public bool DropsByPolicy { get; init; }

        public List<JsonElement> Rules { get; } = [];
    }

    /// <summary>One packet's way through one base chain and those that it jumps to.</summary>
    private sealed class Walk(Table table, FirewallPacket packet)
    {
        private readonly NftMatch _match = new(packet, table.Sets);
        private FirewallVerdict? _perhapsDropped;
        private bool _perhapsAccepted;

        public FirewallVerdict Through(Chain chain)
        {
            var (end, by) = Run(chain, Tri.Yes, 0);
            if (end == End.Accept) return _perhapsDropped ?? FirewallVerdict.Pass;
            if (end != End.Drop && !chain.DropsByPolicy) return _perhapsDropped ?? FirewallVerdict.Pass;
            by ??= new FirewallVerdict(FirewallOutcome.Drop, $"the policy of chain {chain.Name} (table {chain.Table}): no rule accepts it", $"{chain.Table} {chain.Name}");
            return _perhapsAccepted ? by with { Outcome = FirewallOutcome.Perhaps } : by;
        }

        private (End End, FirewallVerdict? By) Run(Chain chain, Tri certainty, int depth)
        {
            if (depth > MaxDepth) return (End.None, null);
            foreach (var rule in chain.Rules)
            {
                var (end, by) = Apply(chain, rule, certainty, depth);
                if (end is End.Accept or End.Drop) return (end, by);
                if (end == End.Return) return (End.None, null);
            }

            return (End.None, null);
        }

        private (End End, FirewallVerdict? By) Apply(Chain chain, JsonElement rule, Tri certainty, int depth)
        {
            if (!rule.TryGetProperty("expr", out var expressions)) return (End.None, null);
            foreach (var expression in expressions.EnumerateArray())
            {
                if (expression.ValueKind != JsonValueKind.Object) continue;
                foreach (var part in expression.EnumerateObject())
                {
                    var verdict = expression;
                    if (part.Name == "match") certainty = Both(certainty, _match.Holds(part.Value));
                    else if (part.Name == "vmap")
                    {
                        var (found, said) = _match.LookUp(part.Value);
                        certainty = Both(certainty, found);
                        if (certainty != Tri.No && said.ValueKind == JsonValueKind.Object) verdict = said;
                    }
                    else if (part.Name is "limit" or "quota" or "xt" or "connlimit" or "ct count" or "synproxy") certainty = Both(certainty, Tri.Perhaps);

                    if (certainty == Tri.No) return (End.None, null);
                    if (Decide(chain, rule, verdict, certainty, depth) is { } decided) return decided;
                }
            }

            return (End.None, null);
        }

        // Null if it is no verdict.
        private (End End, FirewallVerdict? By)? Decide(Chain chain, JsonElement rule, JsonElement verdict, Tri certainty, int depth)
        {
            foreach (var part in verdict.EnumerateObject())
            {
                switch (part.Name)
                {
                    case "accept" or "queue":
                        if (certainty == Tri.Yes) return (End.Accept, null);
                        _perhapsAccepted = true;
                        return (End.None, null);
                    case "drop" or "reject":
                        var by = new FirewallVerdict(FirewallOutcome.Drop, NftText.Of(rule, chain.Table, chain.Name), $"{chain.Table} {chain.Name}");
                        if (certainty == Tri.Yes) return (End.Drop, by);
                        _perhapsDropped ??= by with { Outcome = FirewallOutcome.Perhaps };
                        return (End.None, null);
                    case "return":
                        return (certainty == Tri.Yes ? End.Return : End.None, null);
                    case "jump" or "goto":
                        var target = Text(part.Value, "target");
                        if (!table.Chains.TryGetValue(target, out var next)) return (End.None, null);
                        var (end, inside) = Run(next, certainty, depth + 1);
                        if (end is End.Accept or End.Drop) return (end, inside);
                        return (part.Name == "goto" && certainty == Tri.Yes ? End.Return : End.None, null);
                }
            }

            return null;
        }

        private static Tri Both(Tri one, Tri other) => one < other ? one : other;
    }

    private enum End
    {
        None,
        Return,
        Accept,
        Drop,
    }
}
