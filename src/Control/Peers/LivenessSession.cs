using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Peers;

/// <summary>What is known of a VTEP.</summary>
internal enum LivenessState
{
    /// <summary>It never answered: no Sleeve, or one that has echo off. Counts as up.</summary>
    Unknown,

    /// <summary>It hears us and we hear it.</summary>
    Up,

    /// <summary>It was up and is not any more.</summary>
    Down,

    /// <summary>It is back, but was so often that it has to stay for a while first. Counts as down.</summary>
    Held,
}

/// <summary>
/// Whether one VTEP is alive, by the hellos of both sides: BFD in asynchronous mode (RFC 5880, section 6.8) without its negotiation. Pure: what it is told and when is all that it knows. Times are nanoseconds of
/// any clock that does not run backwards.
/// <list type="bullet">
/// <item>A hello counts only if it bears our nonce. One without any is answered once, to the nonce it has, and changes nothing else: whoever forged it will never see the answer.</item>
/// <item>Up: it was heard within the last intervals, and what it said last was that it hears us. So a path that is dead one way takes both sides down.</item>
/// <item>Damping: the first return counts at once. A VTEP that went down again within <see cref="LivenessOptions.Memory"/> is held down for 1 s, the next time for 2 s, then 4 s and so on.</item>
/// </list>
/// </summary>
internal sealed class LivenessSession
{
    private const long Millisecond = 1_000_000;

    // Hellos over which the loss is taken: about half a minute.
    private const int LossWindow = 100;

    // A jump of more is no loss but another count.
    private const uint MostLost = 1000;

    private readonly LivenessOptions _options;
    private readonly Random _random;
    private readonly ulong _nonce;
    private ulong _theirs;
    private ulong _challenger;
    private uint _sequence;
    private uint _highest;
    private long _nextSend;
    private long _lastHeard;
    private bool _isHeard;
    private HelloSigns _said;
    private long _theirInterval;
    private int _level;
    private long _heldUntil;
    private long _calmSince;
    private double _expected;
    private double _got;
    private double _roundTrip;

    /// <summary>Begins; the first hello is due within an interval.</summary>
    /// <param name="options">How.</param>
    /// <param name="nonce">Random, not 0: what a hello has to bear to count.</param>
    /// <param name="random">Spreads what is sent.</param>
    /// <param name="now">The time.</param>
    public LivenessSession(LivenessOptions options, ulong nonce, Random random, long now)
    {
        _options = options;
        _nonce = nonce;
        _random = random;
        _nextSend = now + (long)(random.NextDouble() * Interval);
        ChangedAt = now;
    }

    /// <summary>What is known of it.</summary>
    public LivenessState State { get; private set; }

    /// <summary>Whether frames are to be sent to it.</summary>
    public bool IsUp => State is LivenessState.Unknown or LivenessState.Up;

    /// <summary>Why it is in its state, for people.</summary>
    public string Reason { get; private set; } = "not probed: it never answered";

    /// <summary>Since when it is in its state.</summary>
    public long ChangedAt { get; private set; }

    /// <summary>How often it went down.</summary>
    public int Flaps { get; private set; }

    /// <summary>Round trip of hellos, smoothed as TCP's (RFC 6298); null before the first.</summary>
    public TimeSpan? RoundTrip => _roundTrip > 0 ? TimeSpan.FromMicroseconds(_roundTrip) : null;

    /// <summary>Share of its hellos that did not arrive, of the last hundred or so, 0 to 1.</summary>
    public double Loss => _expected > 0 ? Math.Max(0, 1 - (_got / _expected)) : 0;

    /// <summary>Set while this VTEP is about to stop: others need not find out by silence.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>Milliseconds between two hellos that others are told; they are patient for so much longer. 0 for what is so.</summary>
    public int AnnouncedMilliseconds { get; set; }

    private long Interval => _options.IntervalMilliseconds * Millisecond;

    // RFC 5880, section 6.8.4: by the slower one's pace.
    private long Detection => _options.Multiplier * Math.Max(Interval, _theirInterval);

    /// <summary>Whether a hello is to be sent.</summary>
    public bool IsDue(long now) => now >= _nextSend || _challenger != 0;

    /// <summary>The hello to send now; ask <see cref="IsDue"/> before, and again after.</summary>
    public HelloMessage Next(long now)
    {
        var yours = _theirs;
        if (now >= _nextSend)
        {
            // Between 90 and 100 % of the interval, so that hosts do not fall into step (section 6.8.7). After a pause not all at once.
            _nextSend = Math.Max(_nextSend + (long)(Interval * (0.9 + (0.1 * _random.NextDouble()))), now + (Interval / 2));
        }
        else
        {
            // Beside the regular ones, which nobody can turn away from the nonce that is proven.
            (yours, _challenger) = (_challenger, 0);
        }

        return new HelloMessage
        {
            Nonce = _nonce,
            Yours = yours,
            Flags = (Hears(now) ? HelloSigns.HearsYou : 0) | (IsLeaving ? HelloSigns.Leaving : 0),
            Sequence = ++_sequence,
            Heard = yours == _theirs ? _highest : 0,
            HeldMicroseconds = (uint)Math.Clamp((now - _lastHeard) / 1000, 0, uint.MaxValue),
            IntervalMilliseconds = (uint)(AnnouncedMilliseconds > 0 ? AnnouncedMilliseconds : _options.IntervalMilliseconds),
        };
    }

    /// <summary>Has a hello be due now.</summary>
    public void Hurry(long now) => _nextSend = Math.Min(_nextSend, now);

    /// <summary>Takes a hello that came.</summary>
    /// <param name="hello">What it said.</param>
    /// <param name="at">When it came.</param>
    /// <param name="sentAt">When ours was sent that it speaks of; 0 if that is not known.</param>
    public void Take(in HelloMessage hello, long at, long sentAt)
    {
        if (hello.Yours == 0)
        {
            _challenger = hello.Nonce;
            return;
        }

        if (hello.Yours != _nonce) return;
        if (hello.Nonce != _theirs)
        {
            // The first ever, or it started again: it should hear that we know.
            (_theirs, _highest) = (hello.Nonce, hello.Sequence - 1);
            _nextSend = Math.Min(_nextSend, at);
        }

        var ahead = hello.Sequence - _highest;
        if (ahead is 0 or > int.MaxValue)
        {
            // Late or doubled: it says nothing new, but was not lost either.
            if (ahead != 0) _got = Math.Min(_got + 1, _expected);
            return;
        }

        // It should hear at once that it is heard again.
        if (!Hears(at)) _nextSend = Math.Min(_nextSend, at);
        CountLoss(ahead);
        (_highest, _isHeard, _said) = (hello.Sequence, true, hello.Flags);
        _lastHeard = Math.Max(_lastHeard, at);
        _theirInterval = Math.Clamp(hello.IntervalMilliseconds, LivenessOptions.MinInterval, LivenessOptions.MaxInterval) * Millisecond;
        if (hello.Heard != 0 && sentAt > 0) NoteRoundTrip(((at - sentAt) / 1000.0) - hello.HeldMicroseconds);
    }

    private void CountLoss(uint ahead)
    {
        if (ahead > MostLost) return;
        (_expected, _got) = (_expected + ahead, _got + 1);
        if (_expected >= 2 * LossWindow) (_expected, _got) = (_expected / 2, _got / 2);
    }

    private void NoteRoundTrip(double microseconds)
    {
        // What it says of its own delay may be wrong.
        if (microseconds is < 0 or > 60_000_000) return;
        _roundTrip = _roundTrip > 0 ? (_roundTrip * 7 / 8) + (microseconds / 8) : Math.Max(microseconds, 1);
    }

    /// <summary>Draws the conclusions of the time.</summary>
    /// <returns>Whether <see cref="IsUp"/> or <see cref="State"/> changed.</returns>
    public bool Advance(long now)
    {
        var isAlive = Hears(now) && (_said & (HelloSigns.HearsYou | HelloSigns.Leaving)) == HelloSigns.HearsYou;
        switch (State)
        {
            case LivenessState.Unknown when isAlive:
                Become(LivenessState.Up, "answers", now);
                return true;
            case LivenessState.Up when !isAlive:
                Flaps++;
                _level++;
                Become(LivenessState.Down, WhyNot(now), now);
                // It should hear at once that we do not hear it.
                Hurry(now);
                return true;
            case LivenessState.Up when now - _calmSince >= _options.Memory.Ticks * 100 && _level > 0:
                _level--;
                _calmSince = now;
                return false;
            case LivenessState.Down when isAlive:
                return Return(now);
            case LivenessState.Held when !isAlive:
                Become(LivenessState.Down, $"{WhyNot(now)}, while it was held down for going down {Flaps} times", now);
                return true;
            case LivenessState.Held when now >= _heldUntil:
                Become(LivenessState.Up, "answers again, and has stayed", now);
                return true;
            default:
                return false;
        }
    }

    private bool Return(long now)
    {
        if (Hold is { Ticks: > 0 } hold)
        {
            _heldUntil = now + (hold.Ticks * 100);
            Become(LivenessState.Held, string.Create(CultureInfo.InvariantCulture, $"answers again, but went down {Flaps} times; held down for {hold.TotalSeconds:0.#} s"), now);
        }
        else
        {
            Become(LivenessState.Up, "answers again", now);
        }

        return true;
    }

    /// <summary>How long a return has to last before it counts.</summary>
    public TimeSpan Hold => _level <= 1 ? TimeSpan.Zero : TimeSpan.FromTicks(Math.Min(_options.LeastHold.Ticks << Math.Min(_level - 2, 20), _options.LongestHold.Ticks));

    /// <summary>Forgives a time in which this host did not look, which ends now: silence then says nothing.</summary>
    public void Forgive(long pause, long now) => _lastHeard = Math.Min(_lastHeard + pause, Math.Max(_lastHeard, now));

    private bool Hears(long now) => _isHeard && now - _lastHeard <= Detection;

    private string WhyNot(long now) =>
        !Hears(now) ? string.Create(CultureInfo.InvariantCulture, $"silent for {(now - _lastHeard) / Millisecond} ms")
        : (_said & HelloSigns.Leaving) != 0 ? "it stopped"
        : "it does not hear us";

    private void Become(LivenessState state, string reason, long now) => (State, Reason, ChangedAt, _calmSince) = (state, reason, now, now);
}
