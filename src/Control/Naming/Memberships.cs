using System.Diagnostics;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// In which other networks a member of one is: those that something in the same namespace of this host is attached to. So a container that is in two networks has the names of both from either's server, whichever of the
/// two its resolver asks first. What is known is a second old at most. Any thread.
/// </summary>
/// <param name="endpoints">The endpoints of this host.</param>
internal sealed class Memberships(Func<IReadOnlyList<EndpointEntry>> endpoints)
{
    private static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(1);

    private readonly Lock _making = new();
    private volatile Known? _known;

    /// <summary>The other networks of a member, in the order of their names.</summary>
    public IReadOnlyList<string> OthersOf(string network, InternetAddress member) => Now().Others.GetValueOrDefault((network, member)) ?? [];

    private Known Now()
    {
        if (_known is { } known && Stopwatch.GetElapsedTime(known.Since) < MaxAge) return known;
        lock (_making)
        {
            if (_known is { } made && Stopwatch.GetElapsedTime(made.Since) < MaxAge) return made;
            return _known = Make();
        }
    }

    private Known Make()
    {
        var others = new Dictionary<(string, InternetAddress), IReadOnlyList<string>>();
        foreach (var group in endpoints().Where(static each => each.State == EndpointState.Attached && each.Identity.Length > 0).GroupBy(static each => each.Identity).Where(static group => group.Skip(1).Any()))
        {
            (string Network, EndpointRecord? Endpoint)[] all = [.. group.Select(static each => (each.Record!.Name, each.Published))];
            string[] names = [.. all.Select(static each => each.Network).Distinct().Order(StringComparer.Ordinal)];
            if (names.Length < 2) continue;
            foreach (var (network, endpoint) in all)
                foreach (var address in endpoint?.Addresses ?? []) others[(network, address)] = [.. names.Where(name => name != network)];
        }

        return new Known(Stopwatch.GetTimestamp(), others);
    }

    private sealed record Known(long Since, IReadOnlyDictionary<(string Network, InternetAddress Address), IReadOnlyList<string>> Others);
}
