using System.Text.Json.Nodes;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Cni;

/// <summary>The CNI plugin, called as libcni calls plugins, over hosts with a daemon each.</summary>
public sealed class PluginTests(ITestOutputHelper output) : CniTest(output)
{
    private static readonly string[] Versions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

    [SkippableFact]
    public void Containers_on_two_hosts_reach_each_other_whatever_the_version()
    {
        var (_, daemons) = GivenCluster(2);
        // The first ADD makes the network.
        var (one, two) = (Runtime(daemons[0], "--network blue --subnet 10.1.0.0/24 --subnet fd00:1::/64 --vni 5000"), Runtime(daemons[1], "--network blue --subnet 10.1.0.0/24 --subnet fd00:1::/64 --vni 5000"));
        var (here, there) = (Container(daemons[0]), Container(daemons[1]));
        two.Arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=db-0";
        var far = AddressesOf(two.Add("far", PathOf(there)).Ok());
        foreach (var version in Versions)
        {
            one.Configuration["cniVersion"] = version;
            var result = one.Add("near", PathOf(here)).Ok()!;
            Output.WriteLine(result.ToJsonString());
            Assert.Equal(version, result["cniVersion"]!.GetValue<string>());
            Assert.Equal(["slbr-5000", "slv", "eth0"], result["interfaces"]!.AsArray().Select(static each => each!["name"]!.GetValue<string>() is var name && name.StartsWith("slv", StringComparison.Ordinal) ? "slv" : name));
            Assert.Equal(PathOf(here), result["interfaces"]![2]!["sandbox"]!.GetValue<string>());
            Assert.Equal(version == "1.1.0", result["interfaces"]![2]!["mtu"] is not null);
            Assert.All(result["ips"]!.AsArray(), each => Assert.Equal(version is "0.3.1" or "0.4.0", each!["version"] is not null));
            Assert.All(result["ips"]!.AsArray(), static each => Assert.Equal(2, each!["interface"]!.GetValue<int>()));
            Assert.Equal(["0.0.0.0/0", "::/0"], result["routes"]!.AsArray().Select(static each => each!["dst"]!.GetValue<string>()));
            Assert.Contains("10.1.0.1", result["dns"]!["nameservers"]!.AsArray().Select(static each => each!.GetValue<string>()));
            Assert.Equal("blue.sleeve", result["dns"]!["search"]![0]!.GetValue<string>());
            foreach (var address in far) WaitForPing(here, address);
            // Once more is as once.
            Assert.Equal(AddressesOf(result), AddressesOf(one.Add("near", PathOf(here)).Ok()));
            if (version == "0.3.1") Assert.Equal(1, one.Check("near", PathOf(here)).Code);
            else one.Check("near", PathOf(here)).Ok();
            one.Delete("near", PathOf(here)).Ok();
            one.Delete("near", "").Ok();
            Assert.DoesNotContain("eth0", In(here, "ip -o link show"), StringComparison.Ordinal);
            Assert.Equal(0, EndpointsOf(daemons[0]));
        }

        Assert.Equal(far, [.. daemons[0].Run("names blue db-0").Ok().Trim().Split('\n')]);
        two.Delete("far", PathOf(there)).Ok();
        AuditFindsNothing(daemons[0]);
    }

    [SkippableFact]
    public void What_is_asked_for_is_had_and_a_container_may_be_in_several_networks()
    {
        var (_, daemons) = GivenCluster(1);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        daemons[0].Run("net create green --subnet 10.2.0.0/24").Ok();
        var (blue, green) = (Runtime(daemons[0]), Runtime(daemons[0], "--network green"));
        var container = Container(daemons[0]);
        // As podman says it, and as a runtime with capabilities does: twice is no contradiction.
        blue.Arguments = "IgnoreUnknown=1;K8S_POD_NAME=web;MAC=02:aa:bb:cc:dd:01;IP=10.1.0.77";
        blue.Capabilities = new JsonObject { ["ips"] = new JsonArray("10.1.0.77/24"), ["mac"] = "02:aa:bb:cc:dd:01", ["aliases"] = new JsonObject { ["blue"] = new JsonArray("www", "0123456789ab") } };
        var first = blue.Add("c1", PathOf(container)).Ok()!;
        Assert.Equal(["10.1.0.77"], AddressesOf(first));
        Assert.Equal("02:aa:bb:cc:dd:01", first["interfaces"]![2]!["mac"]!.GetValue<string>());
        Assert.Equal("10.1.0.77", daemons[0].Run("names blue www").Ok().Trim());
        // The first network has the default route, and keeps it.
        var second = green.Add("c1", PathOf(container), "net1").Ok()!;
        Assert.Null(second["routes"]);
        Assert.Equal("10.2.0.1", second["ips"]![0]!["gateway"]!.GetValue<string>());
        Assert.Contains("default via 10.1.0.1 dev eth0", In(container, "ip route"), StringComparison.Ordinal);
        blue.Check("c1", PathOf(container)).Ok();
        green.Check("c1", PathOf(container), "net1").Ok();

        // What others have is refused, and leaves nothing.
        var other = Container(daemons[0], 2);
        blue.Capabilities = [];
        var taken = blue.Add("c2", PathOf(other));
        Assert.Equal(100, taken.Code);
        Assert.Contains("is taken", taken.Text, StringComparison.Ordinal);
        blue.Delete("c2", PathOf(other)).Ok();
        blue.Arguments = "";
        Assert.Equal(3, blue.Add("c2", "/run/netns/none-of-that-name").Code);
        Assert.Equal(2, EndpointsOf(daemons[0]));

        // A container that another plugin of the chain has wired needs another name.
        var chained = Runtime(daemons[0], "--network green");
        chained.Configuration["plugins"]![0]!["prevResult"] = first.DeepClone();
        Assert.Equal(7, chained.Add("c1", PathOf(container)).Code);
        chained.Configuration["plugins"]![0]!["ifname"] = "net2";
        var both = chained.Add("c1", PathOf(container)).Ok()!;
        Assert.Equal(6, both["interfaces"]!.AsArray().Count);
        Assert.Equal([2, 5], both["ips"]!.AsArray().Select(static each => each!["interface"]!.GetValue<int>()));
        chained.Delete("c1", PathOf(container)).Ok();
        green.Delete("c1", PathOf(container), "net1").Ok();
        blue.Delete("c1", PathOf(container)).Ok();
        Assert.Equal(0, EndpointsOf(daemons[0]));
    }

    [SkippableFact]
    public void A_hundred_at_once_do_not_collide()
    {
        const int Count = 100;
        var (_, daemons) = GivenCluster(1);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        var runtime = Runtime(daemons[0]);
        var containers = Enumerable.Range(1, Count).Select(number => Container(daemons[0], number)).ToArray();
        var results = new CniAnswer[Count];
        var threads = Enumerable.Range(0, Count).Select(i => new Thread(() => results[i] = runtime.Add($"c{i}", PathOf(containers[i])))).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        Assert.Equal(Count, results.Select(static each => AddressesOf(each.Ok()).Single()).Distinct().Count());
        Assert.Equal(Count, results.Select(static each => each.Json!["interfaces"]![2]!["mac"]!.GetValue<string>()).Distinct().Count());
        WaitForPing(containers[0], AddressesOf(results[Count - 1].Json).Single());
        // All of them are gone behind its back: what has no namespace is withdrawn without a DEL.
        foreach (var container in containers.Skip(3)) EndContainer(container);
        Wait.Until(() => EndpointsOf(daemons[0]) == 3, "what has no namespace is withdrawn", Patience, 200);
        runtime.Configuration["cniVersion"] = "1.1.0";
        runtime.Tell("GC").Ok();
        Assert.Equal(3, EndpointsOf(daemons[0]));
        runtime.Tell("GC", new JsonObject { ["cni.dev/valid-attachments"] = new JsonArray(new JsonObject { ["containerID"] = "c1", ["ifname"] = "eth0" }) }).Ok();
        Assert.Equal(1, EndpointsOf(daemons[0]));
        Assert.Contains("eth0", In(containers[1], "ip -o link show"), StringComparison.Ordinal);
        runtime.Tell("GC", new JsonObject { ["cni.dev/valid-attachments"] = new JsonArray() }).Ok();
        Assert.Equal(0, EndpointsOf(daemons[0]));
    }

    [SkippableFact]
    public void DEL_is_done_after_a_crash_and_the_status_says_what_is_wrong()
    {
        var (_, daemons) = GivenCluster(1);
        var daemon = daemons[0];
        daemon.Run("net create blue --subnet 10.1.0.0/24").Ok();
        var runtime = Runtime(daemon);
        runtime.Configuration["cniVersion"] = "1.1.0";
        var (gone, stays) = (Container(daemon, 1), Container(daemon, 2));
        runtime.Add("gone", PathOf(gone)).Ok();
        runtime.Add("stays", PathOf(stays)).Ok();
        runtime.Tell("STATUS").Ok();
        // What CHECK compares.
        Command.Run(["ip", "-n", stays, "route", "del", "default"]).Ok();
        Assert.Contains("has lost the default route", runtime.Check("stays", PathOf(stays)).Text, StringComparison.Ordinal);
        Command.Run(["ip", "-n", stays, "address", "flush", "dev", "eth0"]).Ok();
        Assert.Equal(101, runtime.Check("stays", PathOf(stays)).Code);
        Assert.Equal(3, runtime.Check("nobody", PathOf(stays)).ExitCode == 0 ? 0 : runtime.Call("sleeve", "CHECK", runtime.Configuration["plugins"]![0]!.DeepClone() is var plugin
            ? new JsonObject { ["cniVersion"] = "1.1.0", ["name"] = "blue", ["type"] = "sleeve", ["socket"] = plugin["socket"]?.DeepClone(), ["prevResult"] = new JsonObject() }.ToJsonString() : "", "nobody", PathOf(stays), "eth0").Code);

        daemon.Kill();
        Assert.Equal(51, runtime.Tell("STATUS").Code);
        Assert.Equal(11, runtime.Add("more", PathOf(stays), "eth1").Code);
        // The wire of one is there, that of the other went with its namespace.
        Assert.Equal(11, runtime.Delete("stays", PathOf(stays)).Code);
        EndContainer(gone);
        runtime.Delete("gone", PathOf(gone)).Ok();
        daemon.Start();
        Wait.Until(() => EndpointsOf(daemon) == 1, "the one without a namespace is withdrawn", Patience);
        runtime.Delete("stays", PathOf(stays)).Ok();
        runtime.Delete("stays", PathOf(stays)).Ok();
        runtime.Delete("stays", "").Ok();
        Assert.Equal(0, EndpointsOf(daemon));
        // A network that nobody made.
        var nowhere = Runtime(daemon, "--network nowhere");
        nowhere.Configuration["cniVersion"] = "1.1.0";
        Assert.Equal(50, nowhere.Tell("STATUS").Code);
        Assert.Equal(7, nowhere.Add("c", PathOf(stays)).Code);
        nowhere.Delete("c", PathOf(stays)).Ok();
        AuditFindsNothing(daemon);
    }
}
