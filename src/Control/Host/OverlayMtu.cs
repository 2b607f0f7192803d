using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>A remote that the host has no route to.</summary>
/// <param name="Remote">The VTEP's address.</param>
/// <param name="Reason">What the kernel says.</param>
internal readonly record struct UnreachableRemote(InternetAddress Remote, string Reason)
{
    /// <inheritdoc/>
    public override string ToString() => $"no route to {Remote}: {Reason}";
}

/// <summary>The MTU that an overlay can have so that its largest frame, encapsulated, still fits the underlay unfragmented.</summary>
/// <param name="Mtu">Bytes of the overlay's largest IP packet.</param>
/// <param name="Source">Where the number comes from, to be printed: <c>eth0 (MTU 1500 on the way to 192.0.2.2, less 50)</c>.</param>
/// <param name="LinkName">The interface that bounds it; null if none does.</param>
/// <param name="Unreachable">Remotes that could not be asked about.</param>
internal sealed record OverlayMtu(int Mtu, string Source, string? LinkName, IReadOnlyList<UnreachableRemote> Unreachable)
{
    /// <summary>What Ethernet carries, taken where nothing says otherwise.</summary>
    public const int DefaultUnderlayMtu = 1500;

    /// <summary>
    /// Takes the least over the remotes of the route's MTU less <see cref="Overhead"/>; without a reachable remote, the MTU of the interface
    /// with the local address; without that, Ethernet's 1500.
    /// </summary>
    /// <param name="host">The namespace of the UDP sockets.</param>
    /// <param name="local">The VTEP's own address; null or unspecified for any.</param>
    /// <param name="remotes">The VTEPs to be reached; a group address stands for its route.</param>
    /// <param name="linkIndex">The interface to send through, which link-local remotes need; 0 for whichever the route names.</param>
    public static OverlayMtu Find(RouteNetlink host, InternetAddress? local, IReadOnlyCollection<InternetAddress> remotes, int linkIndex = 0)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(remotes);
        var source = local is { IsUnspecified: false } ? local : null;
        // An address that is not ours would make every remote look unreachable; binding to it will say so better.
        var routed = source is { } own && host.HasAddress(own) ? source : null;
        var unreachable = new List<UnreachableRemote>();
        OverlayMtu? least = null;
        foreach (var remote in remotes)
        {
            // The source only counts if it is of the remote's family; a mixture is for the caller to refuse.
            var from = routed is { } address && address.IsIPv4 == remote.IsIPv4 ? routed : null;
            var route = host.TryGetRoute(remote, from, linkIndex, out var outcome);
            var link = route is null ? null : host.FindLink(route.LinkIndex);
            if (route is null || link is null)
            {
                unreachable.Add(new UnreachableRemote(remote, route is null ? outcome.Reason : "its interface is gone"));
                continue;
            }

            // A metric above the interface's MTU promises what the interface cannot carry.
            var underlay = route.MtuMetric > 0 ? Math.Min(route.MtuMetric, link.Mtu) : link.Mtu;
            var found = Of(underlay, Overhead.For(remote), link.Name, $"on the way to {remote}");
            if (least is null || found.Mtu < least.Mtu) least = found;
        }

        return (least ?? OfLocal(host, source) ?? Default(local)) with { Unreachable = unreachable };
    }

    private static OverlayMtu? OfLocal(RouteNetlink host, InternetAddress? local)
    {
        if (local is not { } address || host.ListAddresses().FirstOrDefault(held => held.Prefix.Address == address) is not { } own) return null;
        if (host.FindLink(own.LinkIndex) is not { } link) return null;
        return Of(link.Mtu, Overhead.For(address), link.Name, $"with the local address {address}");
    }

    private static OverlayMtu Default(InternetAddress? local)
    {
        var overhead = Overhead.For(local ?? InternetAddress.AnyIPv4);
        return new OverlayMtu(
            DefaultUnderlayMtu - overhead, string.Create(CultureInfo.InvariantCulture, $"Ethernet's MTU {DefaultUnderlayMtu}, less {overhead}"), null, []);
    }

    private static OverlayMtu Of(int underlay, int overhead, string name, string which) =>
        new(underlay - overhead, string.Create(CultureInfo.InvariantCulture, $"{name} (MTU {underlay} {which}, less {overhead})"), name, []);
}
