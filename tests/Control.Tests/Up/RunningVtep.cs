using System.Diagnostics;
using System.Globalization;
using Sleeve.Control.Tests.Cli;
using Sleeve.Control.Tests.Host;

namespace Sleeve.Control.Tests.Up;

/// <summary>The real executable in a network namespace: <c>sleeve up</c> with its socket in a folder of its own, killed at the end whatever happens.</summary>
internal sealed class RunningVtep : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly Task _reading;

    private RunningVtep(Process process)
    {
        _process = process;
        _reading = Task.Run(ReadAsync);
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it has said so far.</summary>
    public string[] Lines
    {
        get
        {
            lock (_lines) return [.. _lines];
        }
    }

    /// <summary>The words that start the executable.</summary>
    public static string[] Executable => [Environment.ProcessPath!, "exec", Path.Combine(AppContext.BaseDirectory, "sleeve.dll")];

    /// <summary>Starts it without waiting for anything.</summary>
    public static RunningVtep Begin(TestNetwork network, params string[] words) => BeginAs(network, [], words);

    /// <summary>Starts it by way of another program, such as setpriv.</summary>
    public static RunningVtep BeginAs(TestNetwork network, string[] launcher, params string[] words) => network.Namespace.Run(() =>
    {
        string[] all = [.. launcher, .. Executable, "up", .. words];
        var start = new ProcessStartInfo(all[0], all[1..]) { RedirectStandardError = true, RedirectStandardInput = true };
        return new RunningVtep(Process.Start(start)!);
    });

    /// <summary>Starts it and waits until it is ready; what else it says is a failure.</summary>
    public static RunningVtep Start(TestNetwork network, params string[] words)
    {
        var vtep = Begin(network, words);
        Eventually.Holds(() => vtep.Lines.Contains("sleeve up: ready") || vtep.HasExited);
        if (vtep.Lines.Contains("sleeve up: ready")) return vtep;
        var outcome = vtep.End();
        Assert.Fail($"ended with {outcome.Code}: {outcome.Errors}");
        return vtep;
    }

    /// <summary>Sends a signal by its name, such as TERM.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>Waits for its end.</summary>
    public Outcome End()
    {
        Assert.True(_process.WaitForExit(Patience), $"still running after {Patience.TotalSeconds} s");
        _reading.Wait();
        return new Outcome(_process.ExitCode, "", string.Join('\n', Lines));
    }

    /// <summary>Asks it to end, and waits.</summary>
    public Outcome Stop()
    {
        Signal("TERM");
        return End();
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_lines) _lines.Add(line);
        }
    }
}

/// <summary>Waits for a condition, not for a time.</summary>
internal static class Eventually
{
    private const int Tries = 1500;

    public static void Holds(Func<bool> condition)
    {
        for (var i = 0; i < Tries; i++)
        {
            if (condition()) return;
            Thread.Sleep(20);
        }

        Assert.Fail("the condition never held");
    }
}

/// <summary>A namespace with 192.0.2.1 as the underlay address on its loopback, and a folder for sockets.</summary>
internal sealed class UpNetwork : IDisposable
{
    private UpNetwork(TestNetwork network)
    {
        Network = network;
        Folder = Directory.CreateTempSubdirectory("sleeve-").FullName;
        network.Run("ip", "link", "set", "lo", "up");
        network.Run("ip", "address", "add", "192.0.2.1/32", "dev", "lo");
    }

    public TestNetwork Network { get; }

    public string Folder { get; }

    public string Socket => Path.Combine(Folder, "s");

    public static UpNetwork CreateOrSkip()
    {
        Skip.IfNot(File.Exists("/dev/net/tun"), "needs /dev/net/tun");
        return new UpNetwork(TestNetwork.CreateOrSkip());
    }

    /// <summary>The words of a <c>sleeve up</c> here.</summary>
    public string[] Words(string device, params string[] more) => [device, "--vni", "100", "--local", "192.0.2.1", "--socket", Socket, .. more];

    /// <summary>Every link, address and file there is, to be compared with what there was.</summary>
    public string Trace() => string.Join('\n', [
        .. Network.Run("ip", "-d", "address", "show").Split('\n').Where(static line => !line.Contains("inet6 fe80", StringComparison.Ordinal) && !line.Contains("valid_lft", StringComparison.Ordinal)).Select(static line => System.Text.RegularExpressions.Regex.Replace(line, "vnet_hdr (on|off)|tentative|designated_\\S+ \\S+|hello_timer.*|gc_timer.*|state \\S+|mtu 1500 qdisc \\S+", "").TrimEnd()),
        .. Directory.GetFileSystemEntries(Folder)]);

    /// <summary>All is as it was, once the kernel has noticed that the TAP's carrier is gone; its own link-local addresses aside.</summary>
    public void AssertIs(string before, string context = "")
    {
        for (var tries = 0; tries < 100 && Trace() != before; tries++) Thread.Sleep(20);
        var now = Trace();
        Assert.True(before == now, $"{context}\nwas:\n{before}\nis:\n{now}");
    }

    public void Dispose()
    {
        Network.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
