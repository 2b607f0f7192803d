using System.Net;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Ends of every kind, and starts that cannot succeed.
/// <code>
///     a: sleeve up … ═══ veth pair ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class LifetimeTests(ITestOutputHelper output) : LabTest(output)
{
    private const string Device = "vx100-a";
    private const string Control = $"/run/sleeve/{Device}.sock";

    [SkippableTheory]
    [InlineData(LibC.SIGTERM)]
    [InlineData(LibC.SIGINT)]
    public void A_signal_at_any_moment_leaves_nothing_behind(int signal)
    {
        var (a, b) = GivenTwoHosts();
        var random = new Random(signal);
        for (var round = 0; round < 12; round++)
        {
            var process = a.Start([.. SleeveProgram.Words, .. UpWords(a, b)]);
            Thread.Sleep(random.Next(500));
            process.Signal(signal);
            Assert.True(process.WaitForExit(Wait.Soon), $"still there: {process.Error}");
            Assert.False(a.HasDevice(Device), process.Error);
            Assert.False(File.Exists(Control), process.Error);
        }
    }

    [SkippableFact]
    public void After_a_kill_the_same_command_works_again()
    {
        var (a, b) = GivenTwoHosts();
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["192.168.100.2/24"] });
        for (var round = 0; round < 3; round++)
        {
            var process = SleeveProgram.Up(a, UpWords(a, b)[1..]);
            Traffic.WaitForPing(a, Pair.Overlay2);
            Assert.Contains(FdbEntry.Read(SleeveProgram.Run(a, $"fdb show dev {Device} --json").Ok()), e => e.Destination == $"{b.Address}");
            process.Signal(LibC.SIGKILL);
            Assert.True(process.WaitForExit(Wait.Soon));
        }
    }

    [SkippableFact]
    public void The_control_socket_is_for_its_owner_only()
    {
        var (a, b) = GivenTwoHosts();
        SleeveProgram.Up(a, UpWords(a, b)[1..]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Control));
    }

    [SkippableFact]
    public void A_port_that_a_program_holds_is_named()
    {
        var (a, b) = GivenTwoHosts();
        using var holder = new UnderlayPeer(a, address: IPAddress.Any);
        AssertRefused(a, b, "4789");
    }

    [SkippableFact]
    public void A_port_that_a_vxlan_device_of_the_kernel_holds_is_named_with_the_device()
    {
        var (a, b) = GivenTwoHosts();
        a.Run("ip link add vxkernel type vxlan id 7 dstport 4789 local 10.0.0.1");
        a.Run("ip link set vxkernel up");
        AssertRefused(a, b, "4789", "vxkernel");
    }

    [SkippableFact]
    public void A_name_that_is_taken_is_named()
    {
        var (a, b) = GivenTwoHosts();
        a.Run($"ip link add {Device} type bridge");
        AssertRefused(a, b, Device);
        Assert.True(a.HasDevice(Device));
    }

    [SkippableFact]
    public void A_device_that_a_running_Sleeve_has_is_named()
    {
        var (a, b) = GivenTwoHosts();
        var first = SleeveProgram.Up(a, UpWords(a, b)[1..]);
        var second = SleeveProgramEnd(a, [.. UpWords(a, b), "--dstport", "4790"]);
        Assert.NotEqual(0, second.ExitCode);
        Assert.Contains(Device, second.Error, StringComparison.Ordinal);
        Assert.False(first.HasExited);
        SleeveProgram.Run(a, $"fdb show dev {Device}").Ok();
    }

    [SkippableFact]
    public void A_command_to_a_device_that_is_not_up_says_so_in_one_line()
    {
        var (a, _) = GivenTwoHosts();
        var result = SleeveProgram.Run(a, "fdb show dev vxnone");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("vxnone", Assert.Single(Lines(result.Error)), StringComparison.Ordinal);
    }

    private static void AssertRefused(Host a, Host b, params string[] mentions)
    {
        var result = SleeveProgramEnd(a, UpWords(a, b));
        Assert.NotEqual(0, result.ExitCode);
        var line = Assert.Single(Lines(result.Error));
        Assert.All(mentions, mention => Assert.Contains(mention, line, StringComparison.Ordinal));
        Assert.False(File.Exists(Control));
    }

    private static CommandResult SleeveProgramEnd(Host host, IReadOnlyList<string> words) =>
        host.Try([.. SleeveProgram.Words, .. words], TimeSpan.FromSeconds(10));

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string[] UpWords(Host a, Host b) =>
        ["up", Device, "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}", "--address", "192.168.100.1/24"];

    private (Host A, Host B) GivenTwoHosts()
    {
        Requirements.Tap();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "about sleeve up");
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (a, b);
    }
}
