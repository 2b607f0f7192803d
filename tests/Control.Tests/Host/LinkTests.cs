using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Host;

/// <summary>Links against `ip -d link`.</summary>
public class LinkTests
{
    [SkippableFact]
    public void Makes_a_veth_pair_with_its_other_end_in_another_namespace()
    {
        using var here = TestNetwork.CreateOrSkip();
        using var there = TestNetwork.CreateOrSkip();
        var link = here.Host.CreateVethPair("a0", "b0", there.Namespace);
        Assert.Equal(("a0", "veth", false, LibC.ARPHRD_ETHER), (link.Name, link.Kind, link.IsUp, link.HardwareType));
        Assert.Equal("veth", (string?)here.IpLink("a0")["linkinfo"]!["info_kind"]);
        Assert.Equal("veth", (string?)there.IpLink("b0")["linkinfo"]!["info_kind"]);
        Assert.Equal(link.LinkIndex, there.Host.GetLink("b0").Index);
        Assert.Null(here.Host.FindLink("b0"));
    }

    [SkippableFact]
    public void Reads_what_ip_reads()
    {
        using var network = TestNetwork.CreateOrSkip();
        network.Host.CreateVethPair("a0", "b0");
        foreach (var link in network.Host.ListLinks())
        {
            var ip = network.IpLink(link.Name);
            Assert.Equal((int)ip["ifindex"]!, link.Index);
            Assert.Equal((int)ip["mtu"]!, link.Mtu);
            Assert.Equal((string?)ip["address"], link.Mac.ToString());
            Assert.Equal(((int?)ip["min_mtu"] ?? 0, (int?)ip["max_mtu"] ?? 0), link.MtuRange);
            Assert.Equal((int)ip["gso_max_size"]!, link.GsoMaxSize);
            Assert.Equal(link, network.Host.FindLink(link.Index));
        }

        Assert.Equal(3, network.Host.ListLinks().Count);
    }

    [SkippableFact]
    public void Sets_mtu_mac_name_and_up_and_down()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var index = host.CreateVethPair("a0", "b0").Index;
        Assert.True(MacAddress.TryParse("02:00:00:00:00:17", out var mac));
        host.SetMtu(index, 1450);
        host.SetMac(index, mac);
        host.SetName(index, "renamed0");
        host.SetUp(index, true);
        var ip = network.IpLink("renamed0");
        Assert.Equal(1450, (int)ip["mtu"]!);
        Assert.Equal("02:00:00:00:00:17", (string?)ip["address"]);
        Assert.Contains("UP", ip["flags"]!.AsArray().Select(static flag => (string?)flag));
        var link = host.GetLink("renamed0");
        Assert.Equal((1450, mac, true, false), (link.Mtu, link.Mac, link.IsUp, link.HasCarrier));
        host.SetUp(host.GetLink("b0").Index, true);
        Assert.True(host.FindLink(index)!.HasCarrier);
        host.SetUp(index, false);
        Assert.False(host.FindLink(index)!.IsUp);
        Assert.DoesNotContain("UP", network.IpLink("renamed0")["flags"]!.AsArray().Select(static flag => (string?)flag));
    }

    [SkippableFact]
    public void Makes_a_bridge_and_puts_links_in_and_out()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var port = host.CreateVethPair("a0", "b0");
        var bridge = network.CreateOrSkip(static host => host.CreateBridge("br0"));
        Assert.Equal("bridge", bridge.Kind);
        host.SetMaster(port.Index, bridge.Index);
        Assert.Equal("br0", (string?)network.IpLink("a0")["master"]);
        Assert.Equal(bridge.Index, host.FindLink(port.Index)!.MasterIndex);
        host.SetMaster(port.Index, 0);
        Assert.Null(network.IpLink("a0")["master"]);
        Assert.Equal(0, host.FindLink(port.Index)!.MasterIndex);
    }

    [SkippableFact]
    public void Makes_a_vxlan_device_over_IPv4()
    {
        using var network = TestNetwork.CreateOrSkip();
        var link = network.CreateOrSkip(static host => host.CreateVxlan("vx0", new VxlanOptions
        {
            Id = new Vni(42), Local = Address("10.0.0.1"), Remote = Address("10.0.0.2"), Learning = false, Proxy = true, L2Miss = true, L3Miss = true,
            UdpChecksum = false, AgeingSeconds = 77, Ttl = 9,
        }));
        var data = network.IpLink("vx0")["linkinfo"]!["info_data"]!;
        Assert.Equal(42, (int)data["id"]!);
        Assert.Equal("10.0.0.1", (string?)data["local"]);
        Assert.Equal("10.0.0.2", (string?)data["remote"]);
        Assert.Equal(4789, (int)data["port"]!);
        Assert.False((bool)data["learning"]! || (bool)data["udp_csum"]!);
        Assert.True((bool)data["proxy"]! && (bool)data["l2miss"]! && (bool)data["l3miss"]!);
        Assert.Equal((77, 9), ((int)data["ageing"]!, (int)data["ttl"]!));
        Assert.Equal(new VxlanInfo(42, 4789, Address("10.0.0.1"), Address("10.0.0.2"), 0, false, true, false), link.Vxlan);
    }

    [SkippableFact]
    public void Makes_a_vxlan_device_over_IPv6_with_a_group()
    {
        using var network = TestNetwork.CreateOrSkip();
        var lower = network.Host.CreateVethPair("a0", "b0").Index;
        var link = network.CreateOrSkip(host => host.CreateVxlan("vx6", new VxlanOptions
        {
            Id = new Vni(0xFFFFFF), DestinationPort = 8472, Local = Address("fd00::1"), Remote = Address("ff05::7"), LowerIndex = lower,
            UdpZeroChecksum6Transmit = true, UdpZeroChecksum6Receive = true,
        }));
        var data = network.IpLink("vx6")["linkinfo"]!["info_data"]!;
        Assert.Equal(("fd00::1", "ff05::7", "a0", 8472), ((string?)data["local6"], (string?)data["group6"], (string?)data["link"], (int)data["port"]!));
        Assert.True((bool)data["udp_zero_csum6_tx"]! && (bool)data["udp_zero_csum6_rx"]!);
        Assert.Equal(new VxlanInfo(0xFFFFFF, 8472, Address("fd00::1"), Address("ff05::7"), lower, true, false, false), link.Vxlan);
    }

    [SkippableFact]
    public void Reads_a_taps_own_facts()
    {
        using var network = TestNetwork.CreateOrSkip();
        Skip.IfNot(File.Exists("/dev/net/tun"), "needs /dev/net/tun");
        network.Run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr", "multi_queue");
        network.Run("ip", "tuntap", "add", "tun0", "mode", "tun");
        Assert.Equal(new TunInfo(true, true, true, true, 0), network.Host.GetLink("tap0").Tun);
        Assert.Equal(new TunInfo(false, true, false, false, 0), network.Host.GetLink("tun0").Tun);
        Assert.Equal("tun", network.Host.GetLink("tap0").Kind);
        Assert.True(network.Host.DeleteLink(network.Host.GetLink("tap0").Index));
    }

    [SkippableFact]
    public void Moves_a_link_to_another_namespace()
    {
        using var here = TestNetwork.CreateOrSkip();
        using var there = TestNetwork.CreateOrSkip();
        var index = here.Host.CreateVethPair("a0", "b0").Index;
        here.Host.MoveTo(index, there.Namespace);
        Assert.Null(here.Host.FindLink("a0"));
        Assert.Equal("a0", there.Host.GetLink("a0").Name);
    }

    [SkippableFact]
    public void Sets_the_largest_super_frame()
    {
        using var network = TestNetwork.CreateOrSkip();
        var index = network.Host.CreateVethPair("a0", "b0").Index;
        network.Host.SetGsoMaxSize(index, 30_000);
        Assert.Equal(30_000, (int)network.IpLink("a0")["gso_max_size"]!);
        Skip.If(network.Host.FindLink(index)!.GsoIPv4MaxSize == 0, "gso_ipv4_max_size needs Linux 6.3");
        network.Host.SetGsoMaxSize(index, 40_000, 20_000);
        var link = network.Host.FindLink(index)!;
        Assert.Equal((40_000, 20_000), (link.GsoMaxSize, link.GsoIPv4MaxSize));
    }

    [SkippableFact]
    public void Counts_what_passes()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var a = host.CreateVethPair("a0", "b0").Index;
        host.SetUp(a, true);
        host.SetUp(host.GetLink("b0").Index, true);
        Assert.True(host.WaitUntilRunning(a, TimeSpan.FromSeconds(10)));
        host.AddAddress(a, Prefix("10.1.0.1/24"));
        Assert.True(MacAddress.TryParse("02:00:00:00:00:02", out var mac));
        host.ReplaceNeighbour(a, Address("10.1.0.2"), mac);
        network.Namespace.Run(static () =>
        {
            using var socket = new System.Net.Sockets.UdpClient();
            for (var i = 0; i < 10; i++) socket.Send(new byte[100], 100, "10.1.0.2", 9);
        });
        // Our ten, and whatever IPv6 says of its own accord.
        var statistics = host.FindLink(a)!.Statistics;
        Assert.True(statistics.TxPackets >= 10 && statistics.TxBytes >= 1420, statistics.ToString());
        Assert.InRange(host.GetLink("b0").Statistics.RxPackets, 10UL, ulong.MaxValue);
    }

    [SkippableFact]
    public void Does_not_wait_forever_for_a_link_without_carrier()
    {
        using var network = TestNetwork.CreateOrSkip();
        var index = network.Host.CreateVethPair("a0", "b0").Index;
        network.Host.SetUp(index, true);
        Assert.False(network.Host.WaitUntilRunning(index, TimeSpan.FromMilliseconds(20)));
        Assert.False(network.Host.WaitUntilRunning(999, TimeSpan.FromSeconds(10)));
    }

    [SkippableFact]
    public void Deletes_once()
    {
        using var network = TestNetwork.CreateOrSkip();
        var index = network.Host.CreateVethPair("a0", "b0").Index;
        Assert.True(network.Host.DeleteLink(index));
        Assert.False(network.Host.DeleteLink(index));
        Assert.Null(network.Host.FindLink("b0"));
    }

    [SkippableFact]
    public void Lists_more_links_than_one_datagram_holds()
    {
        using var network = TestNetwork.CreateOrSkip();
        for (var i = 0; i < 50; i++) network.Host.CreateVethPair($"a{i}", $"b{i}");
        Assert.Equal(101, network.Host.ListLinks().Select(static link => link.Name).Distinct().Count());
    }

    [SkippableFact]
    public void Says_what_is_wrong_in_one_line()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var index = host.CreateVethPair("a0", "b0").Index;
        Assert.Equal("there is no interface 'none0': `ip link` lists them", Message(() => host.GetLink("none0")));
        Assert.Null(host.FindLink("a-name-far-too-long-for-linux"));
        Assert.Equal(
            "cannot create veth device a0: File exists: choose another name, or remove it with `ip link del a0`",
            Message(() => host.CreateVethPair("a0", "c0")));
        Assert.Equal("cannot create veth device c0: File exists: the peer's name b0 is taken", Message(() => host.CreateVethPair("c0", "b0")));
        Assert.Equal(
            "cannot rename a0 to b0: File exists: choose another name, or remove it with `ip link del b0`",
            Message(() => host.SetName(index, "b0")));
        Assert.Equal(
            "'a/0' cannot be an interface's name: 1 to 15 bytes without slash, colon or space",
            Message(() => host.SetName(index, "a/0")));
        Assert.Equal(
            "cannot set the MTU of a0 to 70000: mtu greater than device maximum: it takes 68 to 65535",
            Message(() => host.SetMtu(index, 70_000)));
        Assert.Equal("cannot set the MTU of interface 999 to 1400: No such device", Message(() => host.SetMtu(999, 1400)));
        Assert.Equal(
            "cannot set the MAC address of a0 to ff:ff:ff:ff:ff:ff: Cannot assign requested address: a group address or zero cannot be an interface's own",
            Message(() => host.SetMac(index, MacAddress.Broadcast)));
        Assert.EndsWith(": b0 is not a bridge", Message(() => host.SetMaster(index, host.GetLink("b0").Index)), StringComparison.Ordinal);
        Assert.Equal(
            "cannot create nonsense device x0: Unknown device type: the kernel has no nonsense devices (`modprobe nonsense`)",
            Message(() => host.CreateLink("x0", "nonsense")));
        Assert.Equal(LibC.EOPNOTSUPP, Assert.Throws<HostException>(() => host.DeleteLink(host.GetLink("lo").Index)).Errno);
    }

    [Fact]
    public void Says_which_privilege_is_missing() => Assert.Equal(
        "cannot set a0 up: Operation not permitted: needs CAP_NET_ADMIN in this network namespace (run as root)",
        HostException.Of("set a0 up", new NetlinkOutcome(LibC.EPERM, null)).Message);

    [Theory]
    [InlineData("a", true)]
    [InlineData("fifteen-bytes-x", true)]
    [InlineData("sixteen-bytes-xx", false)]
    [InlineData("fünfzehn-bytes", true)]
    [InlineData("fünfzehn-bytes-", false)]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("a b", false)]
    [InlineData("a:b", false)]
    public void Knows_which_names_the_kernel_takes(string name, bool valid) => Assert.Equal(valid, LinkInfo.IsValidName(name));

    private static string Message(Action action) => Assert.Throws<HostException>(action).Message;

    private static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    private static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);
}
