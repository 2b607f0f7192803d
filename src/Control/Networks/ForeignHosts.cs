using System.Collections.Immutable;
using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// Hosts of a routed network that run no Sleeve, such as the kernel hosts of flannel or Calico: those entered by hand, which stand in the network's record, and those of flannel's keys. They have subnets as members
/// have, say no hello, and are believed as they stand.
/// </summary>
internal static class ForeignHosts
{
    /// <summary>What names of hosts from flannel's keys begin with; the address of the VTEP follows.</summary>
    public const string FlannelPrefix = "flannel-";

    /// <summary>A network with them in <see cref="NetworkView.Foreign"/>.</summary>
    /// <param name="view">The network as the store has it.</param>
    /// <param name="self">Address of this host's VTEP.</param>
    /// <param name="port">UDP port of this host's VTEP, which theirs have too unless they say otherwise.</param>
    /// <param name="leases">What flannel's keys say, with the revision of each.</param>
    public static NetworkView With(NetworkView view, InternetAddress self, ushort port, IEnumerable<(FlannelLease Lease, long Revision)> leases)
    {
        if (view.Record is not { Value: { Mode: NetworkMode.Routed } network } record) return view;
        var hosts = ImmutableDictionary.CreateBuilder<string, Published<MemberRecord>>();
        foreach (var host in network.Hosts ?? [])
            hosts[host.Host] = new Published<MemberRecord>(new MemberRecord(host.Vtep, host.Port == 0 ? port : host.Port) { Mac = host.Mac, Subnets = host.Subnets }, host.Host, record.Version);
        // Hosts of the cluster have leases in flannel's keys too, and are members already.
        var vteps = view.Members.Values.Select(static member => member.Value.Vtep).Append(self).ToHashSet();
        foreach (var (lease, revision) in leases.Where(each => !vteps.Contains(each.Lease.Vtep)).OrderBy(static each => each.Revision))
        {
            var name = $"{FlannelPrefix}{lease.Vtep}";
            var before = hosts.GetValueOrDefault(name)?.Value.Subnets ?? [];
            hosts[name] = new Published<MemberRecord>(new MemberRecord(lease.Vtep, port) { Mac = lease.Mac, Subnets = [.. before, lease.Subnet] }, name, revision);
        }

        return hosts.Count == 0 ? view : view with { Foreign = hosts.ToImmutable() };
    }

    /// <summary>Reads a host as it was entered by hand.</summary>
    /// <exception cref="CommandRefusedException">Something is wrong; each is one line.</exception>
    public static ForeignHost Read(string host, NetworkHostJson settings)
    {
        var errors = new List<string>();
        if (!Names.IsName(host)) errors.Add($"host: must be {Names.Allowed}");
        if (!InternetAddress.TryParse(settings.Vtep, out var vtep)) errors.Add($"vtep {Shorten(settings.Vtep)}: must be an IPv4 or IPv6 address");
        if (!MacAddress.TryParse(settings.Mac, out var mac) || !mac.IsValidSource) errors.Add($"mac {Shorten(settings.Mac)}: must be a unicast MAC such as 02:00:00:00:00:01");
        if (settings.Port is < 1 or > 65535) errors.Add(string.Create(CultureInfo.InvariantCulture, $"port {settings.Port}: must be 1 to 65535"));
        var subnets = new List<AddressPrefix>();
        foreach (var text in (settings.Subnets ?? []).Take(NetworkRules.MaxSubnets + 1))
        {
            if (AddressPrefix.TryParse(text, out var subnet)) subnets.Add(subnet);
            else errors.Add($"subnet {Shorten(text)}: must be ADDRESS/LENGTH");
        }

        if (errors.Count > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        return new ForeignHost(host, vtep, mac, subnets) { Port = (ushort)(settings.Port ?? 0) };
    }

    private static string Shorten(string? text) => text is null ? "(none)" : string.Concat(text.Take(80).Select(static c => char.IsControl(c) ? '?' : c));
}
