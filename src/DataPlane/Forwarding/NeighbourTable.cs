using System.Collections.Concurrent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>An IP → MAC binding on a segment.</summary>
/// <param name="Address">IPv4 or IPv6 address of a station.</param>
/// <param name="Mac">Its MAC.</param>
/// <param name="IsRouter">Sets the R flag of neighbour advertisements (RFC 4861, section 4.4).</param>
public readonly record struct Neighbour(InternetAddress Address, MacAddress Mac, bool IsRouter = false);

/// <summary>IP → MAC of a segment, what the ARP and ND proxy answers from. Read without a lock; every method from any thread.</summary>
public sealed class NeighbourTable
{
    /// <summary>Neighbours of a segment, at most.</summary>
    public const int MaxNeighbours = 1 << 20;

    private readonly ConcurrentDictionary<InternetAddress, Neighbour> _entries = new();
    private readonly Lock _writers = new();
    private long _changes;

    /// <summary>Addresses that were heard, which are answered with where there is no entry; null if nobody listens.</summary>
    public SnoopedNeighbours? Snooped { get; internal set; }

    /// <summary>Told the address of an entry that is added, changed or removed; must be quick.</summary>
    public Action<InternetAddress>? OnConfigured { get; set; }

    /// <summary>Counts what was added, changed and removed.</summary>
    public long Changes => Volatile.Read(ref _changes);

    /// <summary>Neighbours known.</summary>
    public int Count => _entries.Count;

    /// <summary>Looks a neighbour up.</summary>
    public bool TryGet(InternetAddress address, out Neighbour neighbour) => _entries.TryGetValue(address, out neighbour);

    /// <summary>Looks up what to answer with: an entry, else what was heard.</summary>
    public bool TryResolve(InternetAddress address, long nowMilliseconds, out Neighbour neighbour) =>
        _entries.TryGetValue(address, out neighbour) || (Snooped is { } snooped && snooped.TryGet(address, nowMilliseconds, out neighbour));

    /// <summary>Adds a neighbour that is not there yet.</summary>
    public TableResult Add(in Neighbour neighbour)
    {
        lock (_writers)
        {
            if (Refuse(neighbour) is { } refusal) return refusal;
            return _entries.TryAdd(neighbour.Address, neighbour) ? Changed(neighbour.Address) : TableResult.Exists;
        }
    }

    /// <summary>Adds a neighbour or changes the one there is.</summary>
    public TableResult Replace(in Neighbour neighbour)
    {
        lock (_writers)
        {
            if (Refuse(neighbour) is { } refusal) return refusal;
            _entries[neighbour.Address] = neighbour;
            return Changed(neighbour.Address);
        }
    }

    /// <summary>Removes a neighbour.</summary>
    public TableResult Delete(InternetAddress address)
    {
        lock (_writers) return _entries.TryRemove(address, out _) ? Changed(address) : TableResult.NotFound;
    }

    private TableResult Changed(InternetAddress address)
    {
        Volatile.Write(ref _changes, _changes + 1);
        OnConfigured?.Invoke(address);
        return TableResult.Done;
    }

    /// <summary>All neighbours, in no order.</summary>
    public IReadOnlyList<Neighbour> Snapshot() => [.. _entries.Values];

    private TableResult? Refuse(in Neighbour neighbour)
    {
        if (!neighbour.Mac.IsValidSource || neighbour.Address.IsUnspecified || neighbour.Address.IsMulticast) return TableResult.Invalid;
        return _entries.Count >= MaxNeighbours && !_entries.ContainsKey(neighbour.Address) ? TableResult.Full : null;
    }
}
