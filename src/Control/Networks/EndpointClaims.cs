namespace Sleeve.Control.Networks;

/// <summary>
/// Who claims what: the endpoints that say a MAC or an address is theirs. Of several the one that was said in the highest version of the store counts, whatever the clocks of
/// hosts say; of one version, which one host alone can have written, the last by its names. Not for several threads.
/// </summary>
/// <typeparam name="T">What is claimed.</typeparam>
internal sealed class EndpointClaims<T>
    where T : notnull
{
    // Almost everything is claimed once.
    private readonly Dictionary<T, Published<EndpointRecord>[]> _claims = [];

    /// <summary>Adds a claim.</summary>
    public void Add(T what, Published<EndpointRecord> by) =>
        _claims[what] = _claims.TryGetValue(what, out var others) ? [.. others, by] : [by];

    /// <summary>Takes a claim back, of just this version.</summary>
    public void Remove(T what, Published<EndpointRecord> by)
    {
        if (!_claims.TryGetValue(what, out var all)) return;
        Published<EndpointRecord>[] others = [.. all.Where(each => !ReferenceEquals(each, by))];
        if (others.Length == 0) _claims.Remove(what);
        else _claims[what] = others;
    }

    /// <summary>All that claim it, in no order.</summary>
    public IReadOnlyList<Published<EndpointRecord>> Of(T what) => _claims.TryGetValue(what, out var all) ? all : [];

    /// <summary>Whose it is; null if nobody claims it.</summary>
    public Published<EndpointRecord>? WinnerOf(T what) => Of(what) is { Count: > 0 } all ? all.Aggregate(Later) : null;

    /// <summary>Which of two counts.</summary>
    public static Published<EndpointRecord> Later(Published<EndpointRecord> one, Published<EndpointRecord> other)
    {
        var order = one.Version.CompareTo(other.Version);
        if (order == 0) order = string.CompareOrdinal(one.Host, other.Host);
        if (order == 0) order = string.CompareOrdinal(one.Value.Id, other.Value.Id);
        return order >= 0 ? one : other;
    }
}
