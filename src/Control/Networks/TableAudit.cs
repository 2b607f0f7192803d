using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Something that a segment's tables and what was published do not agree about.</summary>
/// <param name="What">"missing": published, and not in the table; "surplus": in the table, and nobody says so; "different".</param>
/// <param name="Table">"fdb", "neigh", "flood" for the replication list, or "route" of a routed network, whose neighbours are the kernel's.</param>
/// <param name="Key">The MAC, the address, or the VTEP.</param>
/// <param name="Wanted">Where it is to lead; null if it is surplus.</param>
/// <param name="Found">Where it leads; null if it is missing.</param>
/// <param name="By">Who says so, or whose the entry is.</param>
internal sealed record TableDifference(string What, string Table, string Key, string? Wanted, string? Found, string By)
{
    /// <inheritdoc/>
    public override string ToString() => What switch
    {
        "missing" => $"{Table} {Key}: is missing; {By} says {Wanted}",
        "surplus" => $"{Table} {Key}: leads to {Found}, and nobody says so any more",
        _ => $"{Table} {Key}: leads to {Found}; {By} says {Wanted}",
    };
}

/// <summary>
/// Compares a segment's tables with a view of its network, by rules written down a second time and without what <see cref="SegmentProgram"/> remembers, so that a mistake there is
/// found here. Entries that an operator made by hand are nobody's surplus.
/// </summary>
internal static class TableAudit
{
    /// <summary>Every difference, by table and key.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="view">Its network.</param>
    /// <param name="self">Name of this host.</param>
    /// <param name="isUp">Whether a host's VTEP is alive.</param>
    /// <param name="nowMilliseconds">The clock of the tables.</param>
    public static IReadOnlyList<TableDifference> Compare(Segment segment, NetworkView view, string self, Func<string, bool> isUp, long nowMilliseconds)
    {
        var isThere = view.Record is not null;
        var vteps = view.Members.Where(each => isThere && each.Key != self && isUp(each.Key) && Bindings.Refuse(each.Value.Value.Vtep, each.Value.Value.Port, segment) is null)
            .ToDictionary(static each => each.Key, static each => new VtepAddress(each.Value.Value.Vtep, each.Value.Value.Port));
        var endpoints = isThere ? view.Endpoints.Values.ToArray() : [];
        var stations = Winners(endpoints.Where(each => Bindings.IsUsable(each.Value.Mac, segment)).Select(static each => (each.Value.Mac, each)));
        var addresses = Winners(endpoints.SelectMany(static each => each.Value.Addresses.Take(Bindings.MaxAddresses).Select(address => (address, each))));
        var differences = new List<TableDifference>();
        CompareList(segment, vteps, nowMilliseconds, differences);
        CompareStations(segment, stations.Where(each => each.Value.Host != self && vteps.ContainsKey(each.Value.Host)).ToDictionary(
            static each => each.Key, each => (each.Value, vteps[each.Value.Host])), nowMilliseconds, differences);
        CompareAddresses(segment, addresses.Where(each => each.Value.Host != self && vteps.ContainsKey(each.Value.Host) && Bindings.IsUsable(each.Key, view)
            && stations.GetValueOrDefault(each.Value.Value.Mac) == each.Value).ToDictionary(), differences);
        return [.. differences.OrderBy(static each => each.Table, StringComparer.Ordinal).ThenBy(static each => each.Key, StringComparer.Ordinal)];
    }

    private static Dictionary<T, Published<EndpointRecord>> Winners<T>(IEnumerable<(T Key, Published<EndpointRecord> Claim)> claims)
        where T : notnull => claims.GroupBy(static each => each.Key).ToDictionary(static group => group.Key, static group => group
            .OrderByDescending(static each => each.Claim.Version).ThenByDescending(static each => each.Claim.Host, StringComparer.Ordinal)
            .ThenByDescending(static each => each.Claim.Value.Id, StringComparer.Ordinal).First().Claim);

    private static void CompareList(Segment segment, Dictionary<string, VtepAddress> wanted, long now, List<TableDifference> differences)
    {
        var found = (segment.Fdb.Show(MacAddress.Zero, now)?.Destinations.Remotes ?? []).Where(remote => remote.Vni == segment.Options.Vni).Select(static remote => remote.Address).ToHashSet();
        foreach (var (host, vtep) in wanted)
            if (!found.Contains(vtep)) differences.Add(new TableDifference("missing", "flood", $"{vtep}", $"{vtep}", null, host));
        foreach (var vtep in found.Except(wanted.Values))
            if (segment.Published.TryGet(vtep, out var by)) differences.Add(new TableDifference("surplus", "flood", $"{vtep}", null, $"{vtep}", by.Host));
    }

    private static void CompareStations(
        Segment segment, Dictionary<MacAddress, (Published<EndpointRecord> By, VtepAddress To)> wanted, long now, List<TableDifference> differences)
    {
        var found = segment.Fdb.Snapshot(now).Where(static entry => !entry.Mac.IsZero && !entry.Mac.IsGroup).ToDictionary(static entry => entry.Mac);
        foreach (var (mac, (by, to)) in wanted)
        {
            if (!found.TryGetValue(mac, out var entry)) differences.Add(new TableDifference("missing", "fdb", $"{mac}", $"{to}", null, by.Host));
            else if (entry.Destinations.Remotes is not [var only] || only.Address != to) differences.Add(new TableDifference("different", "fdb", $"{mac}", $"{to}", Name(entry), by.Host));
        }

        foreach (var (mac, entry) in found)
        {
            if (wanted.ContainsKey(mac)) continue;
            if (segment.Published.TryGet(entry, out var by)) differences.Add(new TableDifference("surplus", "fdb", $"{mac}", null, Name(entry), by.Host));
            else if (entry.Kind == EntryKind.Dynamic) differences.Add(new TableDifference("surplus", "fdb", $"{mac}", null, Name(entry), "learned"));
        }
    }

    private static void CompareAddresses(Segment segment, Dictionary<InternetAddress, Published<EndpointRecord>> wanted, List<TableDifference> differences)
    {
        var found = segment.Neighbours.Snapshot().ToDictionary(static neighbour => neighbour.Address);
        foreach (var (address, by) in wanted)
        {
            if (!found.TryGetValue(address, out var neighbour)) differences.Add(new TableDifference("missing", "neigh", $"{address}", $"{by.Value.Mac}", null, by.Host));
            else if (neighbour.Mac != by.Value.Mac) differences.Add(new TableDifference("different", "neigh", $"{address}", $"{by.Value.Mac}", $"{neighbour.Mac}", by.Host));
        }

        foreach (var (address, neighbour) in found)
            if (!wanted.ContainsKey(address) && segment.Published.TryGet(neighbour, out var by)) differences.Add(new TableDifference("surplus", "neigh", $"{address}", null, $"{neighbour.Mac}", by.Host));
    }

    private static string Name(ForwardingEntry entry) => string.Join(", ", entry.Destinations.Remotes.Select(static remote => $"{remote.Address}"));
}
