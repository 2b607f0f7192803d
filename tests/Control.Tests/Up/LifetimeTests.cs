using System.Globalization;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Tests.Up;

/// <summary>However <c>sleeve up</c> ends, it removes what it made and leaves what it found.</summary>
public class LifetimeTests
{
    [SkippableTheory]
    [InlineData("mode tap", "")]
    [InlineData("mode tap multi_queue", "")]
    [InlineData("mode tap", "ip link set tp up")]
    [InlineData("mode tap multi_queue", "ip link set tp mtu 1300 address 02:11:11:11:11:11 up;ip address add 10.9.9.9/24 dev tp;ip address add fd00:9::9/64 dev tp nodad;ip link set tp master br0")]
    public void An_adopted_TAP_is_left_as_it_was_found(string how, string more)
    {
        using var up = UpNetwork.CreateOrSkip();
        // Bridges with a MAC of their own: the kernel changes the others' with their ports.
        foreach (var line in (string[])["ip link add br0 address 02:00:00:00:00:b0 type bridge", "ip link add br1 address 02:00:00:00:00:b1 type bridge", $"ip tuntap add tp {how}", .. more.Split(';', StringSplitOptions.RemoveEmptyEntries)])
            up.Network.Run("ip", line.Split(' ')[1..]);
        var before = up.Trace();
        using var vtep = RunningVtep.Start(up.Network, up.Words("tp", "--mac", "02:22:22:22:22:22", "--bridge", "br1", "--address", "10.1.1.1/24", "--mtu", "1400"));
        var during = up.Network.Run("ip", "address", "show", "tp");
        Assert.All(["mtu 1400", "02:22:22:22:22:22", "master br1", "10.1.1.1/24", "LOWER_UP"], word => Assert.Contains(word, during, StringComparison.Ordinal));
        Assert.Equal(ExitCode.Done, vtep.Stop().Code);
        up.AssertIs(before);
    }

    [SkippableFact]
    public void An_adopted_TAP_does_not_lose_its_IPv6_addresses()
    {
        using var up = UpNetwork.CreateOrSkip();
        up.Network.Run("ip", "tuntap", "add", "tp", "mode", "tap");
        up.Network.Run("ip", "address", "add", "fd00:9::9/64", "dev", "tp");
        var before = up.Trace();
        using var vtep = RunningVtep.Begin(up.Network, up.Words("tp", "--mtu", "1000", "--mac", "02:22:22:22:22:22"));
        Assert.Equal("sleeve up: tp has the IPv6 address fd00:9::9/64, which an MTU of 1000 would remove; it must be at least 1280 (--mtu sets it)", vtep.End().Errors);
        up.AssertIs(before);
    }

    [SkippableFact]
    public void What_fails_half_way_is_put_back()
    {
        using var up = UpNetwork.CreateOrSkip();
        up.Network.Run("ip", "tuntap", "add", "tp", "mode", "tap");
        var before = up.Trace();
        using var vtep = RunningVtep.Begin(up.Network, up.Words("tp", "--mac", "02:22:22:22:22:22", "--mtu", "1400", "--bridge", "lo"));
        Assert.Equal(ExitCode.Failed, vtep.End().Code);
        up.AssertIs(before);
    }

    [SkippableTheory]
    [InlineData("TERM")]
    [InlineData("INT")]
    [InlineData("HUP")]
    public void A_signal_ends_it_in_order(string signal)
    {
        using var up = UpNetwork.CreateOrSkip();
        var before = up.Trace();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--address", "10.1.1.1/24"));
        vtep.Signal(signal);
        var outcome = vtep.End();
        Assert.Equal((ExitCode.Done, "sleeve up: stopping"), (outcome.Code, outcome.ErrorLines[^1]));
        up.AssertIs(before);
    }

    /// <summary>The moments are random, their seed is in the message.</summary>
    [SkippableFact]
    public void SIGTERM_at_any_moment_of_the_start_leaves_nothing()
    {
        using var up = UpNetwork.CreateOrSkip();
        up.Network.Run("ip", "tuntap", "add", "tp", "mode", "tap");
        var before = up.Trace();
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var i = 0; i < 25; i++)
        {
            // Every other adopts the TAP, so that there is something to put back.
            using var vtep = RunningVtep.Begin(up.Network, up.Words(i % 2 == 0 ? "tp" : "vx0", "--mac", "02:22:22:22:22:22", "--mtu", "1400", "--address", "10.1.1.1/24"));
            Thread.Sleep(random.Next(600));
            vtep.Signal("TERM");
            // A second one, as of somebody who is impatient, does not break off the taking down.
            if (i % 3 == 0) vtep.Signal("TERM");
            var outcome = vtep.End();
            // 143 is the signal itself: nothing had been made yet.
            Assert.True(outcome.Code is ExitCode.Done or 143, $"seed {seed}, start {i}: ended with {outcome.Code}: {outcome.Errors}");
            up.AssertIs(before, $"seed {seed}, start {i}, said {outcome.Errors}");
        }
    }

    [SkippableFact]
    public void After_a_kill_the_same_command_works_again()
    {
        using var up = UpNetwork.CreateOrSkip();
        var before = up.Trace();
        using (var killed = RunningVtep.Start(up.Network, up.Words("vx0")))
        {
            killed.Signal("KILL");
            Assert.Equal(137, killed.End().Code);
        }

        Assert.True(File.Exists(up.Socket));
        using var again = RunningVtep.Start(up.Network, up.Words("vx0"));
        Assert.Equal(ExitCode.Done, again.Stop().Code);
        up.AssertIs(before);
    }

    [SkippableFact]
    public void A_TAP_that_somebody_deletes_ends_it_with_a_line()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        up.Network.Run("ip", "link", "del", "vx0");
        var outcome = vtep.End();
        Assert.Equal(ExitCode.Failed, outcome.Code);
        Assert.Equal("sleeve up: vx0 was deleted or moved to another network namespace by somebody else; start again", outcome.ErrorLines[^1]);
        Assert.Empty(Directory.GetFileSystemEntries(up.Folder));
    }

    [SkippableFact]
    public void A_TAP_that_somebody_renames_or_sets_down_goes_on()
    {
        using var up = UpNetwork.CreateOrSkip();
        var before = up.Trace();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        up.Network.Run("ip", "link", "set", "vx0", "down");
        Eventually.Holds(() => vtep.Lines.Any(static line => line.StartsWith("sleeve up: vx0 is down", StringComparison.Ordinal)));
        up.Network.Run("ip", "link", "set", "vx0", "name", "vx9");
        up.Network.Run("ip", "link", "set", "vx9", "up");
        Eventually.Holds(() => vtep.Lines.Contains("sleeve up: vx0 is up"));
        Assert.Equal(ExitCode.Done, vtep.Stop().Code);
        up.AssertIs(before);
    }

    [SkippableFact]
    public void Two_segments_have_a_socket_each_and_leave_none()
    {
        using var up = UpNetwork.CreateOrSkip();
        var id = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        using var vtep = RunningVtep.Begin(up.Network, $"a{id}:1", $"b{id}:2", "--local", "192.0.2.1");
        Eventually.Holds(() => vtep.Lines.Contains("sleeve up: ready") || vtep.HasExited);
        Skip.If(vtep.HasExited && vtep.Lines[^1].Contains("denied", StringComparison.Ordinal), "needs to write to /run/sleeve");
        Assert.All(["a", "b"], device => Assert.True(File.Exists($"/run/sleeve/{device}{id}.sock")));
        Assert.Equal(ExitCode.Done, vtep.Stop().Code);
        Assert.All(["a", "b"], device => Assert.False(File.Exists($"/run/sleeve/{device}{id}.sock")));
    }
}
