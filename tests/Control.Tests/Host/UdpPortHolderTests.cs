using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Host;

public class UdpPortHolderTests
{
    [SkippableFact]
    public void Names_the_process()
    {
        using var network = TestNetwork.CreateOrSkip();
        network.Host.SetUp(network.Host.GetLink("lo").Index, true);
        using var socket = network.Namespace.Run(() =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            made.Bind(new IPEndPoint(IPAddress.Loopback, 4789));
            return made;
        });
        var name = File.ReadAllText("/proc/self/comm").TrimEnd();
        var expected = FormattableString.Invariant($"process {name} (pid {Environment.ProcessId})");
        Assert.Equal(expected, Find(network, 4789, InternetAddress.AnyIPv4));
        Assert.Equal(expected, Find(network, 4789, Address("127.0.0.1")));
        Assert.Null(Find(network, 4789, Address("10.0.0.1")));
        Assert.Null(Find(network, 4790, InternetAddress.AnyIPv4));
    }

    [SkippableFact]
    public void A_dual_stack_socket_holds_both_families()
    {
        using var network = TestNetwork.CreateOrSkip();
        using var socket = network.Namespace.Run(() =>
        {
            var made = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp) { DualMode = true };
            made.Bind(new IPEndPoint(IPAddress.IPv6Any, 4789));
            return made;
        });
        Assert.StartsWith("process ", Find(network, 4789, Address("10.0.0.1")), StringComparison.Ordinal);
        Assert.StartsWith("process ", Find(network, 4789, Address("fd00::1")), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Names_the_kernels_vxlan_device_while_it_is_up()
    {
        using var network = TestNetwork.CreateOrSkip();
        var link = network.CreateOrSkip(static host => host.CreateVxlan("vx7", new VxlanOptions { Id = new Vni(7) }));
        Assert.Null(Find(network, 4789, InternetAddress.AnyIPv4));
        network.Host.SetUp(link.Index, true);
        Assert.Equal("the kernel vxlan device vx7", Find(network, 4789, InternetAddress.AnyIPv4));
        Assert.Equal("the kernel vxlan device vx7", Find(network, 4789, Address("10.0.0.1")));
    }

    [SkippableFact]
    public void Owns_up_when_the_device_is_in_another_namespace()
    {
        using var network = TestNetwork.CreateOrSkip();
        using var sandbox = TestNetwork.CreateOrSkip();
        var link = network.CreateOrSkip(static host => host.CreateVxlan("vx8", new VxlanOptions { Id = new Vni(8) }));
        network.Host.MoveTo(link.Index, sandbox.Namespace);
        sandbox.Host.SetUp(sandbox.Host.GetLink("vx8").Index, true);
        var holder = Find(network, 4789, InternetAddress.AnyIPv4);
        Assert.StartsWith("the kernel itself (a vxlan device in another network namespace", holder, StringComparison.Ordinal);
    }

    [Fact]
    public void Reads_the_lines_of_proc()
    {
        Assert.True(UdpPortHolder.UdpSocket.TryParse(
            "  123: 0100007F:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 45678 2 0000000000000000 0", out var four));
        Assert.Equal(new UdpPortHolder.UdpSocket(Address("127.0.0.1"), 4789, "1000", "45678"), four);
        Assert.True(UdpPortHolder.UdpSocket.TryParse(
            "   7: 000000FD000000000000000001000000:2118 00000000000000000000000000000000:0000 07 0:0 00:0 0     0        0 9 2 0 0", out var six));
        Assert.Equal((Address("fd00::1"), 8472), (six.Address, six.Port));
        const string Heading = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        Assert.False(UdpPortHolder.UdpSocket.TryParse(Heading, out _));
        Assert.False(UdpPortHolder.UdpSocket.TryParse("", out _));
    }

    private static string? Find(TestNetwork network, int port, InternetAddress address) => UdpPortHolder.Find(network.Host, port, address, network.Namespace);

    private static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);
}
