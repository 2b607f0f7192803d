using System.Collections.Immutable;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>A destination of an FDB entry.</summary>
/// <param name="Address">The VTEP.</param>
/// <param name="Vni">The VNI used towards it.</param>
/// <param name="InterfaceIndex">The underlay interface that datagrams leave by; 0 where the route decides.</param>
public readonly record struct EntryDestination(VtepAddress Address, Vni Vni, int InterfaceIndex = 0);

public sealed partial class ForwardingTable
{
    private long _changes;

    /// <summary>Counts what commands and ageing changed, so that whoever put entries here sees whether anybody else was at them since; not what was learned.</summary>
    public long Changes => Volatile.Read(ref _changes);

    /// <summary>
    /// Makes an entry be just this, whatever was there: done twice it is as done once. Frames see the old destinations or the new, nothing between.
    /// </summary>
    /// <param name="mac">The station; zero for the default destinations.</param>
    /// <param name="destinations">At most one for a unicast address; none removes the entry. One that is there twice counts once.</param>
    /// <param name="kind">How long it lives.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public TableResult Set(MacAddress mac, IReadOnlyList<EntryDestination> destinations, EntryKind kind, long nowMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(destinations);
        if (destinations.Count > ReplicationList.MaxRemotes) return TableResult.Full;
        if (destinations.Count > 1 && !mac.IsGroup && !mac.IsZero) return TableResult.NotSupported;
        lock (_writers)
        {
            foreach (var destination in destinations)
                if (Refuse(destination.Address.Address) is { } refusal) return refusal;
            var remotes = ImmutableArray.CreateBuilder<Remote>(destinations.Count);
            var seen = new HashSet<Remote>();
            foreach (var (address, vni, interfaceIndex) in destinations)
                if (_remotes.Get(address, vni, interfaceIndex) is var remote && seen.Add(remote)) remotes.Add(remote);
            var before = DestinationsOf(mac, out var kindBefore);
            if (before.Remotes.AsSpan().SequenceEqual(remotes.ToArray()) && (kindBefore == kind || remotes.Count == 0)) return TableResult.Done;
            return Put(mac, kind, remotes.Count switch { 0 => ReplicationList.Empty, 1 => remotes[0].Alone, _ => new ReplicationList(remotes.ToImmutable()) }, nowMilliseconds);
        }
    }

    private TableResult? Refuse(InternetAddress destination) => destination.IsIPv4 == _self.Address.IsIPv4 ? null : TableResult.WrongFamily;
}
