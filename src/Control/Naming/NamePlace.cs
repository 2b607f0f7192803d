using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>Where a network's names are served on this host.</summary>
/// <param name="Network">Its name.</param>
/// <param name="Device">Its bridge; who is attached to it may ask.</param>
/// <param name="Addresses">The addresses of the bridge that answer; those of <see cref="ResolverAdvice.BridgeAddresses"/>, or its gateways.</param>
internal sealed record NamePlace(string Network, string Device, IReadOnlyList<InternetAddress> Addresses)
{
    /// <summary>The namespace that the bridge is in; null for that of the process. Whoever made it keeps it open.</summary>
    public NetworkNamespace? Namespace { get; init; }

    /// <summary>Whether it is the same place, addresses compared one by one.</summary>
    public bool IsSameAs(NamePlace other) =>
        Network == other.Network && Device == other.Device && ReferenceEquals(Namespace, other.Namespace) && Addresses.SequenceEqual(other.Addresses);
}

/// <summary>What a name server counts.</summary>
internal enum NameEvent
{
    /// <summary>A question came.</summary>
    Query,

    /// <summary>It was answered out of the network, or refused.</summary>
    Answered,

    /// <summary>It was answered by one of the host's resolvers.</summary>
    Forwarded,

    /// <summary>None of them answered, or too many questions were under way: SERVFAIL.</summary>
    Failed,

    /// <summary>It was dropped, or its connection closed, for the client's limits.</summary>
    Limited,

    /// <summary>A socket call failed.</summary>
    Fault,
}

/// <summary>Counts what a name server does. Any thread.</summary>
internal sealed class NameTally
{
    private readonly long[] _counts = new long[Enum.GetValues<NameEvent>().Length];

    /// <summary>Counts one.</summary>
    public void Count(NameEvent what) => Interlocked.Increment(ref _counts[(int)what]);

    /// <summary>How many there were.</summary>
    public long this[NameEvent what] => Interlocked.Read(ref _counts[(int)what]);
}
