using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// What `sleeve up` makes of the device, and what it leaves behind.
/// <code>
///     a: sleeve up … ═══ veth pair ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class DeviceTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 1500, 1450)]
    [InlineData(AddressFamily.InterNetwork, 1400, 1350)]
    [InlineData(AddressFamily.InterNetworkV6, 1500, 1430)]
    [InlineData(AddressFamily.InterNetworkV6, 9000, 8930)]
    [Trait("Case", "MT01")]
    public void The_MTU_is_what_the_underlay_leaves(AddressFamily family, int underlay, int expected)
    {
        var (a, b) = GivenTwoHosts(family);
        a.Run($"ip link set {Host.UnderlayDevice} mtu {underlay}");
        SleeveProgram.Up(a, ["vx100-a", "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}"]);
        Assert.Equal(expected, Link(a, "vx100-a").GetProperty("mtu").GetInt32());
    }

    [SkippableFact]
    public void Options_of_the_device_do_what_their_names_say()
    {
        var (a, b) = GivenTwoHosts();
        a.Run("ip link add br0 type bridge");
        SleeveProgram.Up(a,
        [
            "vx100-a", "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}", "--mtu", "1337", "--mac", "02:00:00:00:0a:0a",
            "--address", "192.168.100.1/24", "--address", "fd01::1/64", "--bridge", "br0",
        ]);
        var link = Link(a, "vx100-a");
        Assert.Equal(1337, link.GetProperty("mtu").GetInt32());
        Assert.Equal("02:00:00:00:0a:0a", link.GetProperty("address").GetString());
        Assert.Equal("br0", link.GetProperty("master").GetString());
        Assert.Contains("UP", link.GetProperty("flags").EnumerateArray().Select(f => f.GetString()));
        var addresses = a.Run("ip addr show dev vx100-a");
        Assert.Contains("inet 192.168.100.1/24", addresses, StringComparison.Ordinal);
        Assert.Contains("inet6 fd01::1/64", addresses, StringComparison.Ordinal);
    }

    /// <summary>
    /// <code>
    ///     inner: vx100-a 192.168.100.1          b: vx100-b 192.168.100.2
    ///        │ the TAP only                        │
    ///     a: UDP socket ═══════ veth pair ═══════ u0
    /// </code>
    /// </summary>
    [SkippableFact]
    public void The_device_may_live_in_another_namespace_than_the_socket()
    {
        var (a, b) = GivenTwoHosts();
        var inner = a.Lab.AddHost("inner");
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["192.168.100.2/24"] });
        var process = SleeveProgram.Up(a,
        [
            "vx100-a", "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}",
            "--netns", inner.Namespace, "--address", "192.168.100.1/24",
        ]);
        Assert.False(a.HasDevice("vx100-a"));
        Assert.Equal(1450, Link(inner, "vx100-a").GetProperty("mtu").GetInt32());
        Assert.Equal(3, Traffic.Ping(inner, IPAddress.Parse("192.168.100.2")));
        Terminate(process);
        Assert.False(inner.HasDevice("vx100-a"));
    }

    [SkippableFact]
    public void A_persistent_TAP_is_adopted_and_left_as_it_was_found()
    {
        var (a, b) = GivenTwoHosts();
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["192.168.100.2/24"] });
        a.Run("ip tuntap add vx100-a mode tap");
        a.Run("ip link set vx100-a mtu 1300 address 02:00:00:00:0b:0b");
        a.Run("ip addr add 192.168.100.1/24 dev vx100-a");
        var before = Link(a, "vx100-a");
        var process = SleeveProgram.Up(a, ["vx100-a", "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}"]);
        Assert.Equal(3, Traffic.Ping(a, IPAddress.Parse("192.168.100.2")));
        Terminate(process);

        Assert.True(a.HasDevice("vx100-a"));
        var after = Link(a, "vx100-a");
        foreach (var what in new[] { "ifindex", "mtu", "address" })
            Assert.Equal(before.GetProperty(what).ToString(), after.GetProperty(what).ToString());
        Assert.Contains("inet 192.168.100.1/24", a.Run("ip addr show dev vx100-a"), StringComparison.Ordinal);
        Assert.Equal(IsUp(before), IsUp(after));
    }

    [SkippableFact]
    public void A_bridge_and_what_else_was_there_stays()
    {
        var (a, b) = GivenTwoHosts();
        a.Run("ip link add br0 type bridge");
        a.Run("ip link set br0 up");
        var before = Names(a);
        var process = SleeveProgram.Up(a, ["vx100-a", "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}", "--bridge", "br0"]);
        // Of its own it has the TAP, and the underlay TAP where the kernel takes tunnel super-frames.
        Assert.Equal([.. before, "vx100-a"], Names(a).Except(["sleeve0"]));
        Terminate(process);
        Assert.Equal(before, Names(a));
    }

    private static void Terminate(BackgroundProcess process)
    {
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon), process.Error);
        Assert.Equal(0, process.ExitCode);
    }

    private static bool IsUp(JsonElement link) => link.GetProperty("flags").EnumerateArray().Any(f => f.GetString() == "UP");

    private static JsonElement Link(Host host, string device) => JsonDocument.Parse(host.Run($"ip -j link show dev {device}")).RootElement[0];

    private static string[] Names(Host host) =>
    [
        .. JsonDocument.Parse(host.Run("ip -j link show")).RootElement.EnumerateArray()
            .Select(link => link.GetProperty("ifname").GetString()!).Order(StringComparer.Ordinal),
    ];

    private (Host A, Host B) GivenTwoHosts(AddressFamily family = AddressFamily.InterNetwork)
    {
        Requirements.Tap();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "about sleeve up");
        var lab = NewLab(family);
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (a, b);
    }
}
