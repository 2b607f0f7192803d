using System.Globalization;
using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.ClusterScale.Daemons;

/// <summary>A host: a network namespace on the switch, with a daemon in it. Disposing ends the daemon; the namespaces end with the bench's own.</summary>
internal sealed class DaemonHost : IDisposable
{
    /// <summary>The namespace in which the switch is.</summary>
    public const string Switch = "switch";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly string _sleeve;
    private readonly string _folder;
    private Background? _daemon;

    /// <summary>Makes the namespace and its wire; the daemon is not started yet.</summary>
    /// <param name="number">1 to 254.</param>
    /// <param name="sleeve">The program.</param>
    /// <param name="folder">For its files.</param>
    public DaemonHost(int number, string sleeve, string folder)
    {
        (Number, _sleeve, _folder) = (number, sleeve, folder);
        Directory.CreateDirectory(folder);
        Api = new DaemonApi(SocketPath);
        Command.Run("ip", "netns", "add", Name);
        Command.Run("ip", "-n", Name, "link", "set", "lo", "up");
        Command.Run("ip", "-n", Name, "link", "add", "eth0", "type", "veth", "peer", "name", $"p{number}", "netns", Switch);
        Command.Run("ip", "-n", Switch, "link", "set", $"p{number}", "master", "br0", "up");
        Command.Run("ip", "-n", Name, "addr", "add", $"{Address}/24", "dev", "eth0");
        Command.Run("ip", "-n", Name, "link", "set", "eth0", "up");
        File.WriteAllText(ConfigPath, $"name: {Name}\nlocal: {Address}\nworkers: 1\n");
    }

    /// <summary>Its number, from 1.</summary>
    public int Number { get; }

    /// <summary>Its name and its namespace's.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"h{Number}");

    /// <summary>On the underlay.</summary>
    public string Address => string.Create(CultureInfo.InvariantCulture, $"192.0.2.{Number}");

    /// <summary>Its daemon's API.</summary>
    public DaemonApi Api { get; }

    /// <summary>Process of the daemon.</summary>
    public int Id => _daemon!.Id;

    private string SocketPath => Path.Combine(_folder, "sock");

    private string ConfigPath => Path.Combine(_folder, "sleeve.yaml");

    /// <summary>Starts the daemon and waits until it says that it is ready.</summary>
    public void Start()
    {
        // Fifty of them on two cores would do little but offer each other the core (docs/scale.md).
        _daemon = new Background("ip", "netns", "exec", Name, "env", "DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=0", _sleeve, "daemon", "--config", ConfigPath, "--state", Path.Combine(_folder, "state"), "--socket", SocketPath);
        _daemon.WaitFor("sleeve daemon: ready", Patience);
    }

    /// <summary>Runs a command of sleeve here, which must succeed.</summary>
    /// <returns>What it printed.</returns>
    public string Run(params IReadOnlyList<string> words)
    {
        var outcome = Command.Try(Patience, [.. (IReadOnlyList<string>)["ip", "netns", "exec", Name, "env", $"SLEEVE_API={SocketPath}", _sleeve], .. words]);
        return outcome.Code == 0 ? outcome.Output : throw new BenchFailure($"{Name}: sleeve {Command.Shown(words)}: {outcome.LastWords}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _daemon?.Dispose();
        Api.Dispose();
    }
}
