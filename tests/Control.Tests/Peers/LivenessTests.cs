using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Sleeve.Control.Peers;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Wire;
using Xunit.Abstractions;

namespace Sleeve.Control.Tests.Peers;

/// <summary>Hellos between real VTEPs on loopback, each on a port of its own. What takes how long is printed; it is judged generously.</summary>
public sealed class LivenessTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static int _port = 21_000 + (Environment.ProcessId % 2000 * 10);
    private readonly List<IDisposable> _owned = [];

    [Fact]
    public void A_VTEP_that_is_killed_is_down_within_about_a_second_and_up_again_when_it_is_back()
    {
        var (a, b) = (new End(), new End());
        Own(a, b);
        a.Follow("b", b);
        b.Follow("a", a);
        a.Await("b", LivenessState.Up);
        b.Await("a", LivenessState.Up);
        Assert.Empty(a.Changes);
        for (var round = 0; round < 3; round++)
        {
            var start = Stopwatch.GetTimestamp();
            b.Kill();
            a.Await("b", LivenessState.Down);
            output.WriteLine($"down after {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms: {a.Of("b").Reason}");
            Assert.False(a.Liveness.IsUp("b"));
            start = Stopwatch.GetTimestamp();
            b.Start();
            b.Follow("a", a);
            // From the second time on it is held down for a while.
            a.Await("b", LivenessState.Up);
            output.WriteLine($"up after {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms: {a.Of("b").Reason}");
        }

        SpinWait.SpinUntil(() => a.Changes.Count >= 6, Patience);
        Assert.Equal(["b down", "b up", "b down", "b up", "b down", "b up"], a.Changes);
        Assert.Equal(3, a.Of("b").Flaps);
        output.WriteLine($"round trip {a.Of("b").RoundTrip}, hellos {a.Of("b").Received}");
        Assert.InRange(a.Of("b").RoundTrip!.Value, TimeSpan.FromMicroseconds(1), TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void One_that_says_goodbye_is_down_at_once_and_one_that_is_followed_no_more_is_nobodys_business()
    {
        var (a, b) = (new End(), new End());
        Own(a, b);
        a.Follow("b", b);
        b.Follow("a", a);
        a.Await("b", LivenessState.Up);
        b.Liveness.SayGoodbye();
        a.Await("b", LivenessState.Down);
        Assert.Equal("it stopped", a.Of("b").Reason);
        a.Liveness.Follow(new Dictionary<string, VtepAddress>());
        Assert.True(a.Liveness.IsUp("b"));
        Assert.Empty(a.Liveness.Report());
    }

    [Fact]
    public void Nobody_is_blamed_who_never_answered_and_echo_that_is_off_is_silence()
    {
        var (a, b) = (new End(), new End(echo: false));
        Own(a, b);
        a.Follow("b", b);
        b.Follow("a", a);
        Thread.Sleep(1500);
        Assert.Equal((LivenessState.Unknown, true), (a.Of("b").State, a.Liveness.IsUp("b")));
        Assert.Equal((0, LivenessState.Unknown), (a.Of("b").Received, b.Of("a").State));
    }

    [Fact]
    public void Strangers_that_flood_do_not_make_a_peer_look_dead()
    {
        var (a, b) = (new End(), new End());
        Own(a, b);
        a.Follow("b", b);
        b.Follow("a", a);
        a.Await("b", LivenessState.Up);
        // From the peer's own address, without what only the peer knows.
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Dgram, System.Net.Sockets.ProtocolType.Udp);
        var target = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, a.Port);
        var forged = new byte[HelloMessage.Size];
        var random = new Random(1);
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 3;)
        {
            for (var i = 0; i < 20; i++)
            {
                new HelloMessage { Nonce = (ulong)random.NextInt64(1, long.MaxValue), Yours = i % 2 == 0 ? 0 : (ulong)random.NextInt64(), Sequence = (uint)i }.Write(forged);
                socket.SendTo(forged, target);
            }

            Thread.Sleep(1);
        }

        Assert.Equal((LivenessState.Up, 0), (a.Of("b").State, a.Of("b").Flaps));
        Assert.Equal((LivenessState.Up, 0), (b.Of("a").State, b.Of("a").Flaps));
        output.WriteLine($"refused {a.Vtep.Echo.Hellos.Refused}, taken {a.Vtep.Echo.Hellos.Received}");
        Assert.True(a.Vtep.Echo.Hellos.Refused > 1000);
    }

    [Fact]
    public void A_thousand_peers_cost_little()
    {
        var a = new End();
        Own(a);
        // Nobody is there: what is measured is what it costs to ask.
        a.Liveness.Follow(Enumerable.Range(0, 1000).ToDictionary(static i => $"h{i}", i => new VtepAddress(InternetAddress.FromIPv4(0x7F00_0100 + (uint)i), (ushort)a.Port)));
        Thread.Sleep(500);
        var (sent, allocated, cpu) = (a.Vtep.Echo.Hellos.Sent, GC.GetTotalAllocatedBytes(), Process.GetCurrentProcess().TotalProcessorTime);
        Thread.Sleep(3000);
        sent = a.Vtep.Echo.Hellos.Sent - sent;
        output.WriteLine($"{sent / 3} hellos a second, {(GC.GetTotalAllocatedBytes() - allocated) / Math.Max(sent, 1)} bytes allocated a hello, {(Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds / 3:P1} of a core (with other tests)");
        Assert.InRange(sent, 2000, 15_000);
        Assert.Equal(1000, a.Liveness.Report().Count);
    }

    private void Own(params End[] ends) => _owned.AddRange(ends);

    public void Dispose()
    {
        foreach (var each in _owned) each.Dispose();
    }

    private sealed class End : IDisposable
    {
        private readonly bool _echo;
        private readonly ConcurrentQueue<string> _changes = new();

        public End(bool echo = true)
        {
            _echo = echo;
            Port = Interlocked.Increment(ref _port);
            Start();
        }

        public int Port { get; }

        public Vtep Vtep { get; private set; } = null!;

        public Liveness Liveness { get; private set; } = null!;

        public IReadOnlyList<string> Changes => [.. _changes];

        public void Start()
        {
            Vtep = new Vtep(new VtepOptions { Local = InternetAddress.FromIPv4(0x7F00_0001), Port = (ushort)Port, Workers = 1, TransmitOffload = DataPlane.Pipeline.TransmitOffload.None, Echo = _echo }, NullLogger.Instance);
            Vtep.Start();
            Liveness = new Liveness(new LivenessOptions(), Vtep, static _ => { }) { OnChange = (host, isUp, _) => _changes.Enqueue($"{host} {(isUp ? "up" : "down")}") };
        }

        public void Follow(string name, End other) =>
            Liveness.Follow(new Dictionary<string, VtepAddress> { [name] = new(InternetAddress.FromIPv4(0x7F00_0001), (ushort)other.Port) });

        public LivenessReport Of(string host) => Liveness.Report().Single(report => report.Host == host);

        public void Await(string host, LivenessState state) =>
            Assert.True(SpinWait.SpinUntil(() => { Thread.Sleep(5); return Of(host).State == state; }, Patience), $"{host} is {Of(host).State}, not {state}: {Of(host).Reason}");

        public void Kill()
        {
            Liveness.Dispose();
            Vtep.Dispose();
        }

        public void Dispose() => Kill();
    }
}
