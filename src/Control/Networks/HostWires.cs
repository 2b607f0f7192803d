using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Up;

namespace Sleeve.Control.Networks;

/// <summary>Wires endpoints to the networks of this host.</summary>
/// <param name="networks">The networks.</param>
/// <param name="names">What names take; null where none are served.</param>
internal sealed class HostWires(LocalNetworks networks, NameWiring? names = null) : IEndpointWires
{
    // Another after each restart of the host, when namespaces are numbered anew.
    private const string BootPath = "/proc/sys/kernel/random/boot_id";

    private static readonly string Boot = File.Exists(BootPath) ? File.ReadAllText(BootPath).Trim() : "";

    /// <inheritdoc/>
    public Task<LocalNetwork> HoldAsync(NetworkRecord record, string user, CancellationToken cancellation) => networks.HoldAsync(record, user, cancellation);

    /// <inheritdoc/>
    public Task ReleaseAsync(string network, string user) => networks.ReleaseAsync(network, user);

    /// <inheritdoc/>
    public async Task<string> IdentifyAsync(string target, CancellationToken cancellation)
    {
        if (MachineTap.NameOf(target) is { } tap) return MachineTap.IdentityOf(tap);
        if (HandedVeth.NameOf(target) is { } veth) return HandedVeth.IdentityOf(veth);
        using var opened = await WireTarget.OpenAsync(target, cancellation);
        return IdentityOf(opened);
    }

    private static string IdentityOf(WireTarget target) => $"{Boot}/{target.Identity}";

    /// <inheritdoc/>
    public async Task<string> ConnectAsync(string target, string identity, WirePlan plan, CancellationToken cancellation)
    {
        if (MachineTap.NameOf(target) is not null) return MachineTap.Connect(networks.Host, plan).Name;
        if (HandedVeth.NameOf(target) is { } veth) return HandedVeth.Connect(networks.Host, veth, plan);
        using var opened = await WireTarget.OpenAsync(target, cancellation);
        if (IdentityOf(opened) != identity) throw new HostException($"target {target}: was restarted meanwhile; try again");
        var far = Wiring.Connect(networks.Host, opened.Namespace, plan);
        if (networks.Current.Values.FirstOrDefault(network => network.Bridge == plan.Bridge) is { } local) names?.Connect(target, opened.Namespace, plan.Link, far, local, wire => Wiring.IsThere(networks.Host, wire));
        return far.Name;
    }

    /// <inheritdoc/>
    public void Plug(string link, LocalNetwork network)
    {
        if (networks.Host.FindLink(link) is { } near && networks.Host.FindLink(network.Bridge) is { } bridge && near.MasterIndex != bridge.Index) networks.Host.SetMaster(near.Index, bridge.Index);
    }

    /// <inheritdoc/>
    public bool Disconnect(string link)
    {
        names?.Disconnect(link);
        return Wiring.Disconnect(networks.Host, link);
    }

    /// <inheritdoc/>
    public IReadOnlySet<string> Links() => networks.Host.ListLinks().Where(IsWire).Select(static link => link.Name).ToHashSet();

    private static bool IsWire(LinkInfo link) => MachineTap.IsOne(link) || (link is { Kind: "veth", Alias: OverlayDevice.OwnAlias } && link.Name.StartsWith(EndpointEntry.LinkPrefix, StringComparison.Ordinal));

    /// <inheritdoc/>
    public void RemoveLeftOvers(IReadOnlySet<string> links)
    {
        foreach (var link in networks.Host.ListLinks().Where(link => IsWire(link) && !links.Contains(link.Name))) networks.Host.DeleteLink(link.Index);
        networks.RemoveLeftOvers();
    }
}
