using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What a network may be: the same for what somebody types as for what stands in the store.</summary>
internal static class NetworkRules
{
    /// <summary>Subnets, at most.</summary>
    public const int MaxSubnets = 16;

    /// <summary>Labels, at most.</summary>
    public const int MaxLabels = 64;

    /// <summary>Characters of a label's key and of its value, at most.</summary>
    public const int MaxLabelLength = 255;

    /// <summary>Bytes of an MTU, at least (RFC 791).</summary>
    public const int MinMtu = 68;

    /// <summary>Bytes of an MTU that IPv6 asks for (RFC 8200, section 5).</summary>
    public const int MinMtuIPv6 = 1280;

    /// <summary>Bytes of an MTU, at most: what a TAP takes.</summary>
    public const int MaxMtu = 65521;

    /// <summary>Host bits of a subnet, at least: two addresses between network and broadcast address.</summary>
    public const int MinHostBits = 2;

    /// <summary>Host bits of a block, at most: 65,536 addresses, which a host looks through.</summary>
    public const int MaxBlockBits = 16;

    /// <summary>Bits of a subnet's prefix, at least: no /0.</summary>
    private const int MinLength = 4;

    /// <summary>What a subnet must be.</summary>
    public const string SubnetAllowed = "ADDRESS/LENGTH of unicast addresses with zero host bits, IPv4 /4 to /30 or IPv6 /4 to /126";

    /// <summary>Everything that is wrong with a network; key, value and what is allowed, one line each.</summary>
    public static IEnumerable<string> Errors(NetworkRecord network)
    {
        if (!Names.IsName(network.Name)) yield return $"NAME {Shorten(network.Name)}: must be {Names.Allowed}";
        if (network.Vni.Value == 0) yield return $"--vni 0: must be 1 to {Vni.MaxValue}";
        foreach (var error in SubnetErrors(network.Subnets)) yield return error;
        foreach (var error in GatewayErrors(network)) yield return error;
        var minMtu = network.Subnets.Any(static subnet => !subnet.Address.IsIPv4) ? MinMtuIPv6 : MinMtu;
        if (network.Mtu != 0 && (network.Mtu < minMtu || network.Mtu > MaxMtu)) yield return Line($"--mtu {network.Mtu}: must be {minMtu} to {MaxMtu}{(minMtu == MinMtu ? "" : " for an IPv6 subnet (RFC 8200, section 5)")}");
        foreach (var error in BlockErrors(network)) yield return error;
        foreach (var error in RangeErrors(network)) yield return error;
        if (network is { IsInternal: true, Mode: NetworkMode.Routed }) yield return "--internal: goes with --mode bridged only: in a routed network hosts are the routers";
        if (network is { IsDirect: true, Mode: not NetworkMode.Routed }) yield return "--direct: goes with --mode routed only";
        if (network is { Mode: NetworkMode.Routed, Subnets.Count: 0 }) yield return "--mode routed: needs a --subnet, of which every host gets a part";
        foreach (var error in LabelErrors(network.Labels)) yield return error;
    }

    /// <summary>Everything that is wrong with labels.</summary>
    public static IEnumerable<string> LabelErrors(IReadOnlyDictionary<string, string> labels)
    {
        if (labels.Count > MaxLabels) yield return Line($"--label: {labels.Count} given; at most {MaxLabels} are allowed");
        foreach (var (key, value) in labels)
        {
            if (key.Length is 0 or > MaxLabelLength || key.Contains('=', StringComparison.Ordinal) || !IsText(key) || !IsText(value) || value.Length > MaxLabelLength)
                yield return Line($"--label {Shorten(key)}={Shorten(value)}: must be KEY=VALUE of at most {MaxLabelLength} characters each, without control characters");
        }
    }

    /// <summary>Whether it can be shown on a terminal as it is.</summary>
    public static bool IsText(string text) => !text.Any(static c => char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029');

    private static IEnumerable<string> SubnetErrors(IReadOnlyList<AddressPrefix> subnets)
    {
        if (subnets.Count > MaxSubnets)
        {
            yield return Line($"--subnet: {subnets.Count} given; at most {MaxSubnets} are allowed");
            yield break;
        }

        for (var i = 0; i < subnets.Count; i++)
        {
            var subnet = subnets[i];
            if (!subnet.IsNetwork()) yield return $"--subnet {subnet}: has host bits; the network is {subnet.Network()}";
            if (!MayBeSubnet(subnet)) yield return $"--subnet {subnet}: must be {SubnetAllowed}";
            for (var j = 0; j < i; j++)
                if (subnet.Overlaps(subnets[j])) yield return $"--subnet {subnet}: overlaps {subnets[j]} of the same network";
        }
    }

    private static bool MayBeSubnet(AddressPrefix subnet)
    {
        var network = subnet.Network().Address;
        var last = PrefixArithmetic.FromNumber(subnet.Last(), network.IsIPv4);
        return subnet.HostBits() >= MinHostBits && subnet.Length >= MinLength && !network.IsMulticast && !network.IsLoopback && !network.IsIPv6LinkLocal
            && !last.IsMulticast && !last.IsIPv4Broadcast && (!network.IsIPv4 || network.IPv4Value >> 24 is not (0 or 127));
    }

    private static IEnumerable<string> GatewayErrors(NetworkRecord network)
    {
        var served = new HashSet<AddressPrefix>();
        foreach (var gateway in network.Gateways)
        {
            var subnet = network.Subnets.Where(each => each.Contains(gateway)).Take(1).ToArray();
            if (subnet is not [var only]) yield return $"--gateway {gateway}: must be an address of one of the subnets ({(network.Subnets.Count == 0 ? "there are none" : string.Join(", ", network.Subnets))})";
            else if (!served.Add(only)) yield return $"--gateway {gateway}: {only} has one already; one a subnet is allowed";
            else if (!AddressPool.IsUsable(only, gateway)) yield return $"--gateway {gateway}: is the network or broadcast address of {only}";
        }
    }

    private static IEnumerable<string> RangeErrors(NetworkRecord network)
    {
        if (network.Ranges is not { } ranges) yield break;
        if (ranges.Count is 0 or > MaxSubnets) yield return Line($"--range: {ranges.Count} given; 1 to {MaxSubnets} are allowed");
        if (network.Plan.Length > 0) yield return "--range: goes not with --blocks, which says where addresses are chosen too";
        if (network.Mode == NetworkMode.Routed) yield return "--range: goes with --mode bridged only: in a routed network every host gets a part";
        foreach (var range in ranges)
            if (!range.IsNetwork() || !network.Subnets.Any(subnet => subnet.Contains(range))) yield return $"--range {range}: must be ADDRESS/LENGTH with zero host bits within one of the subnets ({(network.Subnets.Count == 0 ? "there are none" : string.Join(", ", network.Subnets))})";
    }

    private static IEnumerable<string> BlockErrors(NetworkRecord network)
    {
        if (network.BlockLength != 0)
        {
            // It is told for IPv4; a network of IPv6 alone takes what IPv6 takes.
            foreach (var subnet in network.Subnets.Where(static subnet => subnet.Address.IsIPv4))
            {
                if (network.BlockLength < Math.Max(subnet.Length, 32 - MaxBlockBits) || network.BlockLength > 30)
                    yield return Line($"--block {network.BlockLength}: must be {Math.Max(subnet.Length, 32 - MaxBlockBits)} to 30 for {subnet}");
            }

            if (network.BlockLength is < 4 or > 30) yield return Line($"--block {network.BlockLength}: must be 4 to 30");
        }

        if (!AddressPlan.TryParse(network.Plan, out _)) yield return $"--blocks {Shorten(network.Plan)}: must be {AddressPlan.Allowed}";
        else if (network.Plan.Length > 0 && network.Subnets.Count == 0) yield return $"--blocks {network.Plan}: needs a --subnet to divide";
    }

    private static string Shorten(string? text) => string.Concat((text ?? "").Take(80).Select(static c => char.IsControl(c) ? '?' : c));

    private static string Line(FormattableString line) => line.ToString(CultureInfo.InvariantCulture);
}
