using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Threading.Channels;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Peers;

/// <summary>What is known of a host's VTEP at the moment.</summary>
/// <param name="Host">The host.</param>
/// <param name="Vtep">Its VTEP.</param>
/// <param name="State">Whether it is alive.</param>
/// <param name="Reason">Why that.</param>
/// <param name="Since">For how long.</param>
/// <param name="RoundTrip">Of hellos; null before the first.</param>
/// <param name="Loss">Share of its hellos that did not arrive, 0 to 1.</param>
/// <param name="Flaps">How often it went down.</param>
/// <param name="Received">Hellos that came of it.</param>
/// <param name="NotSent">Hellos to it that could not be sent.</param>
internal sealed record LivenessReport(string Host, VtepAddress Vtep, LivenessState State, string Reason, TimeSpan Since, TimeSpan? RoundTrip, double Loss, int Flaps, long Received, long NotSent);

/// <summary>
/// Which hosts' VTEPs are alive, by hellos over the data path (<see cref="LivenessSession"/>). One thread of its own keeps all sessions and sleeps while there are none; the worker sends what it posts, many at once, and
/// whatever listens is told on another, so that it may take its time. 1,000 VTEPs are 3,300 hellos a second each way. Every method from any thread.
/// </summary>
internal sealed class Liveness : IDisposable
{
    private const int LeastTick = 5;
    private const int LongestTick = 30;
    private const int Batch = 64;

    private const int GoodbyeMilliseconds = 50;

    // So many ticks late, and it was this host that did not look.
    private const int LateTicks = 8;

    private readonly LivenessOptions _options;
    private readonly Vtep _vtep;
    private readonly Action<string> _say;
    private readonly Lock _access = new();
    private readonly Dictionary<string, Watched> _watched = new(StringComparer.Ordinal);
    private readonly Dictionary<HelloPeer, Watched> _byPeer = [];
    private readonly ConcurrentDictionary<string, bool> _down = new(StringComparer.Ordinal);
    private readonly Channel<(string Host, bool IsUp, string Reason)> _changes = Channel.CreateUnbounded<(string, bool, string)>(new UnboundedChannelOptions { SingleReader = true });
    private readonly AutoResetEvent _wake = new(false);
    private readonly Random _random = new();
    private readonly HelloOrder[] _orders = new HelloOrder[Batch];
    private readonly int _tickMilliseconds;
    private readonly Thread _thread;
    private volatile bool _stopping;
    private int _orderCount;

    /// <summary>Begins; nothing is sent before there is somebody to say hello to.</summary>
    /// <param name="options">How.</param>
    /// <param name="vtep">Who sends.</param>
    /// <param name="say">Takes a line for whoever watches.</param>
    public Liveness(LivenessOptions options, Vtep vtep, Action<string> say)
    {
        _say = say;
        _options = options;
        _vtep = vtep;
        _tickMilliseconds = Math.Clamp(options.IntervalMilliseconds / 10, LeastTick, LongestTick);
        _thread = new Thread(Run) { Name = "sleeve-liveness", IsBackground = true };
        _thread.Start();
        _ = TellAsync();
    }

    /// <summary>Told of each change: the host, whether it is up, and why. One at a time, in order, on a thread that may be kept.</summary>
    public Action<string, bool, string> OnChange { get; set; } = static (_, _, _) => { };

    /// <summary>How.</summary>
    public LivenessOptions Options => _options;

    /// <summary>Whether frames are to be sent to a host: true unless it was up and is not any more.</summary>
    public bool IsUp(string host) => !_down.ContainsKey(host);

    /// <summary>Says hello to these from here on and to no others. Of two hosts with one address the first by name is asked.</summary>
    /// <param name="hosts">By name; not this one.</param>
    public void Follow(IReadOnlyDictionary<string, VtepAddress> hosts)
    {
        lock (_access)
        {
            var gone = _watched.Values.Where(watched => !hosts.TryGetValue(watched.Host, out var vtep) || vtep != watched.Peer.Address).ToArray();
            foreach (var watched in gone) Forget(watched);
            foreach (var (host, vtep) in hosts.OrderBy(static each => each.Key, StringComparer.Ordinal))
                if (!_watched.ContainsKey(host)) TryAdd(host, vtep);
        }

        _wake.Set();
    }

    private void TryAdd(string host, VtepAddress vtep)
    {
        var peer = new HelloPeer(vtep, NewNonce());
        if (vtep == new VtepAddress(_vtep.Options.Local, _vtep.Options.Port) || !_vtep.Echo.Hellos.TryAdd(peer)) return;
        var watched = new Watched(host, peer, new LivenessSession(_options, peer.Nonce, _random, Now));
        _watched.Add(host, watched);
        _byPeer.Add(peer, watched);
    }

    private void Forget(Watched watched)
    {
        _watched.Remove(watched.Host);
        _byPeer.Remove(watched.Peer);
        _vtep.Echo.Hellos.Remove(watched.Peer);
        // Nobody says any more that it is down.
        if (_down.TryRemove(watched.Host, out _)) _changes.Writer.TryWrite((watched.Host, true, "no longer watched"));
    }

    /// <summary>What is known of every host, in the order of their names.</summary>
    public IReadOnlyList<LivenessReport> Report()
    {
        lock (_access)
        {
            var now = Now;
            return [.. _watched.Values.OrderBy(static watched => watched.Host, StringComparer.Ordinal).Select(watched => watched.Report(now))];
        }
    }

    private static ulong NewNonce()
    {
        while (true)
            if (BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) is not 0 and var nonce) return nonce;
    }

    // The workers' clock (Worker).
    private static long Now => Stopwatch.GetElapsedTime(0).Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond);

    private void Run()
    {
        var last = Now;
        while (!_stopping)
        {
            bool isIdle;
            lock (_access) isIdle = _watched.Count == 0;
            _wake.WaitOne(isIdle ? Timeout.Infinite : _tickMilliseconds);
            var now = Now;
            lock (_access) Tick(now, isIdle ? now : last);
            last = now;
        }
    }

    private void Tick(long now, long last)
    {
        while (_vtep.Echo.Hellos.TryFetch(out var heard))
        {
            if (!_byPeer.TryGetValue(heard.Peer, out var watched)) continue;
            var sentAt = heard.Message.Heard == 0 ? 0 : heard.Peer.SentNanoseconds(heard.Message.Heard);
            watched.Session.Take(heard.Message, heard.Nanoseconds, sentAt);
        }

        var pause = now - last;
        var isLate = pause > LateTicks * _tickMilliseconds * 1_000_000L;
        foreach (var watched in _watched.Values)
        {
            if (isLate) watched.Session.Forgive(pause, now);
            if (watched.Session.Advance(now)) Publish(watched);
            // Without echo nobody is heard, so nothing is said either (--echo off).
            while (_vtep.Echo.IsOn && watched.Session.IsDue(now)) Send(watched, now);
        }

        Post();
    }

    private void Send(Watched watched, long now)
    {
        _orders[_orderCount++] = new HelloOrder(watched.Peer, watched.Session.Next(now));
        if (_orderCount == Batch) Post();
    }

    private void Post()
    {
        if (_orderCount > 0) _vtep.Send(_orders.AsSpan(0, _orderCount));
        _orderCount = 0;
    }

    private void Publish(Watched watched)
    {
        var session = watched.Session;
        var wasUp = !_down.ContainsKey(watched.Host);
        if (session.IsUp) _down.TryRemove(watched.Host, out _);
        else _down[watched.Host] = true;
        if (wasUp != session.IsUp) _changes.Writer.TryWrite((watched.Host, session.IsUp, session.Reason));
    }

    private async Task TellAsync()
    {
        await foreach (var (host, isUp, reason) in _changes.Reader.ReadAllAsync())
        {
            try
            {
                OnChange(host, isUp, reason);
            }
            catch (Exception failure)
            {
                // The root of its thread: one listener that fails must not make the rest deaf.
                _say($"internal error: peer {host}: {failure.GetType().Name}: {failure.Message}");
            }
        }
    }

    /// <summary>Tells the others that this VTEP stops, so that they need not find out; before its workers do.</summary>
    public void SayGoodbye() => SayToAll(static session => session.IsLeaving = true);

    /// <summary>Asks the others for patience: this VTEP is about to start again, and frames wait for it (<c>sleeve handover</c>). Before its workers stop; whatever is said later ends it.</summary>
    /// <param name="pause">For how long, at most.</param>
    public void AskForPatience(TimeSpan pause) => SayToAll(session => session.AnnouncedMilliseconds = (int)Math.Min(pause.TotalMilliseconds / _options.Multiplier, LivenessOptions.MaxInterval));

    private void SayToAll(Action<LivenessSession> change)
    {
        var sent = _vtep.Echo.Hellos.Sent;
        int count;
        lock (_access)
        {
            var now = Now;
            count = _watched.Count;
            foreach (var watched in _watched.Values)
            {
                change(watched.Session);
                watched.Session.Hurry(now);
                Send(watched, now);
            }

            Post();
        }

        // A worker that is stopped sends nothing any more.
        for (var i = 0; i < GoodbyeMilliseconds && _vtep.Echo.Hellos.Sent - sent < count; i++) Thread.Sleep(1);
    }

    /// <summary>Stops, without a word to the others.</summary>
    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        _wake.Set();
        _thread.Join();
        lock (_access)
        {
            foreach (var watched in _watched.Values) _vtep.Echo.Hellos.Remove(watched.Peer);
        }

        _changes.Writer.TryComplete();
        _wake.Dispose();
    }

    private sealed record Watched(string Host, HelloPeer Peer, LivenessSession Session)
    {
        public LivenessReport Report(long now) => new(
            Host, Peer.Address, Session.State, Session.Reason, TimeSpan.FromTicks((now - Session.ChangedAt) / 100), Session.RoundTrip, Session.Loss, Session.Flaps, Peer.Received, Peer.NotSent);
    }
}
