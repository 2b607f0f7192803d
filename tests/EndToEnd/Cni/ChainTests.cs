using System.Text.Json.Nodes;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Cni;

/// <summary>The plugin together with the reference plugins, as they are packaged.</summary>
public sealed class ChainTests(ITestOutputHelper output) : CniTest(output)
{
    [SkippableFact]
    public void Portmap_bandwidth_tuning_and_firewall_work_behind_it()
    {
        RequirePlugins("portmap", "bandwidth", "tuning", "firewall");
        Requirements.Programs("iptables", "tc", "busybox");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        daemons[0].Host.InNamespace(static () => File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1"));
        var runtime = Runtime(daemons[0], isAlone: false);
        var plugins = runtime.Configuration["plugins"]!.AsArray();
        Assert.Equal("portmap", plugins[1]!["type"]!.GetValue<string>());
        plugins.Add(new JsonObject { ["type"] = "bandwidth", ["capabilities"] = new JsonObject { ["bandwidth"] = true } });
        plugins.Add(new JsonObject { ["type"] = "tuning", ["sysctl"] = new JsonObject { ["net.core.somaxconn"] = "500" } });
        plugins.Add(new JsonObject { ["type"] = "firewall", ["backend"] = "iptables" });
        runtime.Capabilities = new JsonObject
        {
            ["portMappings"] = new JsonArray(new JsonObject { ["hostPort"] = 8081, ["containerPort"] = 80, ["protocol"] = "tcp" }),
            ["bandwidth"] = new JsonObject { ["ingressRate"] = 100_000_000, ["ingressBurst"] = 10_000_000, ["egressRate"] = 100_000_000, ["egressBurst"] = 10_000_000 },
        };
        var container = Container(daemons[0]);
        var result = runtime.Add("web", PathOf(container)).Ok()!;
        Output.WriteLine(result.ToJsonString());
        Assert.Equal("500", In(container, "cat /proc/sys/net/core/somaxconn").Trim());
        var wire = result["interfaces"]![1]!["name"]!.GetValue<string>();
        Assert.Contains("tbf", daemons[0].Host.Run($"ip netns exec {daemons[0].Host.Namespace} tc qdisc show dev {wire}"), StringComparison.Ordinal);
        var page = NewFolder();
        File.WriteAllText($"{page}/index.html", "published\n");
        using var server = new BackgroundProcess(["ip", "netns", "exec", container, "busybox", "httpd", "-f", "-p", "80", "-h", page]);
        Wait.Until(() => Serves(daemons[1], 8081), "the port is published to other hosts", Patience, 200);
        // portmap of Debian 12 misses the rules of a family that the container has no address of.
        var whole = runtime.Configuration.DeepClone();
        plugins.RemoveAt(1);
        runtime.Check("web", PathOf(container)).Ok();
        runtime.Configuration = whole;
        runtime.Delete("web", PathOf(container)).Ok();
        runtime.Delete("web", PathOf(container)).Ok();
        Assert.DoesNotContain("8081", daemons[0].Host.Run($"ip netns exec {daemons[0].Host.Namespace} iptables-save"), StringComparison.Ordinal);
        Assert.Equal(0, EndpointsOf(daemons[0]));
    }

    [SkippableFact]
    public void Host_local_gives_addresses_and_routes()
    {
        RequirePlugins("host-local");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue").Ok();
        WaitForNetwork("blue", daemons[1]);
        var (one, two) = (WithRange(0), WithRange(1));
        var (here, there) = (Container(daemons[0]), Container(daemons[1]));
        var result = one.Add("a", PathOf(here)).Ok()!;
        Output.WriteLine(result.ToJsonString());
        Assert.Equal("10.90.0.10/24", result["ips"]![0]!["address"]!.GetValue<string>());
        Assert.Equal(["0.0.0.0/0", "192.0.2.0/24"], result["routes"]!.AsArray().Select(static each => each!["dst"]!.GetValue<string>()));
        Assert.Equal("9.9.9.9", result["dns"]!["nameservers"]![0]!.GetValue<string>());
        var routes = In(here, "ip route");
        Assert.Contains("default via 10.90.0.1 dev eth0", routes, StringComparison.Ordinal);
        Assert.Contains("192.0.2.0/24 via 10.90.0.9 dev eth0", routes, StringComparison.Ordinal);
        Assert.Contains("10.90.0.0/24 dev eth0", routes, StringComparison.Ordinal);
        Assert.Equal(["10.90.0.110"], AddressesOf(two.Add("b", PathOf(there)).Ok()));
        WaitForPing(here, "10.90.0.110");
        one.Check("a", PathOf(here)).Ok();

        // The same range on two hosts: the second is refused, and what was reserved for it is given back.
        var other = Container(daemons[1], 2);
        var collides = WithRange(0);
        var wrong = new CniRuntime(daemons[1].Host, [Install(daemons[1]).Binaries, ReferencePlugins], collides.Configuration.DeepClone());
        wrong.Configuration["plugins"]![0]!["socket"] = two.Configuration["plugins"]![0]!["socket"]!.DeepClone();
        var refused = wrong.Add("c", PathOf(other));
        Assert.Equal(100, refused.Code);
        Assert.Contains("is taken: endpoint", refused.Text, StringComparison.Ordinal);
        Assert.Empty(Leases(wrong));
        wrong.Delete("c", PathOf(other)).Ok();

        Assert.NotEmpty(Leases(one));
        one.Delete("a", PathOf(here)).Ok();
        one.Delete("a", "").Ok();
        Assert.Empty(Leases(one));
        two.Delete("b", PathOf(there)).Ok();
        AuditFindsNothing(daemons[0]);

        CniRuntime WithRange(int host)
        {
            var runtime = Runtime(daemons[host]);
            runtime.Configuration["plugins"]![0]!["ipam"] = new JsonObject
            {
                ["type"] = "host-local", ["dataDir"] = NewFolder(),
                ["ranges"] = new JsonArray(new JsonArray(new JsonObject { ["subnet"] = "10.90.0.0/24", ["gateway"] = "10.90.0.1", ["rangeStart"] = $"10.90.0.{(host * 100) + 10}", ["rangeEnd"] = $"10.90.0.{(host * 100) + 99}" })),
                ["routes"] = new JsonArray(new JsonObject { ["dst"] = "0.0.0.0/0" }, new JsonObject { ["dst"] = "192.0.2.0/24", ["gw"] = "10.90.0.9" }),
                ["resolvConf"] = ResolvConf(),
            };
            return runtime;
        }
    }

    [SkippableFact]
    public void Dhcp_gives_addresses_that_other_hosts_know()
    {
        RequirePlugins("dhcp");
        Requirements.Programs("dnsmasq");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue").Ok();
        WaitForNetwork("blue", daemons[1]);
        var runtime = Runtime(daemons[0]);
        var folder = NewFolder();
        runtime.Configuration["plugins"]![0]!["ipam"] = new JsonObject { ["type"] = "dhcp", ["daemonSocketPath"] = $"{folder}/dhcp.sock" };
        var (server, container, other) = (Container(daemons[0], 1), Container(daemons[0], 2), Container(daemons[1]));
        Attach(daemons[0], "blue", server, "10.77.0.1");
        Attach(daemons[1], "blue", other, "10.77.0.2");
        Command.Run(["ip", "-n", server, "address", "add", "10.77.0.1/24", "dev", "eth0"]).Ok();
        Command.Run(["ip", "-n", other, "address", "add", "10.77.0.2/24", "dev", "eth0"]).Ok();
        // Without its daemon nothing is left.
        var refused = runtime.Add("c", PathOf(container));
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Equal(1, EndpointsOf(daemons[0]));
        using var leases = new BackgroundProcess(["nsenter", $"--net=/run/netns/{daemons[0].Host.Namespace}", $"{ReferencePlugins}/dhcp", "daemon", "-socketpath", $"{folder}/dhcp.sock"]);
        using var dnsmasq = new BackgroundProcess(["ip", "netns", "exec", server, "dnsmasq", "-k", "-p", "0", "-C", "/dev/null", "--leasefile-ro", "-u", "root", "--no-ping", "-i", "eth0", "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0", "--dhcp-option=3,10.77.0.1"]);
        Wait.Until(() => File.Exists($"{folder}/dhcp.sock"), "the DHCP plugin's daemon listens", Patience);
        var result = runtime.Add("c", PathOf(container)).Ok()!;
        Output.WriteLine(result.ToJsonString());
        var address = AddressesOf(result).Single();
        Assert.StartsWith("10.77.0.", address, StringComparison.Ordinal);
        WaitForPing(other, address);
        WaitForPing(container, "10.77.0.2");
        runtime.Delete("c", PathOf(container)).Ok();
        Assert.Equal(1, EndpointsOf(daemons[0]));
    }

    private string ResolvConf()
    {
        var path = Path.Combine(NewFolder(), "resolv.conf");
        File.WriteAllText(path, "nameserver 9.9.9.9\n");
        return path;
    }

    private static string[] Leases(CniRuntime runtime)
    {
        var folder = Path.Combine(runtime.Configuration["plugins"]![0]!["ipam"]!["dataDir"]!.GetValue<string>(), "blue");
        return Directory.Exists(folder) ? [.. Directory.GetFiles(folder).Select(static path => Path.GetFileName(path)!).Where(static name => name.StartsWith("10.", StringComparison.Ordinal))] : [];
    }
}
