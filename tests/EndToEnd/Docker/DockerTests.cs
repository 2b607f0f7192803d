using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Docker;

/// <summary>Two or three hosts, each with the real dockerd and a sleeve daemon as its driver.</summary>
public sealed class DockerTests(ITestOutputHelper output) : DockerTest(output)
{
    [SkippableFact]
    public void A_network_made_on_one_host_is_used_on_all_and_containers_find_each_other_by_name()
    {
        var hosts = GivenDockers(3);
        hosts[0].RunLine("network create -d sleeve --subnet=10.0.2.0/24 overlay-net");
        foreach (var host in hosts[1..]) host.WaitForNetwork("overlay-net");
        hosts[0].RunContainer("app1", "overlay-net");
        hosts[1].RunContainer("app2", "overlay-net", "--network-alias", "db");
        hosts[1].WaitForPing("app2", "app1");
        hosts[0].WaitForPing("app1", "app2");
        hosts[0].WaitForPing("app1", "db");
        hosts[2].RunContainer("third", "overlay-net");
        hosts[2].WaitForPing("third", "app1");
        hosts[1].WaitForPing("app2", "third");
        hosts[2].RunLine("rm -f third");
        Assert.Contains("mtu 1450", hosts[1].RunLine("exec app2 ip link show eth0"), StringComparison.Ordinal);
        var inspected = hosts[1].Run("network", "inspect", "overlay-net", "-f", "{{json .Containers}}");
        using var containers = JsonDocument.Parse(inspected);
        var app2 = Assert.Single(containers.RootElement.EnumerateObject()).Value;
        Assert.Equal("app2", app2.GetProperty("Name").GetString());
        Assert.StartsWith("10.0.2.", app2.GetProperty("IPv4Address").GetString(), StringComparison.Ordinal);

        // The outside is reached by the usual bridge, and a published port from it.
        Assert.Contains("default via", hosts[1].RunLine("exec app2 ip route"), StringComparison.Ordinal);
        hosts[1].WaitForPing("app2", $"{hosts[0].Host.Address}");
        hosts[0].RunContainer("web", "overlay-net", "-p", "8080:80");
        hosts[0].Run("exec", "-d", "web", "sh", "-c", "echo hello > /tmp/index.html; httpd -p 80 -h /tmp");
        Wait.Until(() => Command.Run(["ip", "netns", "exec", hosts[1].Host.Namespace, "busybox", "wget", "-q", "-O", "-", $"http://{hosts[0].Host.Address}:8080/"]).Output == "hello\n", "a published port answers", Patience);

        // While containers are in it anywhere, it stays; then it goes on all hosts.
        hosts[0].RunLine("rm -f app1 web");
        // dockerd removes a network whatever its driver says; it is made again here, as it is there.
        hosts[0].RunLine("network rm overlay-net");
        hosts[0].Sleeve.WaitForText("overlay-net: stays, and is made again here: network overlay-net: has endpoints");
        hosts[0].WaitForNetwork("overlay-net");
        hosts[0].RunContainer("app3", "overlay-net");
        hosts[0].WaitForPing("app3", "app2");
        hosts[0].RunLine("rm -f app3");
        hosts[1].RunLine("rm -f app2");
        hosts[0].RunLine("network rm overlay-net");
        Wait.Until(() => hosts[1..].All(static host => host.Try("network", "inspect", "overlay-net").ExitCode != 0), "it is gone on the other hosts", Patience, 100);
        NothingIsLeft(hosts);
    }

    [SkippableFact]
    public void Networks_are_isolated_and_a_disconnected_container_is_out_within_a_second()
    {
        var hosts = GivenDockers();
        // With addresses of Docker's own choice, and of ours.
        hosts[0].RunLine("network create -d sleeve --subnet 10.11.0.0/24 frontend");
        hosts[1].RunLine("network create -d sleeve --ipam-driver sleeve backend");
        hosts[1].WaitForNetwork("frontend");
        hosts[0].WaitForNetwork("backend");
        hosts[0].RunContainer("ins01", "frontend");
        hosts[1].RunContainer("ins02", "frontend");
        hosts[1].RunLine("network connect backend ins02");
        hosts[0].RunContainer("ins03", "backend");
        hosts[0].WaitForPing("ins01", "ins02");
        hosts[1].WaitForPing("ins02", "ins03");
        // By address: a name that is not found is asked of the host's resolvers, and there are none.
        Assert.False(hosts[0].Pings("ins01", AddressOf(hosts[0], "ins03", "backend")));
        Assert.True(hosts[1].Pings("ins02", "ins01"));
        Assert.False(hosts[0].Pings("ins03", AddressOf(hosts[0], "ins01", "frontend")));
        hosts[0].WaitForPing("ins03", "ins02");

        var address = AddressOf(hosts[1], "ins02", "backend");
        hosts[1].RunLine("network disconnect backend ins02");
        Wait.Until(() => !hosts[0].Pings("ins03", address), "ins02 is out", TimeSpan.FromSeconds(5));
        Assert.True(hosts[0].Pings("ins01", "ins02"));
        foreach (var host in hosts) AuditFindsNothing(host.Sleeve);
    }

    [SkippableFact]
    public void What_is_said_at_creation_holds_on_all_hosts()
    {
        var hosts = GivenDockers();
        hosts[0].RunLine("network create -d sleeve --subnet 10.50.0.0/16 --gateway 10.50.0.254 --ip-range 10.50.5.0/24 --aux-address dns=10.50.5.9 -o vni=4242 -o mtu=1400 --label tenant=a --ipv6 --subnet fd00:50::/64 --gateway fd00:50::1 --internal blue");
        hosts[1].WaitForNetwork("blue");
        var network = hosts[1].Sleeve.Get("networks/blue");
        Assert.Equal(4242, network.GetProperty("vni").GetInt32());
        hosts[0].RunContainer("one", "blue", "--ip", "10.50.5.77", "--ip6", "fd00:50::77", "--mac-address", "02:11:22:33:44:55");
        hosts[1].RunContainer("two", "blue");
        hosts[1].WaitForPing("two", "10.50.5.77");
        hosts[1].WaitForPing("two", "fd00:50::77");
        hosts[1].WaitForPing("two", "one");
        var one = hosts[0].RunLine("exec one ip addr show eth0");
        Assert.Contains("02:11:22:33:44:55", one, StringComparison.Ordinal);
        Assert.Contains("mtu 1400", one, StringComparison.Ordinal);
        // Internal: no way out. The other host has chosen where Docker of the first does not.
        Assert.DoesNotContain("default", hosts[0].RunLine("exec one ip route"), StringComparison.Ordinal);
        Assert.DoesNotContain("default", hosts[1].RunLine("exec two ip route"), StringComparison.Ordinal);
        Assert.StartsWith("10.50.128.", AddressOf(hosts[1], "two", "blue"), StringComparison.Ordinal);
        Assert.Contains(hosts[1].Sleeve.Get("ipam/blue")[0].GetProperty("reserved_list").EnumerateArray(), static each => each.GetProperty("address").GetString() == "10.50.5.9");

        // An address that is another host's is refused with whose it is, and nothing is left of the attempt.
        var twice = hosts[1].Try("run", "-d", "--name", "three", "--network", "blue", "--ip", "10.50.5.77", DockerHost.Image, "sleep", "1000");
        Assert.NotEqual(0, twice.ExitCode);
        Assert.Contains("address 10.50.5.77: is taken", twice.Error, StringComparison.Ordinal);
        hosts[1].RunLine("rm -f three");
        foreach (var (words, said) in new[]
        {
            ("-o vni=0", "-o vni=0: must be 1 to 16777215"), ("-o mtu=1", "-o mtu=1: must be"), ("-o colour=red", "-o colour: unknown; must be one of network, vni, mtu"), ("-o vni=4242", "--vni 4242: is that of network blue"),
            ("--ipam-driver sleeve --ipam-opt network=nowhere", "network nowhere: there is none"),
        })
        {
            var refused = hosts[0].Try(Command.Split($"network create -d sleeve {words} bad"));
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains(said, refused.Error, StringComparison.Ordinal);
        }

        // A network of the cluster is one of Docker's as well, which does not remove it.
        hosts[0].Sleeve.Run("net create green --subnet 10.60.0.0/24").Ok();
        hosts[1].WaitForNetwork("green");
        hosts[1].RunContainer("four", "green");
        Assert.Equal("10.60.0.2", AddressOf(hosts[1], "four", "green"));
        hosts[1].RunLine("rm -f four");
        hosts[1].RunLine("network rm green");
        hosts[1].Sleeve.WaitForText("green: stays, and is made again here: network green: was not made by Docker");
        hosts[1].WaitForNetwork("green");
        hosts[0].RunLine("rm -f one");
        hosts[1].RunLine("rm -f two");
        hosts[0].RunLine("network rm blue");
        hosts[0].Sleeve.Run("net rm green").Ok();
        NothingIsLeft(hosts);
    }
}
