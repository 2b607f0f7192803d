using System.Diagnostics;
using System.Text.Json.Nodes;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Tests.Cli;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>The event stream and <c>sleeve monitor</c>, over the real executable.</summary>
[Collection(ConsoleTests.Name)]
public class EventTests
{
    [SkippableFact]
    public void Monitor_prints_events_as_lines_of_bridge_monitor_and_ends_with_0_at_an_interrupt()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var monitor = new Monitor("vx0", "--socket", up.Socket);
        monitor.Await(() => Run("fdb", "add", "02:00:00:00:00:07", "dev", "vx0", "dst", "192.0.2.7", "--socket", up.Socket), "02:00:00:00:00:07 dev vx0 dst 192.0.2.7 self permanent");
        monitor.Await(() => Run("fdb", "del", "02:00:00:00:00:07", "dev", "vx0", "--socket", up.Socket), "Deleted 02:00:00:00:00:07 dev vx0 dst 192.0.2.7 self");
        monitor.Await(() => up.Network.Run("ip", "link", "set", "vx0", "down"), "link dev vx0 DOWN");
        monitor.Await(() => up.Network.Run("ip", "link", "set", "vx0", "mtu", "1400"), "mtu 1400 dev vx0");
        Assert.Equal(0, monitor.Interrupt());
    }

    [SkippableFact]
    public void Monitor_prints_JSON_lines_of_the_kinds_that_were_asked_for()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var monitor = new Monitor("removed", "--json", "--socket", up.Socket);
        Run("fdb", "add", "02:00:00:00:00:07", "dev", "vx0", "dst", "192.0.2.7", "--socket", up.Socket);
        Run("fdb", "del", "02:00:00:00:00:07", "dev", "vx0", "--socket", up.Socket);
        Eventually.Holds(() => monitor.Lines.Length >= 2);
        var line = JsonNode.Parse(monitor.Lines[1])!;
        Assert.Equal(("removed", "vx0", 100, "02:00:00:00:00:07", "192.0.2.7"), ((string?)line["event"], (string?)line["ifname"], (int)line["vni"]!, (string?)line["mac"], (string?)line["dst"]));
        Assert.InRange(DateTimeOffset.Parse((string)line["time"]!, System.Globalization.CultureInfo.InvariantCulture), DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.Equal(0, vtep.Stop().Code);
        // The other side ended it: that is no success.
        Assert.Equal(1, monitor.End());
    }

    [SkippableFact]
    public void A_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_lost()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        // Stopped, it reads nothing; the pipe, the socket and the ring fill.
        using var monitor = new Monitor("vx0", "--json", "--socket", up.Socket);
        monitor.Signal("STOP");
        using var client = new ApiClient(up.Socket);
        for (var round = 0; round < 8; round++)
        {
            for (var i = 0; i < 1500; i++)
                client.PostAsync("segments/vx0/fdb/append", new FdbEntryJson($"02:00:00:00:{i / 256:x2}:{i % 256:x2}", null, "192.0.2.7", null, null, null, null, "dynamic"), ApiJson.Default.FdbEntryJson).Wait();
            client.PostAsync("segments/vx0/fdb/flush", ApiJson.Default.FlushJson).Wait();
        }

        monitor.Signal("CONT");
        Eventually.Holds(() => monitor.Lines.Count(line => line.Contains("\"added\"", StringComparison.Ordinal) || line.Contains("\"removed\"", StringComparison.Ordinal)) + Lost(monitor) >= 8 * 3000);
        Assert.True(Lost(monitor) > 0);
        Assert.Equal(0, monitor.Interrupt());

        static long Lost(Monitor monitor) => monitor.Lines.Where(line => line.Contains("\"lost\":", StringComparison.Ordinal)).Sum(line => (long)JsonNode.Parse(line)!["lost"]!);
    }

    [SkippableFact]
    public void An_unknown_kind_or_device_is_refused()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        var outcome = Outcome.OfWords("monitor", "vx0", "lerned", "--socket", up.Socket);
        Assert.Equal(2, outcome.Code);
        Assert.Contains("lerned: unknown kind of event; must be one of learned, moved, aged, removed, added, l2miss, l3miss", outcome.Errors, StringComparison.Ordinal);
        outcome = Outcome.OfWords("monitor", "vx9", "--socket", up.Socket);
        Assert.Equal(1, outcome.Code);
        Assert.Contains("dev vx9: has no segment in this VTEP", outcome.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_kind_has_a_line_of_its_own()
    {
        foreach (var kind in EventRoutes.Kinds.Keys)
        {
            var line = MonitorCommand.Format(new EventJson(kind, default) { Ifname = "vx0", Mac = "02:00:00:00:00:01" })!;
            Assert.Contains(" dev vx0", line, StringComparison.Ordinal);
            Assert.DoesNotContain("-", line, StringComparison.Ordinal);
        }
    }

    private static void Run(params string[] words)
    {
        var outcome = Outcome.OfWords(words);
        Assert.True(outcome.Code == 0, outcome.Errors);
    }

    private sealed class Monitor : IDisposable
    {
        private readonly Process _process;
        private readonly List<string> _lines = [];
        private readonly Task _reading;

        internal Monitor(params string[] words)
        {
            string[] all = [.. RunningVtep.Executable, "monitor", .. words];
            _process = Process.Start(new ProcessStartInfo(all[0], all[1..]) { RedirectStandardOutput = true })!;
            _reading = Task.Run(async () =>
            {
                while (await _process.StandardOutput.ReadLineAsync() is { } line)
                    lock (_lines) _lines.Add(line);
            });
            // Only JSON says when it listens; in text there is nothing to see, so give it something and look for that.
            Eventually.Holds(() =>
            {
                if (words is not ["vx0", "--socket", var socket]) return Lines.Length > 0;
                Run("fdb", "add", "02:00:00:00:00:01", "dev", "vx0", "dst", "192.0.2.7", "--socket", socket);
                Run("fdb", "del", "02:00:00:00:00:01", "dev", "vx0", "--socket", socket);
                return Lines.Length > 0;
            });
        }

        internal string[] Lines
        {
            get
            {
                lock (_lines) return [.. _lines];
            }
        }

        internal void Await(Action cause, string line)
        {
            cause();
            Eventually.Holds(() => Lines.Contains(line));
        }

        internal void Signal(string name)
        {
            using var kill = Process.Start("kill", ["-" + name, $"{_process.Id}"]);
            kill.WaitForExit();
        }

        internal int Interrupt()
        {
            Signal("INT");
            return End();
        }

        internal int End()
        {
            Assert.True(_process.WaitForExit(TimeSpan.FromSeconds(30)));
            _reading.Wait();
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
