using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;

namespace Sleeve.Control.Top;

/// <summary>What was asked for.</summary>
/// <param name="Interval">How long rates are taken over.</param>
/// <param name="Sort">What rows are in order of to begin with.</param>
/// <param name="IsOnce">End after the first.</param>
/// <param name="IsJson">JSON, one answer a line.</param>
internal sealed record TopOptions(TimeSpan Interval, TopSort Sort, bool IsOnce, bool IsJson);

/// <summary>Looks again and again until it is told to stop, or nobody answers any more.</summary>
internal sealed class TopLoop
{
    private const int PipeWidth = 240;
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(50);

    private readonly List<TopSource> _sources;
    private readonly TopOptions _options;
    private readonly CancellationToken _stop;
    private IReadOnlyList<TopJson> _shown = [];
    private TopSort _sort;
    private bool _isPaused;

    /// <summary>Makes a loop over sources, which it disposes.</summary>
    public TopLoop(IReadOnlyList<TopSource> sources, TopOptions options, CancellationToken stop)
    {
        (_sources, _options, _stop) = ([.. sources], options, stop);
        _sort = options.Sort;
    }

    /// <summary>Runs until the end.</summary>
    /// <exception cref="HostException">Nobody answers any more.</exception>
    public async Task RunAsync()
    {
        try
        {
            await AskAsync(static async source =>
            {
                await source.BeginAsync();
                return source.Pid;
            });
            // Each device of a process has a socket of its own, and each answers for all.
            foreach (var twin in _sources.GroupBy(static source => source.Pid).SelectMany(static group => group.Skip(1)).ToArray()) Drop(twin);
            if (_options.IsOnce || _options.IsJson || !TopTerminal.IsThere) await RunPlainAsync();
            else await RunLiveAsync();
        }
        finally
        {
            foreach (var source in _sources) source.Dispose();
        }
    }

    private async Task RunPlainAsync()
    {
        do
        {
            await Task.Delay(_options.Interval, _stop);
            var rates = await AskAsync(static source => source.NextAsync());
            using var output = OutputPipe.OpenText();
            if (_options.IsJson) output.WriteLine(JsonSerializer.Serialize(rates, ApiJson.Default.IReadOnlyListTopJson));
            else foreach (var line in Plain(rates)) output.WriteLine(line);
            await output.FlushAsync(_stop);
        }
        while (!_options.IsOnce);
    }

    private IEnumerable<string> Plain(IReadOnlyList<TopJson> rates)
    {
        if (!_options.IsOnce) yield return string.Create(CultureInfo.InvariantCulture, $"---- {DateTime.Now:HH:mm:ss}, rates over {rates[0].IntervalSeconds:0.0} s");
        foreach (var line in TopScreen.Lines(rates, new TopView(PipeWidth, null, _sort, new TopStyle(hasColours: false)))) yield return line;
    }

    private async Task RunLiveAsync()
    {
        using var terminal = new TopTerminal();
        var next = Stopwatch.GetTimestamp() + Ticks(_options.Interval);
        Task<IReadOnlyList<TopJson>>? asking = null;
        Draw();
        while (true)
        {
            // A VTEP that hangs holds up its own numbers, not the keyboard.
            var change = terminal.TakeResized();
            for (; TopTerminal.TakeKey() is { } key; change = true)
                if (!Obey(key)) return;
            if (asking is null && !_isPaused && Stopwatch.GetTimestamp() >= next) asking = AskAsync(static source => source.NextAsync());
            if (asking is { IsCompleted: true })
            {
                var rates = await asking;
                if (!_isPaused) (_shown, change) = (rates, true);
                (asking, next) = (null, Stopwatch.GetTimestamp() + Ticks(_options.Interval));
            }

            if (change) Draw();
            await Task.Delay(Glance, _stop);
        }
    }

    private bool Obey(char key)
    {
        switch (key)
        {
            case 'q': return false;
            case 'p' or ' ': _isPaused = !_isPaused; break;
            case 's': _sort = (TopSort)(((int)_sort + 1) % Enum.GetValues<TopSort>().Length); break;
            default: break;
        }

        return true;
    }

    private void Draw()
    {
        var (width, height) = TopTerminal.Size;
        var style = new TopStyle(TopTerminal.HasColours);
        IReadOnlyList<string> lines = _shown.Count == 0 ? [TopTable.Cut("the first rates come after one interval …", width)] : TopScreen.Lines(_shown, new TopView(width, height - 1, _sort, style));
        var state = _isPaused ? "PAUSED" : string.Create(CultureInfo.InvariantCulture, $"every {_options.Interval.TotalSeconds:0.#} s");
        TopTerminal.Show(lines, style.Title(TopTable.Cut($"q quit  p pause  s sort ({_sort.ToString().ToLowerInvariant()})  {DateTime.Now:HH:mm:ss}  {state}", width - 1)), height);
    }

    // One that ends does not hide the others.
    private async Task<IReadOnlyList<T>> AskAsync<T>(Func<TopSource, Task<T>> ask)
    {
        var answers = new List<T>();
        HostException? last = null;
        foreach (var source in _sources.ToArray())
        {
            try
            {
                answers.Add(await ask(source).WaitAsync(_stop));
            }
            catch (HostException failure)
            {
                last = failure;
                Drop(source);
            }
        }

        return answers.Count > 0 ? answers : throw last!;
    }

    private void Drop(TopSource source)
    {
        _sources.Remove(source);
        source.Dispose();
    }

    private static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);
}
