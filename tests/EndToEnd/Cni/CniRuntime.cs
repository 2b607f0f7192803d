using System.Globalization;
using System.Text.Json.Nodes;
using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Cni;

/// <summary>What a plugin answered.</summary>
/// <param name="ExitCode">0 if it was done.</param>
/// <param name="Json">What it printed; null for nothing.</param>
/// <param name="Text">The same as it came.</param>
public sealed record CniAnswer(int ExitCode, JsonNode? Json, string Text)
{
    /// <summary>The code of an error; 0 if there is none.</summary>
    public int Code => ExitCode == 0 ? 0 : Json!["code"]!.GetValue<int>();

    /// <summary>The answer; throws with the error.</summary>
    public JsonNode? Ok() => ExitCode == 0 ? Json : throw new CommandFailedException(Text);
}

/// <summary>
/// Calls plugins as libcni does: a chain in order for ADD and CHECK, backwards for DEL, with the result of each for the next, capabilities as runtimeConfig, and the last result kept for later.
/// Environment and stdin are those that were recorded of cnitool, podman and containerd.
/// </summary>
public sealed class CniRuntime
{
    private readonly Dictionary<string, JsonNode> _results = [];
    private readonly Host _host;
    private readonly string _path;

    /// <summary>A runtime on a host.</summary>
    /// <param name="host">Where.</param>
    /// <param name="folders">Where the plugins are.</param>
    /// <param name="configuration">The conflist.</param>
    public CniRuntime(Host host, IReadOnlyList<string> folders, JsonNode configuration) => (_host, _path, Configuration) = (host, string.Join(':', folders), configuration);

    /// <summary>The conflist; may be changed between calls.</summary>
    public JsonNode Configuration { get; set; }

    /// <summary>CNI_ARGS.</summary>
    public string Arguments { get; set; } = "";

    /// <summary>What capabilities are given, by name.</summary>
    public JsonObject Capabilities { get; set; } = [];

    private JsonArray Plugins => Configuration["plugins"]!.AsArray();

    /// <summary>Calls one plugin.</summary>
    public CniAnswer Call(string type, string command, string input, string container = "", string netns = "", string ifname = "")
    {
        var program = _path.Split(':').Select(folder => Path.Combine(folder, type)).First(File.Exists);
        string[] words = ["nsenter", $"--net=/run/netns/{_host.Namespace}", "env", "-u", "SLEEVE_API", $"CNI_COMMAND={command}", $"CNI_CONTAINERID={container}", $"CNI_NETNS={netns}", $"CNI_IFNAME={ifname}", $"CNI_ARGS={Arguments}", $"CNI_PATH={_path}", program];
        var result = Command.Run(words, input, TimeSpan.FromSeconds(90));
        _host.Lab.Log($"[{_host.Name}] {type} {command} {container} {ifname} → {result.ExitCode} {result.Output.Trim()} {result.Error.Trim()}");
        return new CniAnswer(result.ExitCode, result.Output.Trim().Length == 0 ? null : JsonNode.Parse(result.Output), result.Output);
    }

    /// <summary>ADD through the chain.</summary>
    public CniAnswer Add(string container, string netns, string ifname = "eth0")
    {
        CniAnswer answer = new(0, null, "");
        JsonNode? before = null;
        for (var i = 0; i < Plugins.Count; i++)
        {
            answer = Call(TypeOf(i), "ADD", Input(i, before), container, netns, ifname);
            if (answer.ExitCode != 0) return answer;
            before = answer.Json;
        }

        lock (_results) _results[$"{container} {ifname}"] = before!.DeepClone();
        return answer;
    }

    /// <summary>CHECK through the chain.</summary>
    public CniAnswer Check(string container, string netns, string ifname = "eth0")
    {
        for (var i = 0; i < Plugins.Count; i++)
            if (Call(TypeOf(i), "CHECK", Input(i, Before(container, ifname)), container, netns, ifname) is { ExitCode: not 0 } failed) return failed;
        return new CniAnswer(0, null, "");
    }

    /// <summary>DEL through the chain, backwards.</summary>
    public CniAnswer Delete(string container, string netns, string ifname = "eth0")
    {
        for (var i = Plugins.Count - 1; i >= 0; i--)
            if (Call(TypeOf(i), "DEL", Input(i, Before(container, ifname)), container, netns, ifname) is { ExitCode: not 0 } failed) return failed;
        lock (_results) _results.Remove($"{container} {ifname}");
        return new CniAnswer(0, null, "");
    }

    /// <summary>A command about no container: GC, STATUS.</summary>
    /// <param name="command">Which.</param>
    /// <param name="more">Keys besides those of the configuration.</param>
    public CniAnswer Tell(string command, JsonObject? more = null)
    {
        var input = JsonNode.Parse(Input(0, null))!.AsObject();
        foreach (var (key, value) in more ?? []) input[key] = value?.DeepClone();
        return Call(TypeOf(0), command, input.ToJsonString());
    }

    private JsonNode? Before(string container, string ifname)
    {
        lock (_results) return _results.GetValueOrDefault($"{container} {ifname}");
    }

    private string TypeOf(int number) => Plugins[number]!["type"]!.GetValue<string>();

    private string Input(int number, JsonNode? before)
    {
        var plugin = Plugins[number]!.DeepClone().AsObject();
        plugin["cniVersion"] = Configuration["cniVersion"]!.DeepClone();
        plugin["name"] = Configuration["name"]!.DeepClone();
        var run = new JsonObject();
        foreach (var (key, _) in plugin["capabilities"]?.AsObject() ?? [])
            if (Capabilities[key] is { } value) run[key] = value.DeepClone();
        if (run.Count > 0) plugin["runtimeConfig"] = run;
        if (before is not null) plugin["prevResult"] = before.DeepClone();
        return plugin.ToJsonString();
    }
}

/// <summary>Hosts with the plugin installed on each, as <c>sleeve cni install</c> does it.</summary>
public abstract class CniTest(ITestOutputHelper output) : ClusterTest(output)
{
    /// <summary>Where Debian puts the reference plugins.</summary>
    protected const string ReferencePlugins = "/usr/lib/cni";

    private readonly List<string> _folders = [];

    /// <summary>A folder that goes with the test.</summary>
    protected string NewFolder()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-cni-").FullName;
        _folders.Add(folder);
        return folder;
    }

    /// <summary>Installs the plugin for a daemon.</summary>
    /// <param name="daemon">Whose.</param>
    /// <param name="more">Options of the installer.</param>
    /// <returns>The folder of the plugin, and that of the configuration.</returns>
    protected (string Binaries, string Configurations) Install(SleeveDaemon daemon, string more = "--network blue")
    {
        ArgumentNullException.ThrowIfNull(daemon);
        var folder = NewFolder();
        Output.WriteLine(daemon.Run($"cni install --bin-dir {folder}/bin --conf-dir {folder}/conf {more}").Ok());
        return ($"{folder}/bin", $"{folder}/conf");
    }

    /// <summary>A runtime of the plugin as it is installed.</summary>
    protected CniRuntime Runtime(SleeveDaemon daemon, string more = "--network blue", bool isAlone = true)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        var (binaries, configurations) = Install(daemon, more);
        var configuration = JsonNode.Parse(File.ReadAllText(Directory.GetFiles(configurations).Single()))!;
        if (isAlone)
            while (configuration["plugins"]!.AsArray() is { Count: > 1 } plugins) plugins.RemoveAt(1);
        return new CniRuntime(daemon.Host, [binaries, ReferencePlugins], configuration);
    }

    /// <summary>Skips unless the reference plugins are there.</summary>
    protected static void RequirePlugins(params string[] names)
    {
        foreach (var name in names) Skip.IfNot(File.Exists(Path.Combine(ReferencePlugins, name)), $"needs the CNI plugin {name}: apt-get install containernetworking-plugins");
    }

    /// <summary>The path of a container's namespace.</summary>
    protected static string PathOf(string container) => $"/run/netns/{container}";

    /// <summary>The addresses of a result, without lengths.</summary>
    protected static IReadOnlyList<string> AddressesOf(JsonNode? result) => [.. result!["ips"]!.AsArray().Select(static each => each!["address"]!.GetValue<string>().Split('/')[0])];

    /// <summary>How many endpoints a daemon has.</summary>
    protected static int EndpointsOf(SleeveDaemon daemon)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        return daemon.Get("endpoints").GetArrayLength();
    }

    /// <summary>What a command in a container prints.</summary>
    protected static string In(string container, string line) => Command.Run(["ip", "netns", "exec", container, .. Command.Split(line)]).Output;

    /// <summary>Whether a port of the first host is that of the page "published", as another host sees it.</summary>
    protected static bool Serves(SleeveDaemon daemon, int port)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        return daemon.Host.Try(["sh", "-c", $"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 10.0.0.1 {port}"]).Output.Contains("published", StringComparison.Ordinal);
    }

    /// <summary>Waits until every host knows a network.</summary>
    protected static void WaitForNetwork(string network, params IReadOnlyList<SleeveDaemon> daemons) =>
        Wait.Until(() => daemons.All(daemon => daemon.Send(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"networks/{network}")).IsDone), $"all know {network}", Patience);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        foreach (var folder in _folders.Where(Directory.Exists)) Directory.Delete(folder, recursive: true);
    }
}
