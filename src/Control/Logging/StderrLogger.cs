using Microsoft.Extensions.Logging;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Logging;

/// <summary>
/// The log of a process, on stderr: lines for eyes, for the journal if stderr is its own, or JSON. The level can be changed at any time. More than <see cref="RepeatLimit.Lines"/>
/// lines of one event in <see cref="RepeatLimit.WindowMilliseconds"/> are left out and counted. Any thread; never on the way of a frame.
/// </summary>
internal sealed class StderrLogger : ILogger, IDisposable
{
    private readonly string _prefix;
    private readonly TimeProvider _time;
    private readonly Action<string> _write;
    private readonly bool _isJournal;
    private readonly Lock _lock = new();
    private readonly RepeatLimit _repeats = new();
    private readonly ITimer _timer;
    private readonly long[] _lines = new long[(int)LogLevel.None];
    private volatile int _level;
    private volatile LogFormat _format;
    private long _leftOut;

    /// <summary>Makes the log.</summary>
    /// <param name="prefix">Who says it: a command, such as "sleeve up".</param>
    /// <param name="options">How; null for the defaults.</param>
    public StderrLogger(string prefix, LogOptions? options = null)
        : this(prefix, options ?? new LogOptions(), TimeProvider.System, CommandLine.Tell, IsJournal)
    {
    }

    /// <summary>The same with everything from outside.</summary>
    internal StderrLogger(string prefix, LogOptions options, TimeProvider time, Action<string> write, bool isJournal)
    {
        (_prefix, _time, _write, _isJournal) = (prefix, time, write, isJournal);
        Apply(options);
        _timer = time.CreateTimer(_ => TellLeftOut(isLast: false), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>What is written.</summary>
    public LogLevel Level
    {
        get => (LogLevel)_level;
        set => _level = (int)value;
    }

    /// <summary>How it is written.</summary>
    public LogFormat Format
    {
        get => _format;
        private set => _format = value;
    }

    /// <summary>Lines that were written, by level.</summary>
    public IEnumerable<(string Level, long Lines)> Lines => LogOptions.Levels.Select(level => (level.Key, level.Value == LogLevel.Error
        ? Interlocked.Read(ref _lines[(int)LogLevel.Error]) + Interlocked.Read(ref _lines[(int)LogLevel.Critical])
        : Interlocked.Read(ref _lines[(int)level.Value])));

    /// <summary>Lines that were left out because there were too many of one event.</summary>
    public long LeftOut => Interlocked.Read(ref _leftOut);

    /// <summary>Whether stderr leads to the journal, by what systemd says (systemd.exec(5), JOURNAL_STREAM).</summary>
    private static bool IsJournal =>
        Environment.GetEnvironmentVariable("JOURNAL_STREAM")?.Split(':') is [_, var inode] && inode.Length > 0
        // All sockets are of one device, so that the inode alone says which.
        && new FileInfo("/proc/self/fd/2").LinkTarget == $"socket:[{inode}]";

    /// <summary>Logs as it says there from here on.</summary>
    public void Apply(LogOptions options) => (Level, Format) = (options.Level, options.Format);

    /// <summary>Writes one line for whoever watches the start and the end: no event of its own, not limited.</summary>
    public void Say(string line)
    {
        if (IsEnabled(LogLevel.Information)) Write(new LogLine(LogLevel.Information, default, line, null, null));
    }

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= Level && logLevel != LogLevel.None;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel) || !Admits(eventId)) return;
        Write(new LogLine(logLevel, eventId, formatter(state, exception), state as IEnumerable<KeyValuePair<string, object?>>, exception));
    }

    private bool Admits(EventId eventId)
    {
        lock (_lock)
        {
            if (_repeats.Admits(eventId.Id, eventId.Name, NowMilliseconds, out var isFirstLeftOut)) return true;
            Interlocked.Increment(ref _leftOut);
            if (isFirstLeftOut) _timer.Change(TimeSpan.FromMilliseconds(RepeatLimit.WindowMilliseconds), TimeSpan.FromMilliseconds(RepeatLimit.WindowMilliseconds));
            return false;
        }
    }

    private void TellLeftOut(bool isLast)
    {
        lock (_lock)
        {
            var ended = _repeats.TakeEnded(NowMilliseconds, isLast);
            if (ended.Count == 0) _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            foreach (var (name, leftOut) in ended)
                Write(new LogLine(LogLevel.Warning, new EventId(200, "LinesLeftOut"), $"{leftOut} more lines like the last {name} were left out ({RepeatLimit.Lines} in {RepeatLimit.WindowMilliseconds / 1000} s are written)", [new("Of", name), new("Count", leftOut)], null));
        }
    }

    private void Write(in LogLine line)
    {
        Interlocked.Increment(ref _lines[(int)line.Level]);
        var text = Format == LogFormat.Json ? line.ToJson(_time.GetUtcNow()) : _isJournal ? line.ToJournal(CommandLine.IsDebug) : line.ToText(_prefix, CommandLine.IsDebug);
        _write(_isJournal && Format == LogFormat.Json ? $"<{line.Priority}>{text}" : text);
    }

    private long NowMilliseconds => (long)_time.GetElapsedTime(0).TotalMilliseconds;

    /// <summary>Tells what was left out so far.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        TellLeftOut(isLast: true);
    }
}
