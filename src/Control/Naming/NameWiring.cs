using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Naming;

/// <summary>
/// What an endpoint gets with its wire so that names resolve for it: a route to the server where no subnet has one, and the resolv.conf of a namespace that has a name. A container's own
/// resolv.conf is its engine's business. Names are no reason to refuse an endpoint: what cannot be had is said.
/// </summary>
/// <param name="options">How names are served.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class NameWiring(NameOptions options, Action<string> say)
{
    private static readonly string[] NameFolders = ["/run/netns", "/var/run/netns"];

    /// <summary>Addresses that the bridge of a network needs besides its gateways.</summary>
    public IReadOnlyList<AddressPrefix> BridgeAddresses(Networks.NetworkRecord network) => ResolverAdvice.Of(network, options, "").BridgeAddresses;

    /// <summary>Gives an endpoint what it needs. Done twice it is as done once.</summary>
    /// <param name="target">What an operator calls it.</param>
    /// <param name="where">Its namespace.</param>
    /// <param name="wire">Name of the near end of its wire.</param>
    /// <param name="far">The far end.</param>
    /// <param name="local">Its network.</param>
    /// <param name="isThere">Whether a wire is there.</param>
    public void Connect(string target, NetworkNamespace where, string wire, LinkInfo far, Networks.LocalNetwork local, Func<string, bool> isThere)
    {
        var advice = ResolverAdvice.Of(local.Record, options, far.Name, local.Gateways);
        try
        {
            using var inside = RouteNetlink.Open(where);
            foreach (var route in advice.Routes) AddRoute(inside, route, far.Index);
            if (NameOf(target) is { } name) NamespaceResolvConf.Write(name, wire, advice, isThere);
        }
        catch (IOException failure)
        {
            say($"warning: names of {local.Record.Name} do not resolve for {target}: {failure.Message}");
        }
    }

    /// <summary>Takes back what goes not with the wire itself.</summary>
    /// <param name="wire">Name of its near end.</param>
    public void Disconnect(string wire)
    {
        try
        {
            NamespaceResolvConf.Remove(wire);
        }
        catch (HostException failure)
        {
            say($"warning: {failure.Message}");
        }
    }

    private static void AddRoute(RouteNetlink inside, AddressPrefix route, int index)
    {
        // A second network's is by its own interface; the first that came keeps it, as it keeps its resolv.conf.
        try
        {
            inside.AddRoute(new RouteOptions { Destination = route, LinkIndex = index });
        }
        catch (HostException failure) when (failure.Errno == LibC.EEXIST)
        {
        }
    }

    private static string? NameOf(string target)
    {
        var name = target.StartsWith("netns:", StringComparison.Ordinal) ? target["netns:".Length..] : target;
        return name is "" or "." or ".." || name.Contains('/', StringComparison.Ordinal) || !NameFolders.Any(folder => File.Exists($"{folder}/{name}")) ? null : name;
    }
}
