using System.Collections.Concurrent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// Members that have a resolver besides this one, such as Docker's: what does not stand in the network they are refused (REFUSED), so that they ask the next of their servers, instead of being told what others say. Any thread.
/// </summary>
internal sealed class OwnResolvers
{
    private readonly ConcurrentDictionary<(string Network, InternetAddress Address), bool> _members = new();

    /// <summary>Notes that a member has one.</summary>
    public void Add(string network, InternetAddress address) => _members[(network, address)] = true;

    /// <summary>Ends that.</summary>
    public void Remove(string network, InternetAddress address) => _members.TryRemove((network, address), out _);

    /// <summary>All of them.</summary>
    public IReadOnlyCollection<(string Network, InternetAddress Address)> Members => [.. _members.Keys];

    /// <summary>Whether a member has one.</summary>
    public bool Has(string network, InternetAddress address) => _members.ContainsKey((network, address));
}
