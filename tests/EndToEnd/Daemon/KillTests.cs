using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>
/// The daemon is ended at random moments while segments and entries are changed. After each start everything that was acknowledged is there, and what was under
/// way when it ended is there as a whole or not at all.
/// </summary>
public sealed class KillTests(ITestOutputHelper output) : DaemonTest(output)
{
    private static readonly int Rounds = int.TryParse(Environment.GetEnvironmentVariable("SLEEVE_E2E_KILLS"), out var rounds) ? rounds : 100;

    [SkippableFact]
    public void A_hundred_signals_at_random_moments_lose_nothing_and_leave_nothing()
    {
        const int seed = 20;
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address));
        var random = new Random(seed);
        var model = new Model();
        model.Segments["vx1"] = new ModelSegment(101, [$"{b.Address}"]);
        Operation? pending = null;
        var (acknowledged, midway, early) = (0, 0, 0);
        for (var round = 0; round < Rounds; round++)
        {
            var signal = random.Next(2) == 0 ? LibC.SIGKILL : LibC.SIGTERM;
            daemon.Launch();
            if (random.Next(4) == 0)
            {
                // Before it is ready, or just then.
                Thread.Sleep(random.Next(1500));
                early++;
            }
            else
            {
                daemon.WaitForText("\nsleeve daemon: ready");
                model = Settle(model, pending, Read(daemon), $"round {round}, after {(pending is null ? "nothing" : pending.Name)} was under way");
                pending = null;
                using var mutator = new Mutator(daemon, model, new Random(seed + round));
                Thread.Sleep(random.Next(600));
                daemon.Process.Signal(signal);
                pending = mutator.End();
                acknowledged += mutator.Acknowledged;
                if (pending is not null) midway++;
            }

            daemon.Process.Signal(signal);
            Assert.True(daemon.Process.WaitForExit(Patience), $"round {round}: signal {signal} did not end it: {daemon.Process.Error}");
            if (signal == LibC.SIGTERM) Assert.True(daemon.Process.ExitCode is 0 or 143, $"round {round}: {daemon.Process.ExitCode}: {daemon.Process.Error}");
        }

        daemon.Start();
        model = Settle(model, pending, Read(daemon), "at the end");
        Output.WriteLine($"{Rounds} signals ({early} before it was ready), {acknowledged} changes acknowledged, {midway} under way at a signal; {model.Segments.Count} segments at the end");
        Assert.Equal(model.Segments.Keys.Order(StringComparer.Ordinal), TapsOf(a).Order(StringComparer.Ordinal));
        Assert.True(acknowledged > Rounds, "hardly anything was changed meanwhile");
        PurgeLeavesNothing(daemon);
    }

    // Which of the two it is: without what was under way, or with all of it.
    private static Model Settle(Model model, Operation? pending, Model actual, string when)
    {
        if (actual.Show() == model.Show()) return model;
        var with = model.Copy();
        pending?.Apply(with);
        Assert.True(actual.Show() == with.Show(), $"{when}:\nwas acknowledged:\n{model.Show()}\nmight be:\n{with.Show()}\nis:\n{actual.Show()}");
        return with;
    }

    private static Model Read(SleeveDaemon daemon)
    {
        var model = new Model();
        foreach (var shown in daemon.Get("segments").EnumerateArray())
        {
            var name = shown.GetProperty("ifname").GetString()!;
            Assert.True(shown.GetProperty("state").GetString() == "running", $"{shown}");
            var remotes = shown.GetProperty("settings").TryGetProperty("remote", out var remote)
                ? remote.ValueKind == JsonValueKind.Array ? remote.EnumerateArray().Select(static each => each.GetString()!) : [remote.GetString()!]
                : [];
            var segment = model.Segments[name] = new ModelSegment(shown.GetProperty("vni").GetInt32(), [.. remotes]);
            var fdb = daemon.Fdb(name);
            foreach (var entry in fdb.Where(static entry => entry is { IsDynamic: false, Mac: not Vtep.Default })) segment.Fdb[entry.Mac] = entry.Destination!;
            // The settings and the table are one thing.
            Assert.Equal(segment.Remotes, fdb.Where(static entry => entry.Mac == Vtep.Default).Select(static entry => entry.Destination!).ToHashSet());
            foreach (var neighbour in daemon.Neighbours(name)) segment.Neighbours[neighbour.Split(' ')[0]] = neighbour.Split(' ')[1];
        }

        return model;
    }

    private sealed record ModelSegment(int Vni, HashSet<string> Remotes)
    {
        public SortedDictionary<string, string> Fdb { get; } = new(StringComparer.Ordinal);

        public SortedDictionary<string, string> Neighbours { get; } = new(StringComparer.Ordinal);
    }

    private sealed class Model
    {
        public SortedDictionary<string, ModelSegment> Segments { get; } = new(StringComparer.Ordinal);

        public string Show() => string.Join('\n', Segments.Select(static each =>
            $"{each.Key} {each.Value.Vni} [{string.Join(' ', each.Value.Remotes.Order(StringComparer.Ordinal))}] {string.Join(' ', each.Value.Fdb)} | {string.Join(' ', each.Value.Neighbours)}"));

        public Model Copy()
        {
            var copy = new Model();
            foreach (var (name, segment) in Segments)
            {
                var into = copy.Segments[name] = new ModelSegment(segment.Vni, [.. segment.Remotes]);
                foreach (var (mac, destination) in segment.Fdb) into.Fdb[mac] = destination;
                foreach (var (address, mac) in segment.Neighbours) into.Neighbours[address] = mac;
            }

            return copy;
        }
    }

    private sealed record Operation(string Name, HttpMethod Method, string Path, string? Body, Action<Model> Apply);

    // Changes one thing after another until the daemon is gone.
    private sealed class Mutator : IDisposable
    {
        private readonly Thread _thread;
        private volatile bool _isEnding;
        private Operation? _pending;
        private string? _complaint;

        public Mutator(SleeveDaemon daemon, Model model, Random random)
        {
            _thread = new Thread(() => Run(daemon, model, random));
            _thread.Start();
        }

        public int Acknowledged { get; private set; }

        /// <summary>Waits for its end and returns what was under way.</summary>
        public Operation? End()
        {
            Dispose();
            Assert.True(_complaint is null, _complaint);
            return _pending;
        }

        public void Dispose()
        {
            _isEnding = true;
            _thread.Join();
        }

        private void Run(SleeveDaemon daemon, Model model, Random random)
        {
            for (var left = 10_000; left > 0; left--)
            {
                var operation = Next(model, random);
                try
                {
                    _pending = operation;
                    var answer = daemon.Send(operation.Method, operation.Path, operation.Body);
                    if (!answer.IsDone || answer.Unsaved is not null)
                    {
                        // A daemon that is ending may say so.
                        if (!_isEnding || (int)answer.Status < 500) _complaint = $"{operation.Name}: {(int)answer.Status} {answer.Body} {answer.Unsaved}";
                        return;
                    }
                }
                catch (Exception gone) when (gone is HttpRequestException or SocketException or IOException or OperationCanceledException)
                {
                    return;
                }

                operation.Apply(model);
                _pending = null;
                Acknowledged++;
            }
        }

        private static Operation Next(Model model, Random random)
        {
            var names = model.Segments.Keys.ToArray();
            var name = names[random.Next(names.Length)];
            var number = random.Next(6);
            var mac = $"02:00:00:00:00:1{number}";
            var address = $"10.1.0.{number}";
            var destination = $"10.0.0.{2 + random.Next(3)}";
            switch (random.Next(8))
            {
                case 0 or 1:
                    var device = $"k{number}";
                    var vni = (random.Next(8) == 0 ? 300 : 200) + number;
                    HashSet<string> remotes = [.. Enumerable.Range(2, 3).Where(_ => random.Next(2) == 0).Select(static last => string.Create(CultureInfo.InvariantCulture, $"10.0.0.{last}"))];
                    var settings = remotes.Count == 0 ? JsonSerializer.Serialize(new { vni }) : JsonSerializer.Serialize(new { vni, remote = remotes });
                    return new Operation($"put {device} {settings}", HttpMethod.Put, $"segments/{device}", settings, into =>
                    {
                        var now = new ModelSegment(vni, remotes);
                        if (into.Segments.TryGetValue(device, out var before) && before.Vni == vni)
                        {
                            foreach (var (key, value) in before.Fdb) now.Fdb[key] = value;
                            foreach (var (key, value) in before.Neighbours) now.Neighbours[key] = value;
                        }

                        into.Segments[device] = now;
                    });
                case 2 when name != "vx1":
                    return new Operation($"delete {name}", HttpMethod.Delete, $"segments/{name}", null, into => into.Segments.Remove(name));
                case 3 or 4:
                    return new Operation($"put {name} {mac} {destination}", HttpMethod.Put, $"segments/{name}/fdb/{mac}", JsonSerializer.Serialize(new { dst = destination, state = "static" }), into => into.Segments[name].Fdb[mac] = destination);
                case 5:
                    return new Operation($"delete {name} {mac}", HttpMethod.Delete, $"segments/{name}/fdb/{mac}", null, into => into.Segments[name].Fdb.Remove(mac));
                case 6:
                    return new Operation($"delete {name} {address}", HttpMethod.Delete, $"segments/{name}/neighbours/{address}", null, into => into.Segments[name].Neighbours.Remove(address));
                default:
                    return new Operation($"put {name} {address} {mac}", HttpMethod.Put, $"segments/{name}/neighbours/{address}", JsonSerializer.Serialize(new { lladdr = mac }), into => into.Segments[name].Neighbours[address] = mac);
            }
        }
    }
}
