using Sleeve.Control.Host;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Networks;

/// <summary>Makes the kernel's routes and neighbours and a segment's FDB be what a <see cref="RoutedPlan"/> says; by the difference, so that what stays is not touched.</summary>
internal static class RoutedTables
{
    /// <summary>Applies a plan.</summary>
    /// <param name="host">The namespace of the TAP.</param>
    /// <param name="device">Index of the TAP, which is up.</param>
    /// <param name="subnets">The network's pools: routes of ours into them that the plan does not have go.</param>
    /// <param name="segment">Its segment.</param>
    /// <param name="plan">What is to be.</param>
    /// <param name="nowMilliseconds">Of the monotonic clock.</param>
    /// <returns>What was changed, one phrase each, and routes that cannot be had: somebody else's stand there.</returns>
    /// <exception cref="HostException">Something cannot be done; what was done before it stays, and the next call goes on.</exception>
    public static (IReadOnlyList<string> Changes, IReadOnlyList<string> Faults) Apply(RouteNetlink host, int device, IReadOnlyList<AddressPrefix> subnets, Segment segment, RoutedPlan plan, long nowMilliseconds)
    {
        var (changes, faults) = (new List<string>(), new List<string>());
        // What leads there first, then the routes: no packet meets a route without it. In the reverse order when they go.
        ApplyStations(segment, plan, nowMilliseconds, changes, isRemoval: false);
        var neighbours = host.ListPermanentNeighbours(device).ToDictionary(static each => each.Address, static each => each.Mac);
        foreach (var (address, mac) in plan.Neighbours)
        {
            if (neighbours.TryGetValue(address, out var known) && known == mac) continue;
            host.ReplaceNeighbour(device, address, mac);
            changes.Add($"neighbour {address} lladdr {mac}");
        }

        var before = host.ListOwnRoutes().Where(route => route.LinkIndex == device || subnets.Any(subnet => subnet.Contains(route.Destination))).ToArray();
        foreach (var route in plan.Routes.Values.Select(route => route.LinkIndex == 0 ? route with { LinkIndex = device } : route).Where(route => !before.Contains(route)))
        {
            try
            {
                host.ReplaceOwnRoute(route);
                changes.Add($"route {route.Destination} via {route.Gateway}");
            }
            catch (HostException failure)
            {
                // The others have theirs all the same.
                faults.Add(failure.Message);
            }
        }

        foreach (var route in before.Where(route => !plan.Routes.ContainsKey(route.Destination)))
        {
            host.RemoveOwnRoute(route);
            changes.Add($"route {route.Destination} removed");
        }

        foreach (var address in neighbours.Keys.Where(address => !plan.Neighbours.ContainsKey(address)))
        {
            host.RemoveNeighbour(device, address);
            changes.Add($"neighbour {address} removed");
        }

        ApplyStations(segment, plan, nowMilliseconds, changes, isRemoval: true);
        return (changes, faults);
    }

    /// <summary>Takes away all routes of ours into a network's pools.</summary>
    public static void Remove(RouteNetlink host, IReadOnlyList<AddressPrefix> subnets)
    {
        foreach (var route in host.ListOwnRoutes().Where(route => subnets.Any(subnet => subnet.Contains(route.Destination)))) host.RemoveOwnRoute(route);
    }

    private static void ApplyStations(Segment segment, RoutedPlan plan, long nowMilliseconds, List<string> changes, bool isRemoval)
    {
        var vni = segment.Options.Vni;
        if (isRemoval)
        {
            // What an operator put there stays.
            foreach (var mac in segment.Published.Stations.Where(mac => !plan.Stations.ContainsKey(mac)))
            {
                if (segment.Fdb.Show(mac, nowMilliseconds) is { } entry && segment.Published.TryGet(entry, out _)) segment.Fdb.Delete(mac, null, vni, nowMilliseconds);
                segment.Published.Remove(mac);
                changes.Add($"fdb {mac} removed");
            }

            return;
        }

        foreach (var (mac, vtep) in plan.Stations)
        {
            var entry = segment.Fdb.Show(mac, nowMilliseconds);
            var (host, version) = plan.Sources[mac];
            var isThere = PublishedBindings.IsJust(entry, vtep);
            if (isThere && segment.Published.TryGet(entry!, out var by) && by.Host == host && by.Version == version) continue;
            if (!isThere && segment.Fdb.Replace(mac, vtep, vni, EntryKind.Static, nowMilliseconds) != TableResult.Done) throw new HostException($"{segment.Options.Name}: the table takes no entry for {mac}");
            segment.Published.Set(mac, vtep, new PublishedBy(host, "", version, nowMilliseconds));
            changes.Add($"fdb {mac} dst {vtep.Address}");
        }
    }

    /// <summary>Compares what is there with a plan.</summary>
    /// <inheritdoc cref="Apply"/>
    public static IReadOnlyList<TableDifference> Compare(RouteNetlink host, int device, IReadOnlyList<AddressPrefix> subnets, Segment segment, RoutedPlan plan, long nowMilliseconds)
    {
        var differences = new List<TableDifference>();
        string By(AddressPrefix subnet) => plan.Neighbours.TryGetValue(subnet.Address, out var mac) ? plan.Sources[mac].Host : "";
        var routes = host.ListOwnRoutes().Where(route => route.LinkIndex == device || subnets.Any(subnet => subnet.Contains(route.Destination))).ToDictionary(static route => route.Destination, static route => $"{route.Gateway}");
        Judge(differences, "route", plan.Routes.ToDictionary(static each => each.Key, each => ($"{each.Value.Gateway}", By(each.Key))), routes);
        var neighbours = host.ListPermanentNeighbours(device).ToDictionary(static each => each.Address, static each => $"{each.Mac}");
        Judge(differences, "neigh", plan.Neighbours.ToDictionary(static each => each.Key, each => ($"{each.Value}", plan.Sources[each.Value].Host)), neighbours);
        var stations = segment.Fdb.Snapshot(nowMilliseconds).Where(entry => plan.Stations.ContainsKey(entry.Mac) || segment.Published.TryGet(entry, out _))
            .ToDictionary(static entry => entry.Mac, static entry => string.Join(", ", entry.Destinations.Remotes.Select(static remote => $"{remote.Address}")));
        Judge(differences, "fdb", plan.Stations.ToDictionary(static each => each.Key, each => ($"{each.Value}", plan.Sources[each.Key].Host)), stations);
        return differences;
    }

    private static void Judge<T>(List<TableDifference> differences, string table, Dictionary<T, (string To, string By)> wanted, Dictionary<T, string> found)
        where T : notnull
    {
        foreach (var (key, (to, by)) in wanted)
        {
            if (!found.TryGetValue(key, out var there)) differences.Add(new TableDifference("missing", table, $"{key}", to, null, by));
            else if (there != to) differences.Add(new TableDifference("different", table, $"{key}", to, there, by));
        }

        foreach (var (key, there) in found)
            if (!wanted.ContainsKey(key)) differences.Add(new TableDifference("surplus", table, $"{key}", null, there, "nobody"));
    }
}
