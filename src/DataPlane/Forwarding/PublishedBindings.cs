using System.Diagnostics.CodeAnalysis;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>By whom something is known that other hosts say.</summary>
/// <param name="Host">Name of the host that says so.</param>
/// <param name="Endpoint">Its endpoint; "" if it speaks of itself.</param>
/// <param name="Version">In which version: of two the higher counts.</param>
/// <param name="SinceMilliseconds">Since when it stands here, by the segment's clock.</param>
public readonly record struct PublishedBy(string Host, string Endpoint, long Version, long SinceMilliseconds);

/// <summary>
/// Which entries of a segment's tables came from other hosts, and from whom: so that they can be told from those of the operator, which have the same kinds, and are changed and
/// removed by whoever put them there. An entry that was changed since is the operator's. The data plane has no business here; every method from any thread.
/// </summary>
public sealed class PublishedBindings
{
    private readonly Lock _access = new();
    private readonly Dictionary<MacAddress, (VtepAddress To, PublishedBy By)> _stations = [];
    private readonly Dictionary<InternetAddress, (MacAddress Mac, PublishedBy By)> _neighbours = [];
    private readonly Dictionary<VtepAddress, PublishedBy> _vteps = [];

    /// <summary>VTEPs that stand among the default destinations because of what was published, in no order.</summary>
    public IReadOnlyList<VtepAddress> Vteps
    {
        get
        {
            lock (_access) return [.. _vteps.Keys];
        }
    }

    /// <summary>Stations that have an entry because of what was published, in no order.</summary>
    public IReadOnlyList<MacAddress> Stations
    {
        get
        {
            lock (_access) return [.. _stations.Keys];
        }
    }

    /// <summary>Addresses that are known because of what was published, in no order.</summary>
    public IReadOnlyList<InternetAddress> Neighbours
    {
        get
        {
            lock (_access) return [.. _neighbours.Keys];
        }
    }

    /// <summary>Who published an FDB entry; false if it is somebody else's, or was changed since.</summary>
    /// <param name="entry">The entry as it is; not that of the default destinations.</param>
    /// <param name="by">Who.</param>
    public bool TryGet(ForwardingEntry entry, out PublishedBy by)
    {
        ArgumentNullException.ThrowIfNull(entry);
        lock (_access)
        {
            var isPublished = _stations.TryGetValue(entry.Mac, out var station) && IsJust(entry, station.To);
            by = station.By;
            return isPublished;
        }
    }

    /// <summary>Whether an entry leads to one VTEP, in the way that is published: by the route, and in the VNI of the segment.</summary>
    public static bool IsJust([NotNullWhen(true)] ForwardingEntry? entry, VtepAddress to) =>
        entry is { Kind: EntryKind.Static, Destinations.Remotes: [{ InterfaceIndex: 0 } only] } && only.Address == to;

    /// <summary>Who published that a VTEP has the segment; false if it is among the default destinations for another reason.</summary>
    public bool TryGet(VtepAddress vtep, out PublishedBy by)
    {
        lock (_access) return _vteps.TryGetValue(vtep, out by);
    }

    /// <summary>Who published a neighbour; false if it is somebody else's, or was changed since.</summary>
    public bool TryGet(in Neighbour neighbour, out PublishedBy by)
    {
        lock (_access)
        {
            var isPublished = _neighbours.TryGetValue(neighbour.Address, out var published) && published.Mac == neighbour.Mac;
            by = published.By;
            return isPublished;
        }
    }

    /// <summary>Notes who published the entry of a station.</summary>
    public void Set(MacAddress mac, VtepAddress to, in PublishedBy by)
    {
        lock (_access) _stations[mac] = (to, by);
    }

    /// <summary>Notes who published a neighbour.</summary>
    public void Set(in Neighbour neighbour, in PublishedBy by)
    {
        lock (_access) _neighbours[neighbour.Address] = (neighbour.Mac, by);
    }

    /// <summary>Notes which VTEPs stand among the default destinations because of what was published, and no others.</summary>
    public void SetVteps(IEnumerable<(VtepAddress Vtep, PublishedBy By)> vteps)
    {
        ArgumentNullException.ThrowIfNull(vteps);
        lock (_access)
        {
            _vteps.Clear();
            foreach (var (vtep, by) in vteps) _vteps[vtep] = by;
        }
    }

    /// <summary>Forgets who published the entry of a station.</summary>
    public void Remove(MacAddress mac)
    {
        lock (_access) _stations.Remove(mac);
    }

    /// <summary>Forgets who published a neighbour.</summary>
    public void Remove(InternetAddress address)
    {
        lock (_access) _neighbours.Remove(address);
    }

    /// <summary>Takes over what another segment knows, whose tables were taken over.</summary>
    public void TakeOver(PublishedBindings from)
    {
        ArgumentNullException.ThrowIfNull(from);
        if (from == this) return;
        lock (from._access)
        {
            lock (_access)
            {
                foreach (var (mac, station) in from._stations) _stations[mac] = station;
                foreach (var (address, neighbour) in from._neighbours) _neighbours[address] = neighbour;
                foreach (var (vtep, by) in from._vteps) _vteps[vtep] = by;
            }
        }
    }
}
