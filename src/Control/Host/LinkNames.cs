using System.Globalization;

namespace Sleeve.Control.Host;

/// <summary>
/// Names and indexes of underlay interfaces, as iproute2 writes them: one that is gone is <c>if5</c>. Asks the current network namespace, only if there is something to ask, and
/// about each interface once. One thread.
/// </summary>
internal sealed class LinkNames : IDisposable
{
    private const string GonePrefix = "if";

    private readonly Dictionary<int, string> _names = [];
    private RouteNetlink? _host;

    /// <summary>The name of an interface; null for index 0.</summary>
    public string? NameOf(int index)
    {
        if (index == 0) return null;
        if (!_names.TryGetValue(index, out var name)) _names[index] = name = Host.FindLink(index)?.Name ?? GonePrefix + index.ToString(CultureInfo.InvariantCulture);
        return name;
    }

    /// <summary>The index of an interface that is there; null if there is none of that name.</summary>
    public int? IndexOf(string name) => Host.FindLink(name)?.Index;

    /// <summary>The index behind what <see cref="NameOf"/> writes for an interface that is gone; null for any other word.</summary>
    public static int? IndexOfGone(string name) =>
        name.StartsWith(GonePrefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(GonePrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index > 0
            ? index
            : null;

    private RouteNetlink Host => _host ??= RouteNetlink.Open();

    /// <inheritdoc/>
    public void Dispose() => _host?.Dispose();
}
