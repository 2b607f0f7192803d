using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Firewall;

/// <summary>The rules of iptables as <c>iptables-save</c> prints them, and what they do to a packet. Matches that it does not know match perhaps.</summary>
internal static class IptablesRules
{
    private const int MaxDepth = 16;

    // In the order that a packet meets them.
    private static readonly (string Table, string Chain)[] Inward = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "INPUT"), ("filter", "INPUT")];
    private static readonly (string Table, string Chain)[] Outward = [("raw", "OUTPUT"), ("mangle", "OUTPUT"), ("filter", "OUTPUT"), ("mangle", "POSTROUTING")];

    /// <summary>What becomes of a packet.</summary>
    public static FirewallVerdict Judge(string saved, FirewallPacket packet)
    {
        var chains = Read(saved);
        var perhaps = FirewallVerdict.Pass;
        foreach (var (table, chain) in packet.IsInward ? Inward : Outward)
        {
            if (!chains.TryGetValue((table, chain), out var rules)) continue;
            var walk = new Walk(chains, table, packet);
            var verdict = walk.Through(chain, rules);
            if (verdict.Outcome == FirewallOutcome.Drop) return verdict;
            if (verdict.Outcome == FirewallOutcome.Perhaps && perhaps.Outcome == FirewallOutcome.Pass) perhaps = verdict;
        }

        return perhaps;
    }

    private static Dictionary<(string Table, string Chain), Rules> Read(string saved)
    {
        var chains = new Dictionary<(string, string), Rules>();
        var table = "";
        foreach (var line in saved.Split('\n'))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (line.StartsWith('*')) table = line[1..].Trim();
            else if (line.StartsWith(':') && words.Length >= 2) chains[(table, words[0][1..])] = new Rules(words[1] == "DROP");
            else if (words is ["-A", var chain, ..] && chains.TryGetValue((table, chain), out var rules)) rules.Lines.Add(line.Trim());
        }

        return chains;
    }

    private sealed record Rules(bool DropsByPolicy)
    {
        public List<string> Lines { get; } = [];
    }

    private sealed class Walk(Dictionary<(string Table, string Chain), Rules> chains, string table, FirewallPacket packet)
    {
        private FirewallVerdict? _perhapsDropped;
        private bool _perhapsAccepted;

        public FirewallVerdict Through(string chain, Rules rules)
        {
            var by = Run(rules, Tri.Yes, 0, out var ended);
            if (by is null && (ended || !rules.DropsByPolicy)) return _perhapsDropped ?? FirewallVerdict.Pass;
            by ??= new FirewallVerdict(FirewallOutcome.Drop, $"the policy of {chain} (iptables, table {table}): no rule accepts it", null);
            return _perhapsAccepted ? by with { Outcome = FirewallOutcome.Perhaps } : by;
        }

        // The rule that drops it; null if none does. Ended: accepted.
        private FirewallVerdict? Run(Rules rules, Tri certainty, int depth, out bool ended)
        {
            ended = false;
            if (depth > MaxDepth) return null;
            foreach (var line in rules.Lines)
            {
                var matches = Matches(line, out var target);
                if (matches > certainty) matches = certainty;
                if (matches == Tri.No) continue;
                switch (target)
                {
                    case "ACCEPT" when matches == Tri.Yes:
                        ended = true;
                        return null;
                    case "ACCEPT":
                        _perhapsAccepted = true;
                        break;
                    case "DROP" or "REJECT":
                        var by = new FirewallVerdict(FirewallOutcome.Drop, $"the iptables rule \"{line}\" (table {table})", null);
                        if (matches == Tri.Yes) return by;
                        _perhapsDropped ??= by with { Outcome = FirewallOutcome.Perhaps };
                        break;
                    case "RETURN" when matches == Tri.Yes: return null;
                    case not null when chains.TryGetValue((table, target), out var next):
                        if (Run(next, matches, depth + 1, out ended) is { } dropped) return dropped;
                        if (ended) return null;
                        break;
                }
            }

            return null;
        }

        private Tri Matches(string line, out string? target)
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            target = null;
            var all = Tri.Yes;
            var not = false;
            for (var i = 2; i < words.Length; i++)
            {
                var argument = i + 1 < words.Length ? words[i + 1] : "";
                Tri one;
                switch (words[i])
                {
                    case "!":
                        not = true;
                        continue;
                    case "-j" or "-g":
                        target = argument;
                        return all;
                    case "-m" or "--comment":
                        i = words[i] == "-m" ? i + 1 : EndOfComment(words, i + 1);
                        continue;
                    case "-p": one = argument is "udp" or "all" or "17" ? Tri.Yes : Tri.No; break;
                    case "-i": one = packet.IsInward ? Link(argument) : Tri.No; break;
                    case "-o": one = packet.IsInward ? Tri.No : Link(argument); break;
                    case "-s": one = Address(argument, packet.IsInward ? packet.Remote : packet.Local); break;
                    case "-d": one = Address(argument, packet.IsInward ? packet.Local : packet.Remote); break;
                    case "--dport" or "--dports": one = Ports(argument); break;
                    case "--state" or "--ctstate": one = argument.Split(',').Contains("NEW") ? Tri.Yes : Tri.No; break;
                    default: one = Tri.Perhaps; break;
                }

                i++;
                if (not && one != Tri.Perhaps) one = one == Tri.Yes ? Tri.No : Tri.Yes;
                not = false;
                if (one < all) all = one;
            }

            return all;
        }

        private static int EndOfComment(string[] words, int start)
        {
            if (start >= words.Length || !words[start].StartsWith('"')) return start;
            var end = Array.FindIndex(words, start, static word => word.EndsWith('"'));
            return end < 0 ? words.Length : end;
        }

        private Tri Link(string name) => packet.Link is not { } link ? Tri.Perhaps
            : (name is [.. var start, '+'] ? link.StartsWith(start, StringComparison.Ordinal) : link == name) ? Tri.Yes : Tri.No;

        private static Tri Address(string text, InternetAddress? address)
        {
            var parts = text.Split('/');
            if (address is not { } known || !InternetAddress.TryParse(parts[0], out var network)) return Tri.Perhaps;
            var bits = network.Size * 8;
            if (parts.Length > 1 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out bits)) return Tri.Perhaps;
            return known.IsIPv4 == network.IsIPv4 && NftMatch.HaveCommonStart(known, network, bits) ? Tri.Yes : Tri.No;
        }

        private Tri Ports(string text)
        {
            foreach (var part in text.Split(','))
            {
                var ends = part.Split(':');
                if (!int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first) || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last)) return Tri.Perhaps;
                if (packet.Port >= first && packet.Port <= last) return Tri.Yes;
            }

            return Tri.No;
        }
    }
}
