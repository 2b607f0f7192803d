namespace Sleeve.Bench.EndToEnd.Measure;

/// <summary>What is left of the values of several rounds.</summary>
/// <param name="Median">The middle one, or the mean of the two in the middle.</param>
/// <param name="Min">The smallest.</param>
/// <param name="Max">The largest.</param>
/// <param name="Count">How many there were.</param>
internal readonly record struct Spread(double Median, double Min, double Max, int Count)
{
    /// <summary>Summarises values; null if there are none.</summary>
    public static Spread? Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        if (sorted.Length == 0) return null;
        var middle = sorted.Length / 2;
        var median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Spread(median, sorted[0], sorted[^1], sorted.Length);
    }

    /// <summary>
    /// Summarises ratios of values to a baseline's, each taken within one round, so that what disturbs a round disturbs both sides of its ratio.
    /// Rounds that lack either side are left out.
    /// </summary>
    public static Spread? OfRatios(IReadOnlyDictionary<int, double> values, IReadOnlyDictionary<int, double> baseline) => Of(
        from pair in values
        where baseline.ContainsKey(pair.Key) && baseline[pair.Key] > 0
        select pair.Value / baseline[pair.Key]);
}
