using System.Globalization;
using System.Net;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>
/// Networks with a subnet per host and routes between them, among hosts of Sleeve and with kernel hosts that are set up by hand as flannel and Calico do.
/// <code>
///    pod ── slbr-VNI ── a: sl-VNI, u0 ── switch ── u0, sl-VNI :b ── slbr-VNI ── pod
///                                          └── u0, flannel.1 or vxlan.calico :k ── cni0 ── pod
/// </code>
/// </summary>
public sealed class RoutedTests(ITestOutputHelper output) : ClusterTest(output)
{
    private const int TransferBytes = 20_000_000;
    private const string Etcd = "http://10.0.0.254:2379";

    [SkippableFact]
    public void Hosts_with_a_subnet_each_have_one_route_one_neighbour_and_one_entry_a_host()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create pods mode routed subnet 10.244.0.0/16 block 24 vni 5001").Ok();
        WaitForNetwork(daemons[1], "pods");
        var (one, oneAddress) = Pod(daemons[0], "pods", "--name app1");
        var (other, otherAddress) = Pod(daemons[1], "pods", "--name app2");
        Wait.Until(() => OwnRoutes(daemons[0].Host).Length == 1 && OwnRoutes(daemons[1].Host).Length == 1, "each host has a route to the other's subnet", Patience);
        Assert.EndsWith($" via {SubnetOf(otherAddress)}.0 dev sl-5001 onlink", OwnRoutes(daemons[0].Host)[0], StringComparison.Ordinal);
        Assert.Single(Lines(daemons[0].Host.Run("ip neigh show dev sl-5001 nud permanent")));
        Assert.Equal($"{daemons[1].Host.Address}", $"{Assert.Single(daemons[0].Fdb("sl-5001")).Destination}");
        Traffic.WaitForPing(one, otherAddress);
        Traffic.WaitForPing(daemons[0].Host, otherAddress);
        Traffic.TransferByTcp(one, other, otherAddress, TransferBytes);
        Traffic.TransferByTcp(other, one, oneAddress, TransferBytes);
        Wait.Until(() => Pings(other.Namespace, "app1"), "app2 pings app1 by name", Patience);
        AuditFindsNothing(daemons[0]);
        daemons[0].Host.Run($"ip route del {SubnetOf(otherAddress)}.0/24 proto 83");
        Wait.Until(() => OwnRoutes(daemons[0].Host).Length == 1, "a route that somebody removed is put back", Patience);

        // Whoever sends to a dead host is told at once: there is no route.
        daemons[1].Kill();
        Wait.Until(() => OwnRoutes(daemons[0].Host).Length == 0, "the route to a dead host goes", Patience);
        daemons[1].Start();
        Wait.Until(() => OwnRoutes(daemons[0].Host).Length == 1, "and comes back with it", Patience);
        Wait.Until(() => Traffic.Ping(other, oneAddress, 1) == 1, "what was attached goes on", Patience);
        AuditFindsNothing(daemons[1]);
        Assert.NotEqual(0, daemons[0].Run("net rm pods").ExitCode);
        daemons[0].Run($"detach pods {one.Namespace}").Ok();
        daemons[1].Run($"detach pods {other.Namespace}").Ok();
        foreach (var daemon in daemons)
        {
            Assert.Empty(OwnRoutes(daemon.Host));
            Assert.Empty(daemon.Segments);
        }

        daemons[1].Run("net rm pods").Ok();
    }

    [SkippableFact]
    public void Hosts_on_one_layer_2_send_without_encapsulation_and_fall_back_by_themselves()
    {
        var (middle, daemons) = GivenCluster(2);
        var router = Join(middle, "r");
        daemons[0].Run("net create pods mode routed subnet 10.244.0.0/16 block 24 direct vni 5001").Ok();
        WaitForNetwork(daemons[1], "pods");
        var (one, oneAddress) = Pod(daemons[0], "pods");
        var (other, otherAddress) = Pod(daemons[1], "pods");
        var (a, b) = (daemons[0].Host, daemons[1].Host);
        Wait.Until(() => OwnRoutes(a).Length == 1 && OwnRoutes(b).Length == 1, "each host has a route to the other's subnet", Patience);
        Assert.EndsWith($" via {b.Address} dev u0 onlink", OwnRoutes(a)[0], StringComparison.Ordinal);
        Traffic.WaitForPing(one, otherAddress);
        var before = ReceivedBy(daemons[1]);
        Traffic.TransferByTcp(one, other, otherAddress, TransferBytes);
        Assert.Equal(before, ReceivedBy(daemons[1]));

        // A router comes between them on one side, and goes.
        a.Run($"ip route add {b.Address}/32 via {router.Address} dev u0");
        Wait.Until(() => OwnRoutes(a).Single().Contains(" dev sl-5001", StringComparison.Ordinal), "the route leads by VXLAN", Patience);
        Traffic.WaitForPing(one, otherAddress);
        Assert.True(ReceivedBy(daemons[1]) > before);
        Traffic.WaitForPing(other, oneAddress);
        AuditFindsNothing(daemons[0]);
        a.Run($"ip route del {b.Address}/32 via {router.Address} dev u0");
        Wait.Until(() => OwnRoutes(a).Single().Contains(" dev u0", StringComparison.Ordinal), "the route leads to the neighbour again", Patience);

        // Direct routes outlive the daemon; what they lead to may not.
        daemons[1].Kill();
        Assert.Single(OwnRoutes(b));
        Assert.True(Traffic.Ping(other, oneAddress, 1) <= 1);
        b.Run($"ip route add 10.244.200.0/24 via {a.Address} dev u0 onlink proto 83");
        b.Run($"ip route del {SubnetOf(oneAddress)}.0/24 proto 83");
        daemons[1].Start();
        Wait.Until(() => OwnRoutes(b) is [var only] && only.StartsWith($"{SubnetOf(oneAddress)}.0/24 ", StringComparison.Ordinal), "what the run before left is put right", Patience);
        Traffic.WaitForPing(other, oneAddress);
        AuditFindsNothing(daemons[1]);
        daemons[1].Kill();
        Assert.Single(OwnRoutes(b));
        daemons[1].Run($"purge --state {daemons[1].StateFolder}").Ok();
        Assert.Empty(OwnRoutes(b));
        daemons[0].Run($"detach pods {one.Namespace}").Ok();
        Assert.Empty(OwnRoutes(a));
    }

    [SkippableFact]
    public void A_kernel_host_as_of_Calico_is_entered_by_hand_and_reached_in_both_directions()
    {
        var (middle, daemons) = GivenCluster(2);
        var kernel = GivenKernelHost(middle, "vxlan.calico", vni: 4096, port: 4789, "10.244.7");
        daemons[0].Run("net create pods mode routed subnet 10.244.0.0/16 block 26 vni 4096").Ok();
        daemons[0].Run($"net member add pods {kernel.Host.Name} vtep {kernel.Host.Address} mac {kernel.Mac} subnet 10.244.7.0/26").Ok();
        Assert.Contains("must lie in 10.244.0.0/16", daemons[0].Run($"net member add pods x vtep 10.0.0.9 mac {kernel.Mac} subnet 10.9.0.0/26").Error, StringComparison.Ordinal);
        WaitForNetwork(daemons[1], "pods");
        foreach (var daemon in daemons)
        {
            var (pod, address) = Pod(daemon, "pods");
            var mac = daemon.Host.MacOf("sl-4096");
            var block = new IPAddress([.. address.GetAddressBytes()[..3], (byte)(address.GetAddressBytes()[3] & 0xC0)]);
            Assert.NotEqual("10.244.7.0", $"{block}");
            kernel.Learn($"{block}/26", $"{block}", mac, daemon.Host.Address);
            Traffic.WaitForPing(pod, kernel.Address);
            Traffic.WaitForPing(kernel.Pod, address);
            Traffic.TransferByTcp(pod, kernel.Pod, kernel.Address, TransferBytes);
            Traffic.TransferByTcp(kernel.Pod, pod, address, TransferBytes);
        }

        Assert.Equal(2, OwnRoutes(daemons[0].Host).Length);
        Assert.Contains("by hand", daemons[1].Run("net inspect pods").Ok(), StringComparison.Ordinal);
        AuditFindsNothing(daemons[1]);
        daemons[1].Run($"net member del pods {kernel.Host.Name}").Ok();
        Wait.Until(() => OwnRoutes(daemons[0].Host).Length == 1, "the route to a host that was taken out goes", Patience);
    }

    [SkippableFact]
    public void Kernel_hosts_as_of_flannel_are_found_by_the_keys_of_flannel_and_find_this_one()
    {
        Requirements.Programs("etcd", "etcdctl");
        var lab = NewLab();
        var a = lab.AddHost("a");
        var middle = lab.JoinBySwitch(a);
        middle.Run("ip addr add 10.0.0.254/24 dev br0");
        var folder = Directory.CreateTempSubdirectory("sleeve-etcd-").FullName;
        try
        {
            middle.Start("etcd", "--data-dir", folder, "--listen-client-urls", Etcd, "--advertise-client-urls", Etcd, "--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "error");
            Wait.Until(() => middle.Try(["etcdctl", $"--endpoints={Etcd}", "endpoint", "health"]).ExitCode == 0, "etcd is there", Patience);
            Put(middle, "config", """{"Network":"10.244.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"Port":8472}}""");
            // It has the subnet that would be chosen first.
            var kernel = GivenKernelHost(middle, "flannel.1", vni: 1, port: 8472, "10.244.0");
            Announce(middle, kernel, timeToLive: 3600);
            var daemon = SleeveDaemon.MakeMember(a, "store: etcd://10.0.0.254:2379\ndstport: 8472\n").Start();
            daemon.Run("net create pods flannel /coreos.com/network").Ok();
            var (pod, address) = Pod(daemon, "pods");
            Assert.NotEqual("10.244.0", SubnetOf(address));

            // What a kernel host does that reads the keys.
            var (key, value) = Leases(middle).Single(each => each.Key.Contains(SubnetOf(address), StringComparison.Ordinal));
            Assert.Equal($"/coreos.com/network/subnets/{SubnetOf(address)}.0-24", key);
            using var lease = JsonDocument.Parse(value);
            Assert.Equal(1, lease.RootElement.GetProperty("BackendData").GetProperty("VNI").GetInt32());
            kernel.Learn(
                $"{SubnetOf(address)}.0/24", $"{SubnetOf(address)}.0", lease.RootElement.GetProperty("BackendData").GetProperty("VtepMAC").GetString()!,
                IPAddress.Parse(lease.RootElement.GetProperty("PublicIP").GetString()!));
            Traffic.WaitForPing(pod, kernel.Address);
            Traffic.WaitForPing(kernel.Pod, address);
            Traffic.TransferByTcp(pod, kernel.Pod, kernel.Address, TransferBytes);
            Traffic.TransferByTcp(kernel.Pod, pod, address, TransferBytes);
            Assert.Contains("by flannel", daemon.Run("net inspect pods").Ok(), StringComparison.Ordinal);
            AuditFindsNothing(daemon);

            // A lease that is not kept alive ends, and the route with it.
            Announce(middle, kernel, timeToLive: 2);
            Wait.Until(() => OwnRoutes(a).Length == 0, "the route goes with the lease", Patience);
            Announce(middle, kernel, timeToLive: 3600);
            Wait.Until(() => OwnRoutes(a).Length == 1, "and comes back with the next", Patience);

            // The subnet outlives the daemon, and goes with the last endpoint.
            daemon.Kill();
            daemon.Start();
            Wait.Until(() => Traffic.Ping(pod, kernel.Address, 1) == 1, "what was attached goes on", Patience);
            Assert.Equal(2, Leases(middle).Count);
            daemon.Run($"detach pods {pod.Namespace}").Ok();
            Assert.Single(Leases(middle));
            Assert.Empty(OwnRoutes(a));
        }
        finally
        {
            lab.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void WaitForNetwork(SleeveDaemon daemon, string network) =>
        Wait.Until(() => daemon.Run("net ls").Output.Contains(network, StringComparison.Ordinal), "the other host knows the network", Patience);

    private static (Host Pod, IPAddress Address) Pod(SleeveDaemon daemon, string network, string more = "")
    {
        var pod = daemon.Host.Lab.AddHost($"p{daemon.Host.Name}");
        return (pod, Attach(daemon, network, pod.Namespace, more).Single());
    }

    private static string SubnetOf(IPAddress address) => string.Join('.', address.ToString().Split('.')[..3]);

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string[] OwnRoutes(Host host) => Lines(host.Run("ip route show proto 83"));

    private static long ReceivedBy(SleeveDaemon daemon) => SleeveStats.Read(daemon.Run("stats --json").Ok()).Counter("datagrams_received");

    private static Host Join(Host middle, string name)
    {
        var host = middle.Lab.AddHost(name);
        host.Run($"ip link add {Host.UnderlayDevice} type veth peer name p{host.Number} netns {middle.Namespace}");
        middle.Run($"ip link set p{host.Number} master br0 up");
        host.Run($"ip addr add {host.Address}/24 dev {Host.UnderlayDevice}");
        host.Run($"ip link set {Host.UnderlayDevice} up");
        host.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1"));
        return host;
    }

    private static KernelHost GivenKernelHost(Host middle, string device, int vni, int port, string subnet)
    {
        var host = Join(middle, "k");
        host.Run(string.Create(CultureInfo.InvariantCulture, $"ip link add {device} type vxlan id {vni} dstport {port} local {host.Address} dev {Host.UnderlayDevice} nolearning"));
        host.Run($"ip addr add {subnet}.0/32 dev {device}");
        host.Run($"ip link set {device} up");
        host.Run("ip link add cni0 type bridge");
        host.Run($"ip addr add {subnet}.1/26 dev cni0");
        host.Run("ip link set cni0 up");
        var pod = middle.Lab.AddHost("pk");
        host.Run($"ip link add veth0 mtu 1450 type veth peer name eth0 netns {pod.Namespace}");
        host.Run("ip link set veth0 master cni0 up");
        pod.Run($"ip addr add {subnet}.2/26 dev eth0");
        pod.Run("ip link set eth0 mtu 1450 up");
        pod.Run($"ip route add default via {subnet}.1");
        return new KernelHost(host, device, pod, IPAddress.Parse($"{subnet}.2"));
    }

    private static void Announce(Host middle, KernelHost kernel, int timeToLive)
    {
        var granted = middle.Try(["etcdctl", $"--endpoints={Etcd}", "lease", "grant", $"{timeToLive}"]).Ok();
        Put(middle, $"subnets/{SubnetOf(kernel.Address)}.0-24", $$"""{"PublicIP":"{{kernel.Host.Address}}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"{{kernel.Mac}}"} }""", $"--lease={granted.Split(' ')[1]}");
    }

    private static void Put(Host middle, string key, string value, params string[] more) =>
        middle.Try(["etcdctl", $"--endpoints={Etcd}", "put", .. more, $"/coreos.com/network/{key}", value]).Ok();

    private static IReadOnlyList<(string Key, string Value)> Leases(Host middle)
    {
        var lines = Lines(middle.Try(["etcdctl", $"--endpoints={Etcd}", "get", "--prefix", "/coreos.com/network/subnets/"]).Ok());
        return [.. lines.Chunk(2).Select(static pair => (pair[0], pair[1]))];
    }

    // A host of the kernel's own: a vxlan device, a bridge, a pod.
    private sealed record KernelHost(Host Host, string Device, Host Pod, IPAddress Address)
    {
        public string Mac => Host.MacOf(Device);

        // What flannel and Calico do for each other host.
        public void Learn(string subnet, string gateway, string mac, IPAddress vtep)
        {
            Host.Run($"ip neigh replace {gateway} lladdr {mac} dev {Device} nud permanent");
            Host.Run($"bridge fdb append {mac} dev {Device} dst {vtep}");
            Host.Run($"ip route replace {subnet} via {gateway} dev {Device} onlink");
        }
    }
}
