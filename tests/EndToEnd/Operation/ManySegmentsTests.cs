using System.Diagnostics;
using System.Globalization;
using System.Text;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// A thousand segments from a configuration file.
/// <code>
///     A 10.0.0.2   B 10.0.0.3      UDP sockets in the part of VTEPs
///        │            │
///     ───┴──────┬─────┴───         switch
///               D 10.0.0.1         sleeve up --config: v1 … v1000
/// </code>
/// </summary>
public sealed class ManySegmentsTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Count = 1000;

    [SkippableFact]
    [Trait("Case", "IS04")]
    public void One_MAC_in_a_thousand_segments_is_a_thousand_stations()
    {
        Requirements.Tap();
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("d"), lab.AddHost("a"), lab.AddHost("b")];
        lab.JoinBySwitch(hosts);
        var d = hosts[0];
        UnderlayPeer[] peers = [lab.Own(new UnderlayPeer(hosts[1])), lab.Own(new UnderlayPeer(hosts[2]))];
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"local: {d.Address}\nremote: [{peers[0].Address}, {peers[1].Address}]\nworkers: 1\nsegments:\n");
        for (var vni = 1; vni <= Count; vni++) text.Append(CultureInfo.InvariantCulture, $"  - {{ifname: v{vni}, vni: {vni}}}\n");
        using var file = new TemporaryFile(text.ToString());

        var clock = Stopwatch.StartNew();
        var process = SleeveProgram.Up(d, ["--config", file.Path]);
        lab.Log($"ready after {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.InRange(process.Error.Split('\n').Length, 10, 40);

        // The station is behind A in odd segments and behind B in even ones.
        var (station, asker) = (Frames.Mac(0x51), Frames.Mac(0x52));
        for (var vni = 1; vni <= Count; vni++)
            peers[vni % 2 == 1 ? 0 : 1].Send([0x08, 0, 0, 0, (byte)(vni >> 16), (byte)(vni >> 8), (byte)vni, 0, .. Frames.Unique(MacAddress.Broadcast, station)], d.Address);
        foreach (var vni in new[] { 1, 2, 499, 500, 999, 1000 })
        {
            Wait.Until(() => FdbEntry.Read(ControlSocket.Get("v1", $"segments/v{vni}/fdb")).Any(entry => entry.Mac == $"{station}"), $"v{vni} learns the station");
            using var port = new RawPort(d, $"v{vni}");
            var frame = Frames.Unique(station, asker);
            port.Send(frame);
            Assert.Equal(vni, peers[vni % 2 == 1 ? 0 : 1].Expect(frame).Vni);
        }

        foreach (var peer in peers) Assert.DoesNotContain(peer.ReceiveFor(TimeSpan.FromMilliseconds(100)), datagram => MacAddress.Read(datagram.Inner) == station);
        process.Signal();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, process.ExitCode);
        Assert.False(d.HasDevice("v1000"));
    }

    [SkippableFact]
    public void A_file_sets_each_TAP_as_it_says()
    {
        Requirements.Tap();
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("d"), lab.AddHost("a")];
        lab.JoinBySwitch(hosts);
        var (d, a) = (hosts[0], hosts[1]);
        d.Run("ip link add br0 type bridge");
        using var file = new TemporaryFile($$"""
            local: {{d.Address}}
            ageing: 77
            segments:
              - ifname: v1
                vni: 1
                remote: {{a.Address}}
                address: [10.9.0.1/24, "fd09::1/64"]
                mac: 02:00:00:00:00:77
                fdb: 02:00:00:00:00:09 dst 10.0.0.9 vni 9 static
                neigh: 10.9.0.9 lladdr 02:00:00:00:00:09
              - ifname: v2
                vni: 2
                bridge: br0
                mtu: 1300
              - ifname: v3
                vni: 3
                netns: {{a.Namespace}}
                address: 10.9.3.1/24
            """);
        var process = SleeveProgram.Up(d, ["--config", file.Path]);
        var first = d.Run("ip address show dev v1");
        Assert.All(new[] { "10.9.0.1/24", "fd09::1/64", "02:00:00:00:00:77", "mtu 1450" }, word => Assert.Contains(word, first, StringComparison.Ordinal));
        var second = d.Run("ip link show dev v2");
        Assert.All(new[] { "master br0", "mtu 1300" }, word => Assert.Contains(word, second, StringComparison.Ordinal));
        Assert.False(d.HasDevice("v3"));
        Assert.Contains("10.9.3.1/24", a.Run("ip address show dev v3"), StringComparison.Ordinal);
        Assert.Contains("02:00:00:00:00:09 dst 10.0.0.9 vni 9 self static", SleeveProgram.Run(d, "fdb show dev v1").Ok(), StringComparison.Ordinal);
        Assert.Contains("10.9.0.9 lladdr 02:00:00:00:00:09", SleeveProgram.Run(d, "neigh show dev v1").Ok(), StringComparison.Ordinal);
        Assert.DoesNotContain(a.Address.ToString(), SleeveProgram.Run(d, "fdb show dev v2").Ok(), StringComparison.Ordinal);
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon));
        Assert.Equal(0, process.ExitCode);
        Assert.False(d.HasDevice("v1"));
        Assert.False(a.HasDevice("v3"));
    }

    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(string text) => File.WriteAllText(Path, text);

        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);
    }
}
