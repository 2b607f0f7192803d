using System.Globalization;
using System.Text.RegularExpressions;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Packaging;

/// <summary>
/// The unit under a real systemd, which is process 1 of a throw-away root, as the user sleeve in its sandbox. In that root:
/// <code>
///   sleeve.service ─ vx0 10.1.1.1 ═ under0 192.0.2.1 ══ under1 192.0.2.2 (netns peer) ═ kernel vxlan 10.1.1.2
/// </code>
/// </summary>
public sealed partial class ServiceTests(ITestOutputHelper output) : IDisposable
{
    private const string Network = """
        ip netns add peer
        ip link add under0 type veth peer name under1 netns peer
        ip address add 192.0.2.1/24 dev under0
        ip link set under0 up
        ip -n peer address add 192.0.2.2/24 dev under1
        ip -n peer link set under1 up
        ip -n peer link set lo up
        ip -n peer link add vx0 type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
        ip -n peer address add 10.1.1.2/24 dev vx0
        ip -n peer link set vx0 up
        """;

    private const string Configuration = """
        socket-mode: 0660
        local: 192.0.2.1
        segments:
          - {ifname: vx0, vni: 100, remote: 192.0.2.2, address: 10.1.1.1/24}
        """;

    private readonly string _share = Directory.CreateTempSubdirectory("sleeve-service-").FullName;
    private BackgroundProcess? _boot;

    // 2.5 as it is; more would be a sandbox that somebody opened.
    private const double MostExposure = 3.0;

    [GeneratedRegex(@"Overall exposure level for sleeve.service: (?<level>[0-9.]+)")]
    private static partial Regex ExposureLine { get; }

    public void Dispose()
    {
        if (_boot is { HasExited: false })
        {
            // It removes the control groups as it ends.
            _boot.Signal();
            _boot.WaitForExit(TimeSpan.FromSeconds(20));
        }

        _boot?.Dispose();
        Directory.Delete(_share, recursive: true);
    }

    [SkippableFact]
    public void The_unit_is_right_and_lets_little_through()
    {
        ThrowAwayRoot.Require();
        Requirements.Programs("systemd-analyze");
        var result = ThrowAwayRoot.Run($"""
            {Install}
            rm -f /etc/systemd/system/*.wants/*
            export NO_COLOR=1 SYSTEMD_URLIFY=0 SYSTEMD_PAGER=
            systemd-analyze verify /usr/lib/systemd/system/sleeve.service
            systemd-analyze security --offline=yes --threshold={MostExposure * 10} /usr/lib/systemd/system/sleeve.service
            """, _share);
        output.WriteLine(result.Output);
        Assert.Equal(0, result.ExitCode);
        Assert.DoesNotContain("sleeve.service:", result.Output[..result.Output.IndexOf("NAME ", StringComparison.Ordinal)], StringComparison.Ordinal);
        Assert.InRange(double.Parse(ExposureLine.Match(result.Output).Groups["level"].ValueSpan, CultureInfo.InvariantCulture), 0, MostExposure);
    }

    [SkippableFact]
    public void Starts_reloads_restarts_and_stops_under_systemd_as_an_ordinary_user()
    {
        Boot();
        Inside("systemctl start sleeve");
        Assert.Equal("active", Show("ActiveState"));
        // Ready is ready: the socket answers, to members of the group too, and frames flow.
        Inside("sleeve stats dev vx0 --json >/dev/null; adduser --quiet nobody sleeve; setpriv --reuid nobody --init-groups --regid nogroup sleeve stats dev vx0 >/dev/null; ping -c 1 -W 5 10.1.1.2");
        var status = Inside("cat /proc/$(systemctl show -P MainPID sleeve)/status");
        // CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF.
        Assert.Matches(@"CapEff:\s+0000008000003000\n", status);
        Assert.Matches(@"CapBnd:\s+0000008000003000\n", status);
        Assert.Matches(@"NoNewPrivs:\s+1\nSeccomp:\s+2\n", status);
        Assert.DoesNotMatch(@"Uid:\s+0\s", status);
        // The sandbox costs nothing: what a kernel can do for super-frames is in use.
        if (Environment.OSVersion.Version >= new Version(6, 17)) Assert.Contains("tx-offload: tunnel-gso (self-test passed)", Inside("sleeve stats"), StringComparison.Ordinal);

        var (process, index) = (Show("MainPID"), Inside("cat /sys/class/net/vx0/ifindex"));
        Inside("echo '  - {ifname: vx1, vni: 101}' >>/etc/sleeve/sleeve.yaml; systemctl reload sleeve");
        Wait.Until(() => Inside("ip -br link").Contains("vx1 ", StringComparison.Ordinal), "the segment of the changed configuration");
        Assert.Equal(process, Show("MainPID"));
        Inside("ping -c 1 -W 5 10.1.1.2");

        // What is installed takes over in the same process.
        Inside("sleeve handover");
        Assert.Equal(process, Show("MainPID"));
        Assert.Contains("took over from the run before", Inside("journalctl -u sleeve -o cat"), StringComparison.Ordinal);
        Inside("ping -c 1 -W 5 10.1.1.2");

        // systemd holds what the kernel queues in.
        Inside("systemctl restart sleeve");
        Assert.NotEqual(process, Show("MainPID"));
        Assert.Contains("descriptors of the run before are in use again", Inside("journalctl -u sleeve -o cat _PID=$(systemctl show -P MainPID sleeve)"), StringComparison.Ordinal);
        Assert.Equal(index, Inside("cat /sys/class/net/vx0/ifindex"));
        Inside("ping -c 1 -W 5 10.1.1.2");

        Inside("systemctl stop sleeve");
        Assert.Equal(("inactive", "success"), (Show("ActiveState"), Show("Result")));
        Assert.Equal(index, Inside("cat /sys/class/net/vx0/ifindex"));
        Assert.DoesNotContain("error", Inside("journalctl -u sleeve -o cat"), StringComparison.OrdinalIgnoreCase);
        Inside($"{ThrowAwayRoot.Tree}/deploy/uninstall --prefix /usr --purge");
        Assert.DoesNotContain("vx", Inside("ip -br link; ls /var/lib /run /etc | grep sleeve || true"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Whatever_ends_or_hangs_is_started_again_but_not_a_wrong_configuration()
    {
        Boot();
        Inside("mkdir -p /etc/systemd/system/sleeve.service.d; printf '[Service]\\nWatchdogSec=2\\n' >/etc/systemd/system/sleeve.service.d/test.conf; systemctl daemon-reload; systemctl start sleeve");
        // It tells the watchdog that it lives.
        Thread.Sleep(TimeSpan.FromSeconds(5));
        Assert.Equal("0", Show("NRestarts"));

        Inside("kill -9 $(systemctl show -P MainPID sleeve)");
        WaitForRestart(1);
        Assert.Contains("descriptors of the run before are in use again", Inside("journalctl -u sleeve -o cat _PID=$(systemctl show -P MainPID sleeve)"), StringComparison.Ordinal);
        Inside("kill -STOP $(systemctl show -P MainPID sleeve)");
        WaitForRestart(2);
        Assert.Contains("Watchdog timeout", Inside("journalctl -o cat"), StringComparison.Ordinal);
        Inside("ping -c 1 -W 5 10.1.1.2");

        // Reloading what is wrong changes nothing, and starting with it is tried once.
        Inside("echo 'bogus: 1' >>/etc/sleeve/sleeve.yaml; systemctl reload sleeve");
        Wait.Until(() => Inside("journalctl -u sleeve -o cat").Contains("refused and nothing is changed", StringComparison.Ordinal), "the refusal");
        Inside("ping -c 1 -W 5 10.1.1.2; ! systemctl restart sleeve");
        Assert.Equal(("failed", "exit-code", "2"), (Show("ActiveState"), Show("Result"), Show("ExecMainStatus")));
        Assert.Contains("bogus: unknown key", Inside("journalctl -u sleeve -o cat -n 5"), StringComparison.Ordinal);
    }

    private static string Install => $"{ThrowAwayRoot.Tree}/deploy/install --prefix /usr --from {ThrowAwayRoot.Program} --service systemd >/dev/null";

    private void Boot()
    {
        ThrowAwayRoot.Require();
        Requirements.Programs("systemctl", "nsenter");
        Skip.IfNot(File.Exists("/lib/systemd/systemd"), "needs systemd: apt-get install systemd");
        _boot = ThrowAwayRoot.Boot(_share);
        Wait.Until(() => _boot.HasExited || IsUp(), "systemd as process 1", TimeSpan.FromSeconds(60), 200);
        Skip.If(_boot.HasExited, $"systemd does not run here: {_boot.Error}{_boot.Output}");
        File.WriteAllText(Path.Combine(_share, "sleeve.yaml"), Configuration + "\n");
        Inside($"{Network}\n{Install}\ncp /run/share/sleeve.yaml /etc/sleeve/sleeve.yaml\nsystemctl daemon-reload");
    }

    private bool IsUp() => ThrowAwayRoot.InitOf(_boot!) is > 0 and var init && Enter(init, "systemctl is-system-running").Output.Trim() is "running" or "degraded";

    private void WaitForRestart(int times) => Wait.Until(
        () => Show("NRestarts") == times.ToString(CultureInfo.InvariantCulture) && Show("ActiveState") == "active", $"restart {times}", TimeSpan.FromSeconds(60), 200);

    private string Show(string property) => Inside($"systemctl show -P {property} sleeve").TrimEnd('\n');

    private string Inside(string script)
    {
        var result = Enter(ThrowAwayRoot.InitOf(_boot!), $"exec 2>&1; set -e; {script}");
        if (result.ExitCode == 0) return result.Output;
        output.WriteLine(Enter(ThrowAwayRoot.InitOf(_boot!), "systemctl status sleeve --no-pager -l; journalctl -o cat -n 60").Output);
        Assert.Fail($"{script}\nended with {result.ExitCode}:\n{result.Output}");
        return "";
    }

    private static CommandResult Enter(int init, string script) =>
        Command.Run(["nsenter", "-t", init.ToString(CultureInfo.InvariantCulture), "-a", "bash", "-c", script], timeout: ThrowAwayRoot.Patience);
}
