using Sleeve.Control.Peers;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Peers;

/// <summary>Two sessions that talk to each other over a line that loses, delays and forges, in a time of its own.</summary>
public sealed class LivenessSessionTests
{
    private const long Millisecond = 1_000_000;

    [Fact]
    public void Both_are_up_within_two_intervals_and_know_the_round_trip()
    {
        var line = new Line { Delay = 5 };
        Assert.Equal(LivenessState.Unknown, line.A.Session.State);
        Assert.True(line.A.Session.IsUp);
        line.Run(700);
        Assert.Equal((LivenessState.Up, LivenessState.Up), (line.A.Session.State, line.B.Session.State));
        line.Run(5000);
        Assert.InRange(line.A.Session.RoundTrip!.Value.TotalMilliseconds, 9, 12);
        Assert.Equal((0, 0.0), (line.A.Session.Flaps, line.A.Session.Loss));
    }

    [Fact]
    public void A_dead_VTEP_is_down_within_a_second_and_up_again_when_it_is_back()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var line = new Line(seed) { Delay = 1 };
            line.Run(3000 + (seed * 7));
            line.IsCut = (_, _) => true;
            line.Run(1000);
            Assert.True(line.A.Session.State == LivenessState.Down && line.B.Session.State == LivenessState.Down, $"seed {seed}");
            Assert.StartsWith("silent for 9", line.A.Session.Reason, StringComparison.Ordinal);
            line.Run(5000);
            line.IsCut = (_, _) => false;
            line.Run(400);
            Assert.True(line.A.Session.IsUp && line.B.Session.IsUp, $"seed {seed}");
            Assert.Equal("answers again", line.A.Session.Reason);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_way_that_is_dead_in_one_direction_takes_both_down(bool isFromA)
    {
        var line = new Line { Delay = 1 };
        line.Run(3000);
        line.IsCut = (from, _) => (from == line.A) == isFromA;
        line.Run(1100);
        var (deaf, other) = isFromA ? (line.B, line.A) : (line.A, line.B);
        Assert.Equal((LivenessState.Down, LivenessState.Down), (deaf.Session.State, other.Session.State));
        Assert.StartsWith("silent for", deaf.Session.Reason, StringComparison.Ordinal);
        Assert.Equal("it does not hear us", other.Session.Reason);
        line.IsCut = static (_, _) => false;
        line.Run(700);
        Assert.True(line.A.Session.IsUp && line.B.Session.IsUp);
    }

    [Fact]
    public void Who_never_answers_counts_as_up()
    {
        var line = new Line { IsCut = static (_, _) => true };
        line.Run(60_000);
        Assert.Equal((LivenessState.Unknown, true, 0), (line.A.Session.State, line.A.Session.IsUp, line.A.Session.Flaps));
        // Heard in one direction only from the start: neither knows the other's nonce, so it stays so.
        line.IsCut = (from, _) => from == line.A;
        line.Run(60_000);
        Assert.Equal((LivenessState.Unknown, LivenessState.Unknown), (line.A.Session.State, line.B.Session.State));
    }

    [Theory]
    [InlineData(10, 0)]
    [InlineData(20, 1)]
    public void A_lossy_line_that_reorders_and_doubles_is_no_dead_one(int percent, int mostFlaps)
    {
        var line = new Line(seed: 5) { Delay = 40, Spread = 400, Doubled = 0.2 };
        line.Run(2000);
        line.IsCut = (_, _) => line.Random.Next(100) < percent;
        line.Run(60_000);
        line.IsCut = static (_, _) => false;
        line.Run(2000);
        Assert.InRange(line.A.Session.Flaps, 0, mostFlaps + (percent / 5));
        Assert.InRange(line.A.Session.Loss, percent / 400.0, percent / 40.0);
    }

    [Fact]
    public void One_that_flaps_is_held_down_for_longer_each_time_and_forgiven_after_a_calm_time()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        var holds = new List<double>();
        for (var i = 0; i < 9; i++)
        {
            line.IsCut = static (_, _) => true;
            line.Run(1500);
            Assert.Equal(LivenessState.Down, line.A.Session.State);
            line.IsCut = static (_, _) => false;
            var back = line.Now;
            for (var t = 0; t < 40_000 && !line.A.Session.IsUp; t += 10)
            {
                if (line.A.Session.State == LivenessState.Held) Assert.Contains($"went down {i + 1} times; held down for", line.A.Session.Reason, StringComparison.Ordinal);
                line.Run(10);
            }

            holds.Add((line.Now - back) / 1e9);
        }

        double[] expected = [0, 1, 2, 4, 8, 16, 30, 30, 30];
        Assert.All(expected.Zip(holds), static each => Assert.InRange(each.Second, each.First, each.First + 1));
        Assert.Equal(9, line.A.Session.Flaps);
        line.Run(60_000 * 12);
        Assert.Equal(TimeSpan.Zero, line.A.Session.Hold);
    }

    [Fact]
    public void One_that_goes_down_while_it_is_held_begins_its_time_anew()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        for (var i = 0; i < 4; i++) line.CutFor(1500, thenRun: 400);
        Assert.Equal(LivenessState.Held, line.A.Session.State);
        line.CutFor(1500, thenRun: 400);
        Assert.Equal(LivenessState.Held, line.A.Session.State);
        Assert.False(line.A.Session.IsUp);
    }

    [Fact]
    public void One_that_starts_again_is_known_again_without_being_down()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        line.A.Restart(line.Now);
        line.Run(600);
        Assert.Equal((LivenessState.Up, 0), (line.B.Session.State, line.B.Session.Flaps));
        Assert.Equal(LivenessState.Up, line.A.Session.State);
    }

    [Fact]
    public void Who_says_that_it_stops_is_down_at_once()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        line.A.Session.IsLeaving = true;
        line.A.Session.Hurry(line.Now);
        line.Run(15);
        Assert.Equal((LivenessState.Down, "it stopped"), (line.B.Session.State, line.B.Session.Reason));
        line.A.Session.IsLeaving = false;
        line.Run(400);
        Assert.True(line.B.Session.IsUp);
    }

    [Fact]
    public void Who_asks_for_patience_may_be_silent_for_that_long_and_no_longer()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        line.A.Session.AnnouncedMilliseconds = 2000;
        line.A.Session.Hurry(line.Now);
        line.Run(15);
        line.IsCut = (from, _) => from == line.A;
        line.Run(5500);
        Assert.True(line.B.Session.IsUp);
        line.A.Restart(line.Now);
        line.IsCut = static (_, _) => false;
        line.Run(600);
        Assert.Equal((LivenessState.Up, 0), (line.B.Session.State, line.B.Session.Flaps));
        line.IsCut = static (_, _) => true;
        line.Run(1000);
        Assert.False(line.B.Session.IsUp);
    }

    [Fact]
    public void Forged_hellos_neither_keep_one_up_nor_take_one_down_nor_turn_it_away()
    {
        var line = new Line { Delay = 1, Forgeries = 20 };
        line.Run(10_000);
        Assert.Equal((LivenessState.Up, 0), (line.A.Session.State, line.A.Session.Flaps));
        Assert.Equal((LivenessState.Up, 0), (line.B.Session.State, line.B.Session.Flaps));
        line.IsCut = static (_, _) => true;
        line.Run(1000);
        Assert.Equal((LivenessState.Down, LivenessState.Down), (line.A.Session.State, line.B.Session.State));
        line.IsCut = static (_, _) => false;
        line.Run(700);
        Assert.True(line.A.Session.IsUp && line.B.Session.IsUp);
    }

    [Fact]
    public void A_pause_of_this_host_is_not_blamed_on_the_others()
    {
        var line = new Line { Delay = 1 };
        line.Run(2000);
        var session = line.A.Session;
        session.Forgive(5000 * Millisecond, line.Now + (5000 * Millisecond));
        session.Advance(line.Now + (5000 * Millisecond));
        Assert.Equal(LivenessState.Up, session.State);
        session.Advance(line.Now + (6000 * Millisecond));
        Assert.Equal(LivenessState.Down, session.State);
    }

    [Fact]
    public void A_slower_one_sets_the_pace_and_a_mad_one_does_not()
    {
        var line = new Line { Delay = 1 };
        line.B.Options = line.B.Options with { IntervalMilliseconds = 1000 };
        line.B.Restart(0);
        line.Run(20_000);
        Assert.Equal((0, 0), (line.A.Session.Flaps, line.B.Session.Flaps));
        line.IsCut = static (_, _) => true;
        line.Run(2000);
        Assert.True(line.A.Session.IsUp);
        line.Run(1100);
        Assert.False(line.A.Session.IsUp);

        var session = new LivenessSession(new LivenessOptions(), 1, new Random(1), 0);
        session.Take(new HelloMessage { Nonce = 2, Yours = 1, Sequence = 1, Flags = HelloSigns.HearsYou, IntervalMilliseconds = uint.MaxValue }, 1, 0);
        session.Advance(1);
        session.Advance((3L * LivenessOptions.MaxInterval * Millisecond) + 2);
        Assert.Equal(LivenessState.Down, session.State);
    }

    [Fact]
    public void About_as_many_hellos_are_sent_as_the_interval_says()
    {
        var session = new LivenessSession(new LivenessOptions(), 1, new Random(1), 0);
        var sent = 0;
        for (long now = 0; now < 60_000 * Millisecond; now += 30 * Millisecond)
        {
            while (session.IsDue(now))
            {
                session.Next(now);
                sent++;
            }
        }

        Assert.InRange(sent, 195, 225);
    }

    /// <summary>A host with a session.</summary>
    private sealed class Side(int seed)
    {
        private ulong _nonce = (ulong)seed + 1000;

        public LivenessOptions Options { get; set; } = new();

        public LivenessSession Session { get; private set; } = new(new LivenessOptions(), (ulong)seed + 1000, new Random(seed), 0);

        public Dictionary<uint, long> Sent { get; } = [];

        public void Restart(long now)
        {
            _nonce += 7;
            Session = new LivenessSession(Options, _nonce, new Random(seed), now);
        }
    }

    /// <summary>Two sides, each looking every 10 ms.</summary>
    private sealed class Line(int seed = 1)
    {
        private readonly PriorityQueue<(Side To, HelloMessage Hello), long> _onTheWay = new();

        public Side A { get; } = new(seed);

        public Side B { get; } = new(seed + 100_000);

        public Random Random { get; } = new(seed);

        public long Now { get; private set; }

        public int Delay { get; init; }

        public int Spread { get; init; }

        public double Doubled { get; init; }

        public int Forgeries { get; init; }

        public Func<Side, HelloMessage, bool> IsCut { get; set; } = static (_, _) => false;

        public void CutFor(int milliseconds, int thenRun)
        {
            IsCut = static (_, _) => true;
            Run(milliseconds);
            IsCut = static (_, _) => false;
            Run(thenRun);
        }

        public void Run(int milliseconds)
        {
            for (var end = Now + (milliseconds * Millisecond); Now < end; Now += Millisecond)
            {
                while (_onTheWay.TryPeek(out var next, out var at) && at <= Now)
                {
                    _onTheWay.Dequeue();
                    next.To.Session.Take(next.Hello, at, next.To.Sent.GetValueOrDefault(next.Hello.Heard));
                }

                if (Now / Millisecond % 10 != 0) continue;
                foreach (var (side, other) in new[] { (A, B), (B, A) }) Look(side, other);
            }
        }

        private void Look(Side side, Side other)
        {
            side.Session.Advance(Now);
            while (side.Session.IsDue(Now))
            {
                var hello = side.Session.Next(Now);
                side.Sent[hello.Sequence] = Now;
                if (IsCut(side, hello)) continue;
                Send(other, hello);
                if (Random.NextDouble() < Doubled) Send(other, hello);
            }

            // Whoever cannot read the line can guess, and pretend to know nothing.
            for (var i = 0; i < Forgeries; i++)
            {
                var forged = new HelloMessage
                {
                    Nonce = (ulong)Random.NextInt64(1, long.MaxValue), Yours = i % 2 == 0 ? 0 : (ulong)Random.NextInt64(1, long.MaxValue),
                    Sequence = (uint)Random.Next(), Flags = (HelloSigns)Random.Next(4), IntervalMilliseconds = 10_000,
                };
                Send(other, forged);
            }
        }

        private void Send(Side to, HelloMessage hello) => _onTheWay.Enqueue((to, hello), Now + ((Delay + (Spread > 0 ? Random.Next(Spread) : 0)) * Millisecond));
    }
}
