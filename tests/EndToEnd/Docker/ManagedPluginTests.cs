using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Docker;

/// <summary>
/// The program as a managed plugin of two real dockerd, which is what swarm takes; their daemons have an etcd in common.
/// <code>
///    a: dockerd { plugin: sleeve daemon } ── switch ── b: dockerd { plugin: sleeve daemon }
///                                              └ store: etcd
/// </code>
/// </summary>
public sealed class ManagedPluginTests(ITestOutputHelper output) : ClusterTest(output)
{
    private const string Plugin = "sleeve:latest";
    // Some 200 MB are packed and unpacked, beside other tests.
    private static readonly TimeSpan Packing = TimeSpan.FromMinutes(3);
    private static readonly string Create = Path.Combine(Checkout.Root, "deploy", "docker-plugin", "create");

    [SkippableFact]
    public void Containers_and_services_of_a_swarm_on_two_nodes_reach_each_other_by_name()
    {
        DockerHost.Require();
        Requirements.Programs("etcd", "hostname", "ldd", "ldconfig");
        Skip.If(SleeveProgram.Folder is null, "needs the program in a folder: deploy/publish ready, and SLEEVE=artifacts/ready/sleeve");
        var lab = NewLab();
        var machines = new[] { "a", "b", "store" }.Select(lab.AddHost).ToArray();
        lab.JoinBySwitch(machines);
        var etcd = RealEtcd.Start(machines[2], 1);
        var hosts = machines.Take(2).Select(machine => lab.Own(DockerHost.StartAlone(machine))).ToArray();
        foreach (var host in hosts) Install(host, $"{etcd.Uri}");

        hosts[0].RunLine($"network create -d {Plugin} --ipam-driver {Plugin} --subnet 10.0.2.0/24 blue");
        hosts[1].WaitForNetwork("blue");
        hosts[0].RunContainer("app1", "blue");
        hosts[1].RunContainer("app2", "blue");
        hosts[1].WaitForPing("app2", "app1");
        hosts[0].WaitForPing("app1", "app2");
        hosts[0].RunLine("rm -f app1");
        hosts[1].RunLine("rm -f app2");
        hosts[0].RunLine("network rm blue");

        // Swarm makes the network on both nodes at the same moment, under one id.
        hosts[0].Run("swarm", "init", "--advertise-addr", $"{machines[0].Address}");
        hosts[1].Run("swarm", "join", "--token", hosts[0].RunLine("swarm join-token -q worker").Trim(), $"{machines[0].Address}:2377");
        foreach (var host in hosts) host.RunLine($"network create --config-only --subnet 10.0.8.0/24 --ipam-driver {Plugin} web-config");
        hosts[0].RunLine($"network create -d {Plugin} --scope swarm --config-from web-config web");
        hosts[0].RunLine($"service create --detach --no-resolve-image --name www --network web --mode global --stop-grace-period 1s {DockerHost.Image} sleep 100000");
        foreach (var host in hosts) Wait.Until(() => TaskOf(host).Length > 0, "a task runs on each node", Patience, 200);
        // By the service's name each finds both, and reaches the other.
        string[] addresses = [.. hosts.Select(host => host.Inspect(TaskOf(host), "{{.NetworkSettings.Networks.web.IPAddress}}")).Order()];
        Assert.Equal(2, addresses.Distinct().Count());
        Wait.Until(() => addresses.All(hosts[0].Try("exec", TaskOf(hosts[0]), "nslookup", "-type=a", "tasks.www").Output.Contains), "all tasks are found", Patience, 200);
        foreach (var host in hosts)
            foreach (var address in addresses) host.WaitForPing(TaskOf(host), address);
        Assert.Equal("swarm", hosts[1].Run("network", "inspect", "web", "-f", "{{.Scope}}").Trim());

        hosts[0].RunLine("service rm www");
        foreach (var host in hosts) Wait.Until(() => TaskOf(host).Length == 0, "the tasks end", Patience, 200);
        hosts[0].RunLine("network rm web");
        foreach (var host in hosts) Wait.Until(() => host.Try("network", "inspect", "web").ExitCode != 0, "the network is gone", Patience, 200);
        foreach (var host in hosts) Wait.Until(() => !host.Host.Run("ip -o link show").Contains(": sl", StringComparison.Ordinal), "no link is left", Patience);
        // Docker lets go of a plugin that nothing uses; the daemon ends, and says nothing of faults.
        foreach (var host in hosts) host.RunLine($"plugin disable {Plugin}");
    }

    private static string TaskOf(DockerHost host) => host.RunLine("ps -q --filter label=com.docker.swarm.service.name=www").Trim();

    private static void Install(DockerHost host, string store)
    {
        File.WriteAllText($"{host.Folder}/etc/sleeve.yaml", $"store: {store}\n");
        Command.Run(["env", $"DOCKER_HOST=unix://{host.Folder}/docker.sock", Create, Plugin, SleeveProgram.Folder!], timeout: Packing).Ok();
        host.RunLine($"plugin set {Plugin} etc.source={host.Folder}/etc state.source={host.Folder}/state run.source={host.Folder} args=--local={host.Host.Address}");
        Assert.True(host.Try("plugin", "enable", Plugin) is { ExitCode: 0 }, host.SaidByPlugins);
    }
}
