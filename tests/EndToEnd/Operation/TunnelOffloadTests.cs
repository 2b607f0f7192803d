using System.Text.Json;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Tunnel GSO and what a host can have against it. The way out is the host's forwarding, so its firewall may eat what the sockets may send.
/// <code>
///     a: sleeve up … --tx-offload … ═══ veth pair ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class TunnelOffloadTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Bytes = 50_000_000;
    private const string Rules = "add table inet t; add chain inet t f { type filter hook forward priority 0; policy drop; }";

    [SkippableFact]
    public void Super_frames_leave_whole_and_nothing_of_the_host_is_changed()
    {
        var pair = Given("auto");
        var a = pair.One.Host;
        var underlay = Settings(a, Host.UnderlayDevice);
        Traffic.TransferByTcp(a, pair.Other.Host, Pair.Overlay2, Bytes);
        var stats = Stats(pair);
        Assert.Equal("tunnel-gso", stats.GetProperty("tx_offload").GetString());
        Assert.True(stats.GetProperty("tx_tunnel_messages").GetInt64() > 100);
        Assert.Equal(0, stats.GetProperty("tx_tunnel_refused").GetInt64());
        Assert.Equal(0, stats.GetProperty("tx_tunnel_eaten").GetInt64());
        Assert.Equal(underlay, Settings(a, Host.UnderlayDevice));
        foreach (var shared in new[] { "all", "default" }) Assert.Equal(Settings(pair.Other.Host, shared), Settings(a, shared));

        Assert.True(a.HasDevice("sleeve0"));
        pair.One.Terminate();
        Assert.False(a.HasDevice("sleeve0"));
        Assert.Equal(underlay, Settings(a, Host.UnderlayDevice));
    }

    [SkippableFact]
    public void After_a_kill_nothing_stays()
    {
        Requirements.TunnelOffload();
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        var process = SleeveProgram.Up(a, Command.Split($"vx100-a --vni 100 --local {a.Address} --remote {b.Address}"));
        Assert.True(a.HasDevice("sleeve0"));
        process.Signal(LibC.SIGKILL);
        Assert.True(process.WaitForExit(Wait.Soon));
        Wait.Until(() => !a.HasDevice("sleeve0"), "the underlay TAP to go");
    }

    [SkippableFact]
    public void A_firewall_that_drops_what_is_forwarded_is_noticed_and_said()
    {
        var pair = Given("auto", a => a.Try(["nft", Rules]).Ok());
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, Pair.Overlay2, Bytes);
        AssertFallenBack(pair);
    }

    [SkippableFact]
    public void A_firewall_that_comes_later_does_not_stop_traffic_and_goes_as_it_came()
    {
        var pair = Given("auto");
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes);
        Assert.Equal("tunnel-gso", Stats(pair).GetProperty("tx_offload").GetString());

        var transfer = Task.Factory.StartNew(
            () =>
            {
                for (var i = 0; i < 3; i++) Traffic.TransferByTcp(a, b, Pair.Overlay2);
            },
            TaskCreationOptions.LongRunning);
        Thread.Sleep(200);
        a.Try(["nft", Rules]).Ok();
        transfer.GetAwaiter().GetResult();
        Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes);
        AssertFallenBack(pair);

        a.Run("nft flush ruleset");
        Wait.Until(
            () =>
            {
                Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes / 10);
                return Stats(pair).GetProperty("tx_offload").GetString() == "tunnel-gso";
            },
            "tunnel-gso again", TimeSpan.FromSeconds(15));
    }

    [SkippableTheory]
    [InlineData("tunnel-gso", 1)]
    [InlineData("auto", 2)]
    public void Reverse_path_filtering_of_all_devices_is_heeded(string path, int value)
    {
        var lab = NewLab();
        Requirements.TunnelOffload();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        a.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/conf/all/rp_filter", $"{value}"));
        if (value == 1)
        {
            var refused = SleeveProgram.Run(a, $"up vx100-a --vni 100 --local {a.Address} --remote {b.Address} --tx-offload {path}");
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("tunnel-gso cannot be had: net.ipv4.conf.all.rp_filter is 1", refused.Error, StringComparison.Ordinal);
            Assert.False(a.HasDevice("sleeve0"));
            return;
        }

        var pair = new Pair(lab, Start(VtepKind.Sleeve, a, b, path), Start(VtepKind.Kernel, b, a, path));
        Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes);
        Assert.Equal("tunnel-gso", Stats(pair).GetProperty("tx_offload").GetString());
        Assert.Equal(0, Stats(pair).GetProperty("tx_tunnel_eaten").GetInt64());
    }

    private Pair Given(string path, Action<Host>? prepare = null)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "is about Sleeve's own ways");
        Requirements.Programs("nft");
        Requirements.TunnelOffload();
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        prepare?.Invoke(a);
        var pair = new Pair(lab, Start(VtepKind.Sleeve, a, b, path), Start(VtepKind.Kernel, b, a, path));
        Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2));
        return pair;
    }

    private static Vtep Start(VtepKind kind, Host host, Host remote, string path) => Vtep.Start(kind, host, new VtepOptions
    {
        Remotes = [remote.Address], Addresses = [$"{Pair.OverlayOf(host, ipv6: false)}/24"], Offload = path,
    });

    private static JsonElement Stats(Pair pair) => JsonDocument.Parse(ControlSocket.Get(pair.One.Device, "stats")).RootElement;

    private static void AssertFallenBack(Pair pair)
    {
        var stats = Stats(pair);
        Assert.Equal("udp-gso", stats.GetProperty("tx_offload").GetString());
        Assert.Contains("do not leave this host", stats.GetProperty("tx_offload_reason").GetString(), StringComparison.Ordinal);
        Assert.InRange(stats.GetProperty("tx_tunnel_eaten").GetInt64(), 2, 20);
        var process = ((SleeveVtep)pair.One).Process;
        Wait.Until(() => process.Error.Contains("tx-offload is udp-gso now", StringComparison.Ordinal), "a line that says so", TimeSpan.FromSeconds(3));
        Assert.Contains("udp-gso", SleeveProgram.Run(pair.One.Host, $"stats dev {pair.One.Device}").Ok(), StringComparison.Ordinal);
    }

    private static string Settings(Host host, string device) => string.Join(' ', host.InNamespace(() => new[]
    {
        "ipv4/conf/{0}/forwarding", "ipv4/conf/{0}/rp_filter", "ipv4/conf/{0}/accept_local", "ipv6/conf/{0}/forwarding", "ipv6/conf/{0}/accept_ra",
    }.Select(key => File.ReadAllText("/proc/sys/net/" + key.Replace("{0}", device, StringComparison.Ordinal)).Trim()).ToArray()));
}
