using Sleeve.EndToEnd.Packaging;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;
using YamlDotNet.RepresentationModel;

namespace Sleeve.EndToEnd.Guests;

/// <summary>
/// Two nodes of Kubernetes without Kubernetes: the daemon of deploy/kubernetes with the capabilities that its container has, /proc/sys read-only as in any container, and its own words for making the network. Pods are namespaces.
/// </summary>
public sealed class NodeTests(ITestOutputHelper output) : GuestTest(output)
{
    private static readonly YamlMappingNode[] Objects = Read();

    [SkippableFact]
    public void The_rights_of_the_DaemonSet_are_enough_for_pods_to_reach_each_other()
    {
        Requirements.Programs("setpriv", "unshare", "nft");
        var container = Assert.Single(List(Pod, "containers"));
        var capabilities = string.Join(',', List(At(At(container, "securityContext"), "capabilities"), "add").Select(static each => $"+{each}".ToLowerInvariant()));
        var (_, daemons) = GivenCluster(2, "dns: false\n", daemon =>
        {
            // As every node has it: the container could not switch it on.
            daemon.Host.Run("sysctl -qw net.ipv4.ip_forward=1");
            daemon.Wrapper =
            [
                "unshare", "--mount", "--propagation", "slave", "sh", "-c", "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\"", "sh",
                "setpriv", "--bounding-set", $"-all,{capabilities}", "--inh-caps", $"-all,{capabilities}", "--no-new-privs",
            ];
        });
        // Every start of the pod does it again.
        foreach (var daemon in daemons) for (var time = 0; time < 2; time++) Load(daemon, Text(At(Config, "data"), "masquerade.nft"));
        Assert.Equal(CapabilitiesOf("NET_ADMIN 12", "NET_RAW 13", "SYS_ADMIN 21", "BPF 39"), BoundingSetOf(daemons[0].Process.Id));
        // Both at once, as nodes start.
        var made = daemons.AsParallel().Select(daemon => MakeNetwork(daemon)).ToArray();
        Assert.All(made, static each => Assert.True(each.ExitCode == 0, $"{each.Output}{each.Error}"));
        var pods = daemons.Select(daemon => Container(daemon)).ToArray();
        var addresses = daemons.Select((daemon, number) => Attach(daemon, "pods", pods[number]).Single()).ToArray();
        WaitForPing(pods[0], $"{addresses[1]}");
        WaitForPing(pods[1], $"{addresses[0]}");
        // As kubelet's probes do, and back.
        Traffic.WaitForPing(daemons[0].Host, addresses[0]);
        // What leaves the network does so under the node's address; nobody outside knows another.
        Load(daemons[1], "table ip outside { chain input { type filter hook input priority filter; ip saddr 10.244.0.0/16 drop; }; }");
        WaitForPing(pods[0], $"{daemons[1].Host.Address}");
        AuditFindsNothing(daemons[0]);
    }

    [SkippableFact]
    public void The_words_of_the_manifest_are_words_of_the_program()
    {
        var lab = NewLab();
        var (host, other) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(host, other);
        var folder = Directory.CreateTempSubdirectory("sleeve-node-").FullName;
        try
        {
            var file = Path.Combine(folder, "sleeve.yaml");
            File.WriteAllText(file, Text(At(Config, "data"), "sleeve.yaml"));
            SleeveProgram.Run(host, $"config check {file}").Ok();
            // Bad words would be 2; what is missing here is what the Secret holds.
            var words = List(Assert.Single(List(Pod, "containers")), "args").Select(each => $"{each}".Replace("/etc/sleeve/sleeve.yaml", file, StringComparison.Ordinal)
                .Replace("/var/lib/sleeve", folder, StringComparison.Ordinal).Replace("$(NODE_NAME)", "node-1.example", StringComparison.Ordinal).Replace("$(NODE_IP)", $"{host.Address}", StringComparison.Ordinal));
            var run = SleeveProgram.Run(host, string.Join(' ', words));
            Assert.Equal(1, run.ExitCode);
            Assert.Contains("/etc/sleeve-store/", run.Error, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static YamlNode Pod => At(At(At(Objects.Single(static each => Text(each, "kind") == "DaemonSet"), "spec"), "template"), "spec");

    private static YamlNode Config => Objects.Single(static each => Text(each, "kind") == "ConfigMap");

    private static void Load(SleeveDaemon daemon, string rules)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, rules);
            daemon.Host.Run($"nft -f {file}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    // The script of the manifest, with a `sleeve` that knows this daemon's socket.
    private static CommandResult MakeNetwork(SleeveDaemon daemon)
    {
        var script = $"{List(At(At(At(Assert.Single(List(Pod, "containers")), "lifecycle"), "postStart"), "exec"), "command")[2]}";
        return daemon.Host.Try(["env", $"SLEEVE_API={daemon.SocketPath}", "sh", "-c", $"sleeve() {{ {string.Join(' ', SleeveProgram.Words)} \"$@\"; }}\n{script}"], Patience);
    }

    private static ulong BoundingSetOf(int process) =>
        Convert.ToUInt64(File.ReadLines($"/proc/{process}/status").Single(static line => line.StartsWith("CapBnd:", StringComparison.Ordinal))[7..].Trim(), 16);

    private static ulong CapabilitiesOf(params string[] names) => names.Aggregate(0UL, static (set, name) => set | (1UL << int.Parse(name.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)));

    private static YamlMappingNode[] Read()
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(File.ReadAllText(Path.Combine(ThrowAwayRoot.Tree, "deploy/kubernetes/sleeve.yaml"))));
        return [.. stream.Documents.Select(static document => (YamlMappingNode)document.RootNode)];
    }

    private static YamlNode At(YamlNode node, string key) => node[new YamlScalarNode(key)];

    private static string Text(YamlNode node, string key) => ((YamlScalarNode)At(node, key)).Value!;

    private static IReadOnlyList<YamlNode> List(YamlNode node, string key) => [.. ((YamlSequenceNode)At(node, key)).Children];
}
