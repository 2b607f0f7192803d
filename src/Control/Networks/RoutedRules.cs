using System.Globalization;
using Sleeve.Control.Host;

namespace Sleeve.Control.Networks;

/// <summary>What a routed network may be, besides <see cref="NetworkRules"/>: told when one is made.</summary>
internal static class RoutedRules
{
    /// <summary>Hosts that are entered by hand, at most.</summary>
    public const int MaxHosts = 256;

    /// <summary>What the prefix of flannel's keys must be.</summary>
    public const string FlannelAllowed = "what its keys begin with in etcd, such as /coreos.com/network, at most 256 characters";

    private const int MaxFlannelLength = 256;

    /// <summary>Everything that is wrong; key, value and what is allowed, one line each.</summary>
    public static IEnumerable<string> Errors(NetworkRecord network)
    {
        if (network.Mode != NetworkMode.Routed) yield break;
        foreach (var subnet in network.Subnets.Where(static subnet => !subnet.Address.IsIPv4)) yield return $"--subnet {subnet}: must be IPv4 for --mode routed";
        foreach (var gateway in network.Gateways) yield return $"--gateway {gateway}: does not go with --mode routed, in which each host is the gateway of its endpoints, with the second address of its subnet";
    }

    /// <summary>The parts of the pools, as hosts lease them, in which some of these subnets lies.</summary>
    public static IEnumerable<AddressPrefix> BlocksIn(NetworkRecord network, IEnumerable<AddressPrefix> subnets)
    {
        foreach (var subnet in subnets)
        {
            foreach (var pool in network.Subnets.Where(pool => pool.Contains(subnet)))
            {
                var length = AddressPool.BlockLength(network, pool);
                var last = subnet.Last();
                for (var number = subnet.First(); number <= last; number += UInt128.One << (pool.Width() - length)) yield return AddressPool.BlockOf(PrefixArithmetic.FromNumber(number, pool.Address.IsIPv4), length);
            }
        }
    }

    /// <summary>Whether flannel's keys may begin with it.</summary>
    public static bool IsFlannelRoot(string text) => text.Trim('/').Length > 0 && text.Length <= MaxFlannelLength && NetworkRules.IsText(text);

    /// <summary>Everything that is wrong with hosts that run no Sleeve, and where they are looked for.</summary>
    public static IEnumerable<string> HostErrors(NetworkRecord network)
    {
        if (network is { Mode: not NetworkMode.Routed } and not { Hosts: null, Flannel: null }) yield return "--flannel, member: go with --mode routed only";
        if (network.Flannel is { } root && !IsFlannelRoot(root)) yield return $"--flannel: must be {FlannelAllowed}";
        if (network.Hosts is not { } hosts) yield break;
        if (hosts.Count > MaxHosts) yield return string.Create(CultureInfo.InvariantCulture, $"member: {hosts.Count} entered; at most {MaxHosts} are allowed");
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var host in hosts.Take(MaxHosts))
        {
            if (host is null || !Names.IsName(host.Host))
            {
                yield return $"member: must be {Names.Allowed}";
                continue;
            }

            if (!names.Add(host.Host)) yield return $"member {host.Host}: is entered twice";
            if (!RecordJson.IsStation(host.Vtep)) yield return $"vtep {host.Vtep}: must be a unicast address";
            if (!host.Mac.IsValidSource) yield return $"mac {host.Mac}: must be a unicast MAC";
            if (host.Subnets.Count is 0 or > NetworkRules.MaxSubnets) yield return string.Create(CultureInfo.InvariantCulture, $"member {host.Host}: has {host.Subnets.Count} subnets; must be 1 to {NetworkRules.MaxSubnets}");
            foreach (var subnet in host.Subnets.Take(NetworkRules.MaxSubnets))
            {
                if (!subnet.IsNetwork()) yield return $"subnet {subnet}: has host bits; the network is {subnet.Network()}";
                else if (!network.Subnets.Any(pool => pool.Contains(subnet))) yield return $"subnet {subnet}: must lie in {string.Join(", ", network.Subnets)}";
                if (hosts.FirstOrDefault(other => other is not null && other != host && other.Subnets.Any(each => each.Overlaps(subnet))) is { } taken) yield return $"subnet {subnet}: overlaps that of member {taken.Host}";
            }
        }
    }
}
