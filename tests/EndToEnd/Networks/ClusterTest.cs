using System.Net;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>
/// Several hosts, a daemon on each; the first serves its store, the others joined it. Containers are network namespaces.
/// <code>
///    a: sleeve daemon ── switch ── b: sleeve daemon ── …
///       └ container a-1              └ container b-1
/// </code>
/// </summary>
public abstract class ClusterTest(ITestOutputHelper output) : LabTest(output)
{
    /// <summary>For what may take a busy machine its time.</summary>
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<string> _containers = [];

    /// <summary>Hosts with daemons, joined by one command each.</summary>
    /// <param name="hosts">How many.</param>
    /// <param name="more">More of their configuration, in whole lines.</param>
    /// <param name="prepare">Told each daemon before it starts.</param>
    protected (Host Switch, IReadOnlyList<SleeveDaemon> Daemons) GivenCluster(int hosts, string more = "", Action<SleeveDaemon>? prepare = null)
    {
        var lab = NewLab();
        var machines = Enumerable.Range(0, hosts).Select(number => lab.AddHost($"{(char)('a' + number)}")).ToArray();
        var middle = lab.JoinBySwitch(machines);
        var daemons = machines.Select(host => SleeveDaemon.MakeMember(host, more)).ToArray();
        foreach (var daemon in daemons)
        {
            prepare?.Invoke(daemon);
            daemon.Start();
        }

        var words = daemons[0].Run("token").Ok();
        var join = words.Split('\n').Select(static line => line.Trim()).Single(static line => line.StartsWith("sleeve join ", StringComparison.Ordinal));
        foreach (var daemon in daemons.Skip(1)) daemon.Run(join["sleeve ".Length..]).Ok();
        Wait.Until(() => Peers(daemons[0]).Count == hosts, $"{hosts} peers are known", Patience);
        return (middle, daemons);
    }

    /// <summary>The peers that a host knows.</summary>
    protected static IReadOnlyList<string> Peers(SleeveDaemon daemon) => [.. daemon.Get("peers").EnumerateArray().Select(static each => each.GetProperty("name").GetString()!)];

    /// <summary>Makes a container: a namespace of its own.</summary>
    protected string Container(SleeveDaemon daemon, int number = 1)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        var name = $"{daemon.Host.Namespace}-{number}";
        Command.Run(Command.Split($"ip netns add {name}")).Ok();
        _containers.Add(name);
        return name;
    }

    /// <summary>Ends a container as its death would.</summary>
    protected void EndContainer(string name)
    {
        Command.Run(Command.Split($"ip netns del {name}")).Ok();
        _containers.Remove(name);
    }

    /// <summary>Attaches a container, and returns its addresses.</summary>
    protected static IReadOnlyList<IPAddress> Attach(SleeveDaemon daemon, string network, string container, string more = "")
    {
        ArgumentNullException.ThrowIfNull(daemon);
        daemon.Run($"attach {network} {container} {more}").Ok();
        return AddressesOf(daemon, network, container);
    }

    /// <summary>The addresses of a container.</summary>
    protected static IReadOnlyList<IPAddress> AddressesOf(SleeveDaemon daemon, string network, string container)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        using var document = JsonDocument.Parse(daemon.Run($"endpoint ls {network} --json").Ok());
        var found = document.RootElement.EnumerateArray().Single(each => each.GetProperty("id").GetString() == container);
        return [.. found.GetProperty("addresses").EnumerateArray().Select(static each => IPAddress.Parse(each.GetString()!.Split('/')[0]))];
    }

    /// <summary>Pings from a container.</summary>
    protected static bool Pings(string container, string target, int count = 1) => Command.Run(Command.Split($"ip netns exec {container} ping -n -c {count} -W 1 {target}")).ExitCode == 0;

    /// <summary>Pings until an answer comes. If none does, what stands on all hosts is told.</summary>
    protected void WaitForPing(string container, string target)
    {
        try
        {
            Wait.Until(() => Pings(container, target), $"{container} pings {target}", Patience);
        }
        catch (TimeoutException)
        {
            foreach (var line in Command.Run(["ip", "netns", "list"]).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Split(' ')[0])) TellNamespace(line);
            foreach (var daemon in NewestLab.Owned<SleeveDaemon>()) Tell(daemon, ["peer ls", "endpoint ls", "fdb audit", "stats", "audit --wait 5"]);
            throw;
        }
    }

    private void Tell(SleeveDaemon daemon, IReadOnlyList<string> commands)
    {
        foreach (var words in commands) Output.WriteLine($"[{daemon.Host.Name}] {words}\n{daemon.Run(words) switch { var said => said.Output + said.Error }}");
    }

    private void TellNamespace(string name)
    {
        foreach (var words in new[] { "ip -br addr", "ip neigh", "bridge fdb", "bridge link" })
            Output.WriteLine($"[{name}] {words}\n{Command.Run(["ip", "netns", "exec", name, .. Command.Split(words)]) switch { var said => said.Output + said.Error }}");
    }

    /// <summary>Asks all hosts; nothing may differ.</summary>
    protected void AuditFindsNothing(SleeveDaemon daemon)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        CommandResult result = null!;
        Wait.Until(() => (result = daemon.Run("audit --wait 30", Patience)).ExitCode == 0, "an audit finds no difference", Patience, 500);
        Output.WriteLine(result.Output);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        foreach (var container in _containers.ToArray())
        {
            Command.Run(Command.Split($"ip netns del {container}"));
            // Its daemon is gone too, which would have removed it.
            if (Directory.Exists($"/etc/netns/{container}")) Directory.Delete($"/etc/netns/{container}", recursive: true);
        }
    }
}
