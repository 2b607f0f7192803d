namespace Sleeve.Control.Logging;

/// <summary>
/// Lets so many lines of one event through in a window that begins with the first; the others are counted until it ends. Time is an argument, in milliseconds of any
/// clock. There are as many windows as events have ids, which are a handful. One thread at a time.
/// </summary>
internal sealed class RepeatLimit
{
    /// <summary>Lines of one event in a window.</summary>
    public const int Lines = 10;

    /// <summary>Length of a window, milliseconds.</summary>
    public const int WindowMilliseconds = 10_000;

    private readonly Dictionary<int, Window> _windows = [];

    /// <summary>Whether a line may be written.</summary>
    /// <param name="id">Id of the event.</param>
    /// <param name="name">Its name, to be told with how many were left out.</param>
    /// <param name="now">The time.</param>
    /// <param name="isFirstLeftOut">True for the first one that is left out: from here on somebody should ask <see cref="TakeEnded"/> when the window ends.</param>
    public bool Admits(int id, string? name, long now, out bool isFirstLeftOut)
    {
        isFirstLeftOut = false;
        // A window that left something out ends with the line that says so.
        if (!_windows.TryGetValue(id, out var window) || (window.LeftOut == 0 && now - window.Start >= WindowMilliseconds)) window = new Window(name, now, 0, 0);
        var admits = window.Admitted < Lines;
        isFirstLeftOut = !admits && window.LeftOut == 0;
        _windows[id] = admits ? window with { Admitted = window.Admitted + 1 } : window with { LeftOut = window.LeftOut + 1 };
        return admits;
    }

    /// <summary>What windows that have ended left out; each is told once.</summary>
    public IReadOnlyList<(string Event, long LeftOut)> TakeEnded(long now, bool isLast = false)
    {
        var ended = _windows.Where(each => each.Value.LeftOut > 0 && (isLast || now - each.Value.Start >= WindowMilliseconds)).ToArray();
        foreach (var (id, _) in ended) _windows.Remove(id);
        return [.. ended.Select(static each => (each.Value.Name ?? $"{each.Key}", each.Value.LeftOut))];
    }

    private readonly record struct Window(string? Name, long Start, int Admitted, long LeftOut);
}
