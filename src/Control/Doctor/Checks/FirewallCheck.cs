using Sleeve.Control.Doctor.Firewall;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>Whether a rule drops VXLAN on its way in or out, found by taking such a packet through the rules.</summary>
internal sealed class FirewallCheck : ICheck
{
    private const int MostRemotes = 64;

    /// <inheritdoc/>
    public string Name => "firewall";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var facts = patient.Host.Firewall;
        if (facts.Nft is null && facts.Iptables is null)
        {
            yield return Finding.Skipped("", $"the rules cannot be read: {facts.Problem ?? "neither nft nor iptables-save is there"}", "as root: nft list ruleset, or iptables-save");
            yield break;
        }

        if (facts.Nft is not null && !NftRuleset.TryParse(facts.Nft, out _, out var problem)) yield return Finding.Skipped("", $"what nft -j list ruleset says cannot be read: {problem}");
        _ = NftRuleset.TryParse(facts.Nft ?? "{\"nftables\":[]}", out var rules, out _);
        var found = false;
        foreach (var packet in Packets(patient))
        {
            var verdict = rules?.Judge(packet) ?? FirewallVerdict.Pass;
            var saved = packet.IsIPv4 ? facts.Iptables : facts.Ip6tables;
            if (verdict.Outcome == FirewallOutcome.Pass && saved is not null) verdict = IptablesRules.Judge(saved, packet);
            if (verdict.Outcome == FirewallOutcome.Pass) continue;
            found = true;
            var (way, chain) = packet.IsInward ? ("from", "input") : ("to", "output");
            var subject = $"{way} {(packet.Remote is { } remote ? $"{remote} " : "")}UDP port {packet.Port}";
            yield return verdict.Outcome == FirewallOutcome.Drop
                ? Finding.Error(subject, $"dropped by {verdict.Rule}", $"nft insert rule {verdict.Place ?? $"inet filter {chain}"} udp dport {packet.Port} accept")
                : Finding.Warning(subject, $"perhaps dropped by {verdict.Rule}", $"look whether that is meant: nft list ruleset; to let it pass: nft insert rule {verdict.Place ?? $"inet filter {chain}"} udp dport {packet.Port} accept");
        }

        if (!found) yield return Finding.Ok("", rules is { IsEmpty: true } && facts.Iptables is null ? "no rules" : "no rule drops VXLAN");
    }

    private static IEnumerable<FirewallPacket> Packets(Patient patient)
    {
        var any = false;
        foreach (var vtep in patient.Known())
        {
            var told = new HashSet<InternetAddress>();
            foreach (var (_, remote, address) in vtep.Remotes())
            {
                if (!told.Add(address)) continue;
                if (told.Count > MostRemotes) break;
                any = true;
                var link = patient.Host.Route(address, vtep.Local, 0) is { } route ? patient.Host.LinkOf(route.LinkIndex)?.Name : null;
                yield return new FirewallPacket(true, vtep.Now!.Dstport, address, vtep.Local, link);
                yield return new FirewallPacket(false, remote.Port, address, vtep.Local, link);
            }
        }

        if (any) yield break;
        foreach (var port in patient.Ports())
        {
            yield return new FirewallPacket(true, port, null, null, null);
            yield return new FirewallPacket(false, port, null, null, null);
        }
    }
}
