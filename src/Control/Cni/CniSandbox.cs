using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cni;

/// <summary>A container's network namespace, as a plugin looks into it.</summary>
internal sealed class CniSandbox : IDisposable
{
    private readonly NetworkNamespace _namespace;
    private readonly RouteNetlink _inside;
    private readonly string _path;

    private CniSandbox(NetworkNamespace @namespace, string path) => (_namespace, _inside, _path) = (@namespace, RouteNetlink.Open(@namespace), path);

    /// <summary>Opens one.</summary>
    /// <exception cref="CniFault">There is none (3), or it may not be entered (5).</exception>
    public static CniSandbox Open(string path)
    {
        NetworkNamespace? opened = null;
        try
        {
            opened = NetworkNamespace.OpenPath(path);
            return new CniSandbox(opened, path);
        }
        catch (IOException failure)
        {
            opened?.Dispose();
            var isGone = failure is NetworkNamespaceException { Errno: LibC.ENOENT or LibC.EINVAL };
            throw new CniFault(isGone ? CniCode.UnknownContainer : CniCode.Io, $"CNI_NETNS {CniNode.Shorten(path)}: {failure.Message}");
        }
    }

    /// <summary>Whether a namespace is certainly gone, and with it every interface in it.</summary>
    public static bool IsGone(string path)
    {
        if (path.Length == 0) return true;
        try
        {
            Open(path).Dispose();
            return false;
        }
        catch (CniFault fault)
        {
            return fault.Code == CniCode.UnknownContainer;
        }
    }

    /// <summary>An interface; null if there is none of that name.</summary>
    public LinkInfo? Find(string name) => _inside.FindLink(name);

    /// <summary>The addresses of an interface, but for those that IPv6 makes itself.</summary>
    public IReadOnlyList<AddressPrefix> AddressesOf(LinkInfo link) => [.. _inside.ListAddresses(link.Index).Select(static each => each.Prefix).Where(static prefix => !prefix.Address.IsIPv6LinkLocal)];

    /// <summary>Whether the default route of a family leads by an interface.</summary>
    public bool HasDefaultRoute(LinkInfo link, bool isIPv4) => _inside.DefaultRouteLinks(isIPv4).Contains(link.Index);

    /// <summary>Gives addresses the lengths that an IPAM plugin says, where the network has no subnet that says another, and adds its routes. What is there already is left as it is.</summary>
    /// <exception cref="HostException">It cannot be done.</exception>
    public void Complete(LinkInfo link, IReadOnlyList<CniAddress> addresses, IReadOnlyList<CniRoute> routes)
    {
        var present = AddressesOf(link);
        foreach (var wanted in addresses.Select(static each => each.Prefix))
        {
            var alone = AddressPrefix.Of(wanted.Address);
            if (wanted == alone || !present.Contains(alone)) continue;
            _inside.AddAddress(link.Index, wanted, noDad: true);
            _inside.RemoveAddress(link.Index, alone);
        }

        foreach (var route in routes)
        {
            var gateway = route.Gateway ?? addresses.FirstOrDefault(each => each.Prefix.Address.IsIPv4 == route.Destination.Address.IsIPv4)?.Gateway;
            try
            {
                _inside.AddRoute(new RouteOptions { Destination = route.Destination, Gateway = gateway, LinkIndex = link.Index });
            }
            catch (HostException failure) when (failure.Errno == LibC.EEXIST)
            {
                // Another network of the container has it, and keeps it.
            }
        }
    }

    /// <summary>Compares an interface with what was answered when it was made; the first difference, or null.</summary>
    /// <param name="name">The interface.</param>
    /// <param name="before">What was answered.</param>
    /// <param name="wire">Name of the other end, on the host.</param>
    public string? Compare(string name, CniResult before, string wire)
    {
        if (Find(name) is not { } link) return $"there is no {name} in {_path}";
        if (!link.IsUp) return $"{name} in {_path} is down";
        using (var host = RouteNetlink.Open())
            if (host.FindLink(wire) is { } near && near.LinkIndex != link.Index) return $"{name} in {_path} is not the other end of {wire}";
        if (before.Interfaces.FirstOrDefault(each => each.Name == name && each.Sandbox.Length > 0) is { Mac.Length: > 0 } made && (!MacAddress.TryParse(made.Mac, out var mac) || mac != link.Mac))
            return $"{name} in {_path} has the MAC {link.Mac}, and had {made.Mac}";
        var present = AddressesOf(link);
        foreach (var address in Own(before, name))
        {
            if (!present.Contains(address.Prefix)) return $"{name} in {_path} does not have the address {address.Prefix}";
            var isDefault = before.Routes.Any(route => route.Destination.Length == 0 && route.Gateway is { } gateway && gateway == address.Gateway);
            if (isDefault && !HasDefaultRoute(link, address.Prefix.Address.IsIPv4)) return $"{name} in {_path} has lost the default route by {address.Gateway}";
        }

        return null;
    }

    /// <summary>The addresses of a result that are an interface's.</summary>
    public static IEnumerable<CniAddress> Own(CniResult result, string name) =>
        result.Addresses.Where(address => address.Interface is { } number && number >= 0 && number < result.Interfaces.Count && result.Interfaces[number] is { Sandbox.Length: > 0 } made && made.Name == name);

    /// <inheritdoc/>
    public void Dispose()
    {
        _inside.Dispose();
        _namespace.Dispose();
    }
}
