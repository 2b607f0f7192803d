using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sleeve.Control.Logging;

namespace Sleeve.Control.Tests.Logging;

/// <summary>What the log writes, and what it leaves out.</summary>
public partial class StderrLoggerTests
{
    private readonly List<string> _lines = [];
    private readonly ManualTime _time = new();

    [LoggerMessage(1, LogLevel.Warning, "{Segment}: {Count} frames from {DeviceMac} are {Loud}")]
    private static partial void Something(ILogger logger, string segment, long count, string deviceMac, bool loud);

    [LoggerMessage(2, LogLevel.Critical, "it broke")]
    private static partial void Broke(ILogger logger, Exception exception);

    [LoggerMessage(3, LogLevel.Debug, "a detail")]
    private static partial void Detail(ILogger logger);

    [Fact]
    public void Eyes_get_a_line_with_who_and_how_bad()
    {
        using var log = Make();
        log.Say("ready");
        Something(log, "vx0", 7, "02:00:00:00:00:01", true);
        Broke(log, new InvalidOperationException("no more"));
        Detail(log);
        Assert.Equal(["sleeve up: ready", "sleeve up: warning: vx0: 7 frames from 02:00:00:00:00:01 are True", "sleeve up: error: it broke: no more"], _lines);
    }

    [Fact]
    public void The_journal_gets_a_priority_in_front_and_nothing_that_it_knows_itself()
    {
        using var log = Make(isJournal: true, level: LogLevel.Debug);
        log.Say("ready");
        Something(log, "vx\u001b0", 7, "a", false);
        Broke(log, new InvalidOperationException("no\nmore"));
        Detail(log);
        Assert.Equal(["<6>ready", "<4>vx?0: 7 frames from a are False", "<2>it broke: no\n<2>more", "<7>a detail"], _lines);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Machines_get_an_object_with_what_the_sentence_was_made_of(bool isJournal)
    {
        using var log = Make(isJournal, LogLevel.Information, LogFormat.Json);
        Something(log, "vx\"0\n", 7, "ü", true);
        log.Say("ready");
        Broke(log, new InvalidOperationException("no more"));
        if (isJournal) Assert.All(_lines, static line => Assert.Matches("^<[246]>{", line));
        var read = _lines.Select(line => JsonDocument.Parse(isJournal ? line[3..] : line).RootElement).ToArray();
        Assert.Equal("""{"time":"2026-01-02T03:04:05.006Z","level":"warning","id":1,"event":"something","message":"vx\"0\n: 7 frames from ü are True","segment":"vx\"0\n","count":7,"device_mac":"ü","loud":true}""", read[0].GetRawText());
        Assert.Equal("""{"time":"2026-01-02T03:04:05.006Z","level":"info","message":"ready"}""", read[1].GetRawText());
        Assert.Equal(("error", "broke"), (read[2].GetProperty("level").GetString(), read[2].GetProperty("event").GetString()));
        Assert.Contains("InvalidOperationException: no more", read[2].GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_level_can_be_changed_while_it_is_in_use()
    {
        using var log = Make();
        Detail(log);
        log.Level = LogLevel.Debug;
        Detail(log);
        log.Level = LogLevel.Error;
        Something(log, "vx0", 1, "a", true);
        log.Say("not even this");
        Broke(log, new InvalidOperationException("but this"));
        Assert.Equal(["sleeve up: debug: a detail", "sleeve up: error: it broke: but this"], _lines);
        Assert.Equal([("error", 1L), ("warning", 0L), ("info", 0L), ("debug", 1L)], log.Lines);
    }

    [Fact]
    public void Of_one_event_ten_lines_in_ten_seconds_are_written_and_the_others_counted()
    {
        using var log = Make();
        for (var i = 0; i < 25; i++) Something(log, "vx0", i, "a", true);
        Broke(log, new InvalidOperationException("another event"));
        Assert.Equal(11, _lines.Count);
        Assert.Equal(15, log.LeftOut);
        _time.Pass(9_999);
        Something(log, "vx0", 26, "a", true);
        Assert.Equal(11, _lines.Count);
        _time.Pass(1);
        Assert.Equal("sleeve up: warning: 16 more lines like the last Something were left out (10 in 10 s are written)", _lines[^1]);
        for (var i = 0; i < 12; i++) Something(log, "vx0", i, "a", true);
        Assert.Equal(22, _lines.Count);
        // What is on its mind at the end is told.
        log.Dispose();
        Assert.StartsWith("sleeve up: warning: 2 more lines", _lines[^1], StringComparison.Ordinal);
        _time.Pass(60_000);
        Assert.Equal(23, _lines.Count);
    }

    [Fact]
    public void A_window_that_left_nothing_out_ends_without_a_word()
    {
        using var log = Make();
        for (var window = 0; window < 5; window++)
        {
            for (var i = 0; i < RepeatLimit.Lines; i++) Something(log, "vx0", i, "a", true);
            _time.Pass(RepeatLimit.WindowMilliseconds);
        }

        Assert.Equal(5 * RepeatLimit.Lines, _lines.Count);
        Assert.Equal(0, log.LeftOut);
    }

    [Fact]
    public void What_is_said_at_the_start_is_not_limited()
    {
        using var log = Make();
        for (var i = 0; i < 50; i++) log.Say($"{i}");
        Assert.Equal(50, _lines.Count);
    }

    private StderrLogger Make(bool isJournal = false, LogLevel level = LogLevel.Information, LogFormat format = LogFormat.Text) =>
        new("sleeve up", new LogOptions(level, format), _time, _lines.Add, isJournal);

    /// <summary>Time that passes when it is told to.</summary>
    private sealed class ManualTime : TimeProvider
    {
        private readonly List<ManualTimer> _timers = [];
        private long _milliseconds;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _milliseconds;

        public override DateTimeOffset GetUtcNow() => new(2026, 1, 2, 3, 4, 5, 6, TimeSpan.Zero);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new ManualTimer(this, () => callback(state));
            timer.Change(dueTime, period);
            _timers.Add(timer);
            return timer;
        }

        public void Pass(long milliseconds)
        {
            for (; milliseconds > 0; milliseconds--)
            {
                _milliseconds++;
                foreach (var timer in _timers) timer.Look(_milliseconds);
            }
        }

        private sealed class ManualTimer(ManualTime time, Action fire) : ITimer
        {
            private long _due = long.MaxValue;
            private long _period;

            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                _due = dueTime < TimeSpan.Zero ? long.MaxValue : time._milliseconds + (long)dueTime.TotalMilliseconds;
                _period = (long)period.TotalMilliseconds;
                return true;
            }

            public void Look(long now)
            {
                if (now < _due) return;
                _due = _period > 0 ? now + _period : long.MaxValue;
                fire();
            }

            public void Dispose() => _due = long.MaxValue;

            public ValueTask DisposeAsync()
            {
                Dispose();
                return default;
            }
        }
    }
}
