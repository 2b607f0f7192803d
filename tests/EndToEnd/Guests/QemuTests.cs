using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Guests;

/// <summary>A virtual machine of qemu on a TAP that is attached. It boots nothing: the firmware of its network card has a whole network stack, asks for an address, and answers pings.</summary>
public sealed class QemuTests(ITestOutputHelper output) : GuestTest(output)
{
    private const string Address = "10.1.0.20";

    [SkippableFact]
    public void A_machine_of_qemu_gets_its_address_from_another_host_and_answers_it()
    {
        Requirements.Programs("qemu-system-x86_64", "dnsmasq");
        var daemons = GivenNetwork();
        using var attached = JsonDocument.Parse(daemons[0].Run($"attach {Network} tap:vm1 {Address} --json").Ok());
        var mac = attached.RootElement.GetProperty("mac").GetString()!;
        var pod = Container(daemons[1]);
        Attach(daemons[1], Network, pod);
        var server = daemons[1].Host.Lab.Own(new BackgroundProcess(
        [
            "ip", "netns", "exec", pod, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--port=0", "--no-resolv", "--no-hosts",
            "--interface=eth0", "--dhcp-range=10.1.0.0,static", $"--dhcp-host={mac},{Address}", "--dhcp-leasefile=/dev/null", "--no-ping",
        ]));
        server.WaitForText("DHCP, static leases only", Patience);
        // Emulated, so that it needs no /dev/kvm. What finds nothing to boot begins anew.
        var machine = StartOn(daemons[0].Host,
            "qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none", "-m", "64", "-boot", "order=n,reboot-timeout=1000",
            "-netdev", "tap,id=n0,ifname=vm1,script=no,downscript=no", "-device", $"virtio-net-pci,netdev=n0,mac={mac},host_mtu=1450");
        // The question is a broadcast: it goes to every host that has the network.
        server.WaitForText($"DHCPACK(eth0) {Address} {mac}", Patience);
        WaitForPing(pod, Address);
        Assert.False(machine.HasExited);

        // The TAP outlives the machine, and goes when it is detached.
        machine.Signal();
        Assert.True(machine.WaitForExit(Patience));
        Assert.True(daemons[0].Host.HasDevice("vm1"));
        daemons[0].Run($"detach {Network} tap:vm1").Ok();
        Assert.False(daemons[0].Host.HasDevice("vm1"));
        AuditFindsNothing(daemons[0]);
    }
}
