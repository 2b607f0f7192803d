using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// PX08: the two ways in which container networks use VXLAN, with everything known beforehand: nothing is learned, nothing flooded, and no ARP
/// enters the underlay.
/// </summary>
public sealed class ContainerTopologiesTests(ITestOutputHelper output) : LabTest(output)
{
    /// <summary>
    /// Routed, as flannel does it.
    /// <code>
    ///     pod 10.244.1.2                                        pod 10.244.2.2
    ///        │ veth                                                │ veth
    ///     a  10.244.1.1                                         b  10.244.2.1
    ///        │ route 10.244.2.0/24 via 10.244.2.0 onlink           │ route 10.244.1.0/24 via 10.244.1.0 onlink
    ///     vx1-a 10.244.1.0, VNI 1                               vx1-b 10.244.2.0, VNI 1
    ///        └── u0 10.0.0.1 ═══════ UDP 8472, veth ═══════ 10.0.0.2 u0 ──┘
    /// </code>
    /// </summary>
    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "PX08")]
    public void Routed_with_static_entries_as_flannel_does_it(VtepKind peer)
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b")];
        Lab.JoinDirectly(hosts[0], hosts[1]);
        Vtep[] vteps =
        [
            .. hosts.Select((host, i) => Vtep.Start(i == 0 ? SleeveProgram.DeviceUnderTest : peer, host, new VtepOptions
            {
                Vni = 1,
                Port = 8472,
                Learning = false,
                Mac = $"02:f1:00:00:00:0{i + 1}",
                Addresses = [$"10.244.{i + 1}.0/32"],
            })),
        ];
        Host[] pods = [.. hosts.Select((host, i) => AddPod(lab, host, i + 1))];
        for (var i = 0; i < 2; i++)
        {
            var (host, device, there) = (hosts[i], vteps[i].Device, 2 - i);
            host.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1"));
            host.Run($"ip neigh add 10.244.{there}.0 lladdr 02:f1:00:00:00:0{there} dev {device} nud permanent");
            vteps[i].FdbDo("add", $"02:f1:00:00:00:0{there} dev {device} dst 10.0.0.{there} permanent");
            host.Run($"ip route add 10.244.{there}.0/24 via 10.244.{there}.0 dev {device} onlink");
        }

        using var capture = new Capture(hosts[1], Host.UnderlayDevice);
        var (pod1, pod2) = (IPAddress.Parse("10.244.1.2"), IPAddress.Parse("10.244.2.2"));
        Assert.Equal(3, Traffic.Ping(pods[0], pod2));
        Assert.Equal(3, Traffic.Ping(hosts[1], IPAddress.Parse("10.244.1.0")));
        AssertOnlyUnicastIp(capture, 8472);
        capture.Dispose();
        Traffic.TransferByTcp(pods[0], pods[1], pod2, 50_000_000);
        Traffic.TransferByTcp(pods[1], pods[0], pod1, 50_000_000);
    }

    /// <summary>
    /// Bridged, as Docker's overlay driver does it.
    /// <code>
    ///     c1 10.10.0.1   c2 10.10.0.2                     c3 10.10.0.3   c4 10.10.0.4
    ///        └── veth ─┬─ veth ─┘                            └── veth ─┬─ veth ─┘
    ///                 br0 ── vx4097-a, proxy                          br0 ── vx4097-b, proxy
    ///                 a: u0 10.0.0.1 ═════════ veth ═════════ b: u0 10.0.0.2
    /// </code>
    /// </summary>
    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "PX08")]
    public void Bridged_with_a_proxy_as_Docker_does_it(VtepKind peer)
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b")];
        Lab.JoinDirectly(hosts[0], hosts[1]);
        foreach (var host in hosts)
        {
            host.Run("ip link add br0 type bridge");
            host.Run("ip link set br0 up");
        }

        Vtep[] vteps =
        [
            .. hosts.Select((host, i) => Vtep.Start(
                i == 0 ? SleeveProgram.DeviceUnderTest : peer, host, new VtepOptions { Vni = 4097, Learning = false, Proxy = true, Bridge = "br0" })),
        ];
        Host[] containers = [.. Enumerable.Range(1, 4).Select(n => AddContainer(lab, hosts[(n - 1) / 2], n))];
        for (var n = 1; n <= 4; n++)
        {
            var elsewhere = vteps[n <= 2 ? 1 : 0];
            elsewhere.FdbDo("add", $"{MacOf(n)} dev {elsewhere.Device} dst 10.0.0.{(n <= 2 ? 1 : 2)} permanent");
            elsewhere.NeighbourAdd(AddressOf(n), MacOf(n));
        }

        using var capture = new Capture(hosts[1], Host.UnderlayDevice);
        foreach (var from in new[] { 1, 2, 3, 4 })
        {
            foreach (var to in new[] { 1, 2, 3, 4 }.Where(to => to != from))
                Assert.Equal(2, Traffic.Ping(containers[from - 1], AddressOf(to), count: 2));
        }

        AssertOnlyUnicastIp(capture, 4789);
        capture.Dispose();
        Traffic.TransferByTcp(containers[0], containers[2], AddressOf(3), 50_000_000);
        Traffic.TransferByTcp(containers[3], containers[1], AddressOf(2), 50_000_000);
    }

    private static void AssertOnlyUnicastIp(Capture capture, int port)
    {
        var sent = capture.Vxlan(port);
        Assert.NotEmpty(sent);
        Assert.All(sent, d => Assert.False(MacAddress.Read(d.Inner).IsGroup));
        Assert.All(sent, d => Assert.Equal(Frames.IPv4, (d.Inner[12] << 8) | d.Inner[13]));
    }

    private static Host AddPod(Lab lab, Host host, int number)
    {
        var pod = lab.AddHost($"pod{number}");
        pod.Run($"ip link add eth0 mtu 1450 type veth peer name cni0 netns {host.Namespace}");
        host.Run($"ip addr add 10.244.{number}.1/24 dev cni0");
        host.Run("ip link set cni0 mtu 1450 up");
        pod.Run($"ip addr add 10.244.{number}.2/24 dev eth0");
        pod.Run("ip link set eth0 up");
        pod.Run($"ip route add default via 10.244.{number}.1");
        return pod;
    }

    private static Host AddContainer(Lab lab, Host host, int number)
    {
        var container = lab.AddHost($"c{number}");
        container.Run($"ip link add eth0 mtu 1450 address {MacOf(number)} type veth peer name c{number} netns {host.Namespace}");
        host.Run($"ip link set c{number} mtu 1450 master br0 up");
        container.Run($"ip addr add {AddressOf(number)}/24 dev eth0");
        container.Run("ip link set eth0 up");
        return container;
    }

    private static IPAddress AddressOf(int number) => new([10, 10, 0, (byte)number]);

    private static MacAddress MacOf(int number) => MacAddress.FromValue(0x02_42_0A_0A_00_00UL + (uint)number);
}
