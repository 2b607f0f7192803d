using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Cli;
using Sleeve.Control.Tests.Cli;

namespace Sleeve.Control.Tests.Up;

/// <summary>What <c>sleeve up</c> cannot do: one line that says what to do, exit code 1, nothing left.</summary>
public class RefusalTests
{
    [SkippableTheory]
    [InlineData("--local 192.0.2.9", "--local 192.0.2.9: is not an address of this host (ip address show)")]
    [InlineData("--bridge br9", "--bridge br9: there is no such interface; make it: ip link add br9 type bridge")]
    [InlineData("--bridge v0", "--bridge v0: is a veth interface; must be a bridge")]
    [InlineData("--netns sleeve-none", "there is no network namespace 'sleeve-none' in /run/netns: `ip netns` lists them")]
    [InlineData("--tap-fd 99", "--tap-fd 99: is not an open descriptor of an attached TAP")]
    [InlineData("--socket /proc/sleeve.sock", "cannot serve commands on /proc/sleeve.sock: Cannot assign requested address (--socket names another)")]
    [InlineData("--socket /sleeve-none/s", "cannot use /sleeve-none/s for commands: there is no directory /sleeve-none; make it or give another --socket")]
    [InlineData("--socket /etc/passwd", "/etc/passwd is not a socket; remove it or give another --socket")]
    [InlineData("--socket /tmp", "/tmp is not a socket; remove it or give another --socket")]
    [InlineData("DEV v0", "v0 is taken: it is a veth interface; choose another name, or remove it: ip link del v0")]
    [InlineData("DEV br0", "br0 is taken: it is a bridge interface; choose another name, or remove it: ip link del br0")]
    [InlineData("DEV tun0", "tun0 is taken: it is a tun interface; choose another name, or remove it: ip link del tun0")]
    public void Says_what_to_do_and_leaves_nothing(string words, string error)
    {
        using var up = UpNetwork.CreateOrSkip();
        up.Network.Run("ip", "link", "add", "br0", "type", "bridge");
        up.Network.Run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
        up.Network.Run("ip", "tuntap", "add", "tun0", "mode", "tun");
        var before = up.Trace();
        var (option, value) = (words.Split(' ')[0], words.Split(' ')[1]);
        string[] all = option == "DEV" ? up.Words(value) : up.Words("vx0");
        if (Array.IndexOf(all, option) is > 0 and var at) all[at + 1] = value;
        else if (option != "DEV") all = [.. all, option, value];

        using var vtep = RunningVtep.Begin(up.Network, all);
        Assert.Equal(new Outcome(ExitCode.Failed, "", "sleeve up: " + error), vtep.End());
        Assert.Equal(before, up.Trace());
    }

    [SkippableFact]
    public void An_empty_file_in_the_sockets_place_stays()
    {
        using var up = UpNetwork.CreateOrSkip();
        File.WriteAllText(up.Socket, "");
        using var vtep = RunningVtep.Begin(up.Network, up.Words("vx0"));
        Assert.Equal(new Outcome(ExitCode.Failed, "", $"sleeve up: {up.Socket} is not a socket; remove it or give another --socket"), vtep.End());
        Assert.True(File.Exists(up.Socket));
    }

    [SkippableFact]
    public void A_port_held_by_a_process_is_told_with_the_process()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var holder = up.Network.Namespace.Run(static () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(IPAddress.Any, 4789));
            return socket;
        });
        using var vtep = RunningVtep.Begin(up.Network, up.Words("vx0"));
        var outcome = vtep.End();
        Assert.Equal(ExitCode.Failed, outcome.Code);
        Assert.Matches($@"\Asleeve up: UDP port 4789 is held by process \S.* \(pid {Environment.ProcessId}\): stop it, or choose another port with --dstport\z", outcome.Errors);
    }

    [SkippableFact]
    public void A_port_held_by_the_kernel_is_told_with_the_device()
    {
        using var up = UpNetwork.CreateOrSkip();
        Kernel.AddVxlanOrSkip(up.Network, "kv", "id", "5", "dstport", "4789", "local", "192.0.2.1");
        up.Network.Run("ip", "link", "set", "kv", "up");
        using var vtep = RunningVtep.Begin(up.Network, up.Words("vx0"));
        Assert.Equal(
            new Outcome(ExitCode.Failed, "", "sleeve up: UDP port 4789 is held by the kernel vxlan device kv: stop it, or choose another port with --dstport"), vtep.End());
    }

    [SkippableFact]
    public void Without_the_tun_device_says_where_it_comes_from()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.BeginAs(up.Network, ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net && exec \"$@\"", "sh"], up.Words("vx0"));
        var outcome = vtep.End();
        Assert.Equal(ExitCode.Failed, outcome.Code);
        Assert.Equal("sleeve up: there is no /dev/net/tun: load the kernel's tun module (modprobe tun), or pass the device into the container (--device /dev/net/tun)", outcome.Errors);
    }

    [SkippableFact]
    public void Without_permission_says_what_to_do()
    {
        using var up = UpNetwork.CreateOrSkip();
        File.SetUnixFileMode(up.Folder, (UnixFileMode)0x1FF);
        using var vtep = RunningVtep.BeginAs(up.Network, ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"], up.Words("vx0"));
        var outcome = vtep.End();
        Assert.Equal(ExitCode.Failed, outcome.Code);
        Assert.Matches(@"run as root", Assert.Single(outcome.ErrorLines));
        Assert.False(File.Exists(up.Socket));
    }

    [SkippableFact]
    public void A_second_one_of_the_same_device_fails_and_does_not_disturb_the_first()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var first = RunningVtep.Start(up.Network, up.Words("vx0"));
        var before = up.Trace();
        using (var same = RunningVtep.Begin(up.Network, up.Words("vx0")))
            Assert.Equal(new Outcome(ExitCode.Failed, "", $"sleeve up: {up.Socket} is in use: another sleeve serves this device; stop it first or give another --socket"), same.End());
        var other = up.Words("vx0", "--dstport", "5000");
        other[Array.IndexOf(other, "--socket") + 1] = up.Socket + "2";
        using (var elsewhere = RunningVtep.Begin(up.Network, other))
            Assert.Equal(new Outcome(ExitCode.Failed, "", "sleeve up: vx0 is in use: another process has this TAP open; stop it or choose another name"), elsewhere.End());
        Assert.Equal(before, up.Trace());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(up.Socket));
        Assert.Equal(ExitCode.Done, first.Stop().Code);
        Assert.Empty(Directory.GetFileSystemEntries(up.Folder));
    }
}
