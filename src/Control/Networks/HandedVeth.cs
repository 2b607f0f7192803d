using Sleeve.Control.Host;
using Sleeve.Control.Up;

namespace Sleeve.Control.Networks;

/// <summary>
/// A wire whose far end waits in the host's namespace under a name that its owner chose, for a program that moves it where it belongs and gives it its addresses: Docker, <c>systemd-nspawn --network-interface=NAME</c>,
/// LXC (<c>lxc.net.0.type=phys</c>). It has its MAC and its MTU already. It goes with the namespace that it was moved to, and the endpoint with it.
/// </summary>
internal static class HandedVeth
{
    /// <summary>What a target of this kind begins with.</summary>
    public const string Prefix = "veth:";

    /// <summary>The far end that a target names; null if it is another kind of target.</summary>
    public static string? NameOf(string target) => target.StartsWith(Prefix, StringComparison.Ordinal) ? target[Prefix.Length..] : null;

    /// <summary>Which thing it is, for <see cref="IEndpointWires.IdentifyAsync"/>.</summary>
    /// <exception cref="HostException">No interface can have that name.</exception>
    public static string IdentityOf(string name) => LinkInfo.IsValidName(name) ? $"{Prefix}{name}" : throw new HostException($"target {Prefix}{name}: must name an interface: {Cli.Words.LinkNameAllowed}");

    /// <summary>Makes it, or takes it as it is.</summary>
    /// <param name="host">The host's own configuration.</param>
    /// <param name="name">Name of the far end.</param>
    /// <param name="plan">How; addresses and routes are whose who moves it.</param>
    /// <returns>The far end's name.</returns>
    /// <exception cref="HostException">It cannot be done; one that was not there is not there.</exception>
    public static string Connect(RouteNetlink host, string name, WirePlan plan)
    {
        if (plan.InterfaceName != "") throw new HostException($"ifname {plan.InterfaceName}: whoever takes {name} names it; leave --ifname out");
        if (plan.InsistsOnGateways) throw new HostException($"gateway {plan.Gateways[0]}: whoever takes {name} sets its routes; leave --gateway out");
        var near = host.FindLink(plan.Link);
        if (near is not null and not { Kind: "veth", Alias: OverlayDevice.OwnAlias or "" }) throw new HostException($"{plan.Link} is taken by an interface that is not of Sleeve's making; remove it: ip link del {plan.Link}");
        var far = host.FindLink(name);
        if (far is not null && (near is null || far.Index != near.LinkIndex)) throw new HostException($"target {Prefix}{name}: there is an interface of that name already; choose another name, or remove it: ip link del {name}");
        var isNew = near is null;
        near ??= host.CreateVethPair(plan.Link, name);
        try
        {
            if (isNew)
            {
                // Without an owner an interface is nobody's to remove after a crash.
                host.SetAlias(near.Index, OverlayDevice.OwnAlias);
                Wiring.Silence(near.Name);
                far = host.GetLink(name);
                host.SetMac(far.Index, plan.Mac);
                host.SetMtu(far.Index, plan.Mtu);
            }

            var bridge = host.FindLink(plan.Bridge) ?? throw new HostException($"there is no bridge {plan.Bridge}");
            if (near.Mtu != plan.Mtu) host.SetMtu(near.Index, plan.Mtu);
            if (near.MasterIndex != bridge.Index) host.SetMaster(near.Index, bridge.Index);
            if (!near.IsUp) host.SetUp(near.Index, up: true);
            return name;
        }
        catch (HostException) when (isNew)
        {
            host.DeleteLink(near.Index);
            throw;
        }
    }
}
