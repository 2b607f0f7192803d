using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Networks;

/// <summary>
/// The wire to a virtual machine: a TAP, port of the network's bridge, which the machine's program opens by its name (<c>qemu -netdev tap,ifname=NAME,script=no,downscript=no</c>). It is there as long as the
/// endpoint is attached, whether the machine runs or not. What the machine must know (MAC, addresses, MTU, router) its owner tells it.
/// </summary>
internal static class MachineTap
{
    /// <summary>What a target of this kind begins with.</summary>
    public const string Prefix = "tap:";

    /// <summary>Says whose it is; another than that of the TAPs that carry segments.</summary>
    public const string Alias = $"{OverlayDevice.OwnAlias} for a machine";

    /// <summary>The TAP that a target names; null if it is another kind of target.</summary>
    public static string? NameOf(string target) => target.StartsWith(Prefix, StringComparison.Ordinal) ? target[Prefix.Length..] : null;

    /// <summary>Which thing it is, for <see cref="IEndpointWires.IdentifyAsync"/>: after a restart of the host the same, since it is made anew.</summary>
    /// <exception cref="HostException">No interface can have that name.</exception>
    public static string IdentityOf(string name) => LinkInfo.IsValidName(name) ? $"{Prefix}{name}" : throw new HostException($"target {Prefix}{name}: must name an interface: {Cli.Words.LinkNameAllowed}");

    /// <summary>Whether a link is such a wire.</summary>
    public static bool IsOne(LinkInfo link) => link is { Tun.IsTap: true, Alias: Alias };

    /// <summary>Makes it, or takes it as it is.</summary>
    /// <param name="host">The host's own configuration.</param>
    /// <param name="plan">How; what is for the far end is the machine's business.</param>
    /// <returns>The TAP.</returns>
    /// <exception cref="HostException">It cannot be done; one that was not there is not there.</exception>
    public static LinkInfo Connect(RouteNetlink host, WirePlan plan)
    {
        if (plan.InterfaceName != "") throw new HostException($"ifname {plan.InterfaceName}: a TAP has the name that its target says; leave --ifname out");
        if (plan.InsistsOnGateways) throw new HostException($"gateway {plan.Gateways[0]}: the machine behind a TAP sets its own routes; leave --gateway out");
        var before = host.FindLink(plan.Link);
        if (before is not null && !IsOne(before)) throw new HostException($"target {Prefix}{plan.Link}: there is an interface of that name that is not of Sleeve's making; choose another name, or remove it: ip link del {plan.Link}");
        var link = before ?? Make(host, plan.Link);
        try
        {
            var bridge = host.FindLink(plan.Bridge) ?? throw new HostException($"there is no bridge {plan.Bridge}");
            if (link.Mtu != plan.Mtu) host.SetMtu(link.Index, plan.Mtu);
            if (link.MasterIndex != bridge.Index) host.SetMaster(link.Index, bridge.Index);
            if (!link.IsUp) host.SetUp(link.Index, up: true);
            return link;
        }
        catch (HostException) when (before is null)
        {
            host.DeleteLink(link.Index);
            throw;
        }
    }

    private static LinkInfo Make(RouteNetlink host, string name)
    {
        try
        {
            // One queue and a virtio-net header, as qemu, firecracker and cloud-hypervisor open it unless they are told otherwise.
            using var tap = TapDevice.Open(name);
            var link = host.GetLink(name);
            // Before it outlives this process: without an owner it would be nobody's to remove.
            host.SetAlias(link.Index, Alias);
            Wiring.Silence(name);
            tap.SetPersistent(true);
            return link;
        }
        catch (ErrnoException failure)
        {
            throw new HostException($"target {Prefix}{name}: a TAP cannot be made: {ErrnoException.Describe(failure.Errno)}", failure.Errno);
        }
    }
}
