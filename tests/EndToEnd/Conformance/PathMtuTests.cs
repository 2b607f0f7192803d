using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// MT01 to MT05 (MT06 is in <see cref="LearnedPathMtuTests"/>): what does not fit the path is answered or fragmented, and never just gone. The stations behind <see cref="BridgedPair"/> have the
/// MTU of the underlay itself, so that TCP between them would hang if nobody told them.
/// </summary>
public sealed class PathMtuTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Bytes = 20_000_000;

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 1500, 1450)]
    [InlineData(AddressFamily.InterNetworkV6, 1500, 1430)]
    [InlineData(AddressFamily.InterNetwork, 9000, 8950)]
    [Trait("Case", "MT01")]
    public void A_new_device_has_the_MTU_of_the_route_less_the_overhead(AddressFamily underlay, int mtu, int expected)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel takes it from `dev`, which the lab does not give");
        var lab = NewLab(underlay);
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        a.Run($"ip link set {Host.UnderlayDevice} mtu {mtu}");
        var vtep = Vtep.Start(VtepKind.Sleeve, a, new VtepOptions { Remotes = [b.Address] });
        Assert.Contains($" mtu {expected} ", a.Run($"ip -o link show dev {vtep.Device}"), StringComparison.Ordinal);
        Assert.Equal((mtu, "link"), PathMtuOf(vtep, b.Address));
    }

    [SkippableTheory]
    [InlineData(1450)]
    [InlineData(1500)]
    [InlineData(9000)]
    [Trait("Case", "MT02")]
    public void An_exact_fit_passes_in_one_piece_and_one_byte_more_is_refused(int mtu)
    {
        var lab = NewLab();
        var pair = Pair.Make(lab, VtepKind.Kernel, with: options => options with { Mtu = mtu });
        foreach (var host in new[] { pair.One.Host, pair.Other.Host }) host.Run($"ip link set {Host.UnderlayDevice} mtu {mtu + 50}");
        if (pair.One is SleeveVtep) AwaitPathMtu(pair.One, pair.Other.Host.Address, mtu + 50, "link");
        using var capture = new Capture(pair.Other.Host, Host.UnderlayDevice);
        Assert.Equal(2, Traffic.Ping(pair.One.Host, Pair.Overlay2, 2, mtu - 28, "-M do"));
        Assert.Equal(2, Traffic.Ping(pair.Other.Host, Pair.Overlay1, 2, mtu - 28, "-M do"));
        Assert.Equal(0, Traffic.Ping(pair.One.Host, Pair.Overlay2, 1, mtu - 27, "-M do"));
        Assert.DoesNotContain(capture.Packets, packet => IsOuterFragment(packet.Bytes));
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Kernel)]
    [InlineData(AddressFamily.InterNetworkV6, VtepKind.Sleeve)]
    [Trait("Case", "MT03")]
    public void What_may_be_fragmented_arrives_in_outer_fragments(AddressFamily underlay, VtepKind peer)
    {
        // The kernel's own device does not fragment over IPv6: what is too long is lost there.
        Skip.If(underlay == AddressFamily.InterNetworkV6 && SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device does not fragment over IPv6");
        var pair = BridgedPair.Make(NewLab(underlay), SleeveProgram.DeviceUnderTest, peer);
        using var capture = new Capture(pair.Other.Host, Host.UnderlayDevice);
        Assert.Equal(2, Traffic.Ping(pair.StationOne, BridgedPair.Other4, 2, 1472, "-M dont"));
        Assert.Equal(2, Traffic.Ping(pair.StationOther, BridgedPair.One4, 2, 1472, "-M dont"));
        Assert.Contains(capture.Packets, packet => IsOuterFragment(packet.Bytes));
        Assert.Equal(0, Stat(pair.One, "pmtu_replies"));
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 1450)]
    [InlineData(AddressFamily.InterNetworkV6, 1430)]
    [Trait("Case", "MT04")]
    public void A_station_behind_a_bridge_is_answered_and_its_packet_not_sent(AddressFamily underlay, int mtu)
    {
        var pair = BridgedPair.Make(NewLab(underlay), SleeveProgram.DeviceUnderTest);
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other6);
        using var capture = new Capture(pair.One.Host, Host.UnderlayDevice);

        var four = pair.StationOne.Try($"ping -n -c 2 -i 0.2 -W 1 -M do -s 1472 {BridgedPair.Other4}").Output;
        Assert.Contains($"From {BridgedPair.Other4} icmp_seq=1 Frag needed and DF set (mtu = {mtu})", four, StringComparison.Ordinal);
        var six = pair.StationOne.Try($"ping -n -c 2 -i 0.2 -W 1 -M do -s 1452 {BridgedPair.Other6}").Output;
        Assert.Contains($"From {BridgedPair.Other6} icmp_seq=1 Packet too big: mtu={mtu}", six, StringComparison.Ordinal);

        Assert.DoesNotContain(capture.Packets, packet => packet.Bytes.Length > 1000 || IsOuterFragment(packet.Bytes));
        if (pair.One is not SleeveVtep) return;
        Assert.Equal(2, Stat(pair.One, "pmtu_replies"));
        Assert.Equal(2, ((SleeveVtep)pair.One).Stats().Drops("ExceedsPathMtu"));
    }

    [SkippableFact]
    [Trait("Case", "MT04")]
    public void The_answers_are_the_kernels_byte_by_byte()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "compares Sleeve with the kernel");
        var kernel = AnswersOf(VtepKind.Kernel);
        var sleeve = AnswersOf(VtepKind.Sleeve);
        Assert.Equal(kernel.Keys, sleeve.Keys);
        // Linux 6.18 answers these three and should not: it asks whether the type of ::1 is loopback where it is unicast besides, and answers in the name of a
        // group. Of later fragments the first one is answered anyway.
        foreach (var name in new[] { "six from loopback", "six to a group", "six later fragment" })
        {
            kernel.Remove(name);
            Assert.True(sleeve.Remove(name, out var none) && none.Length == 0, name);
        }

        Assert.Equal([], kernel.Where(pair => pair.Value != sleeve[pair.Key]).Select(pair => $"{pair.Key}: kernel {pair.Value}, Sleeve {sleeve[pair.Key]}"));
        // Both would be equal if neither answered anything.
        Assert.NotEqual("", sleeve["udp4"]);
        Assert.NotEqual("", sleeve["udp6"]);
        Assert.Equal("", sleeve["no DF"]);
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, "udp-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, "none")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, "tunnel-gso")]
    [Trait("Case", "MT05")]
    public void TCP_between_stations_with_too_large_an_MTU_gets_through_both_ways(VtepKind peer, AddressFamily underlay, string path)
    {
        var pair = BridgedPair.Make(NewLab(underlay), SleeveProgram.DeviceUnderTest, peer, with: options => options with { Offload = path });
        foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
        {
            Traffic.WaitForPing(pair.StationOne, BridgedPair.OtherOf(family));
            Traffic.TransferByTcp(pair.StationOne, pair.StationOther, BridgedPair.OtherOf(family), Bytes);
            Traffic.TransferByTcp(pair.StationOther, pair.StationOne, BridgedPair.OneOf(family), Bytes);
        }

        // Only who is told sends smaller ones: nobody would have fragmented for TCP, which sets DF.
        if (pair.One is SleeveVtep) Assert.InRange(Stat(pair.One, "pmtu_replies"), 1, 1000);
    }

    [SkippableTheory]
    [InlineData("udp-gso")]
    [InlineData("tunnel-gso")]
    [Trait("Case", "MT05")]
    public void A_host_that_routes_into_too_large_a_device_is_told_and_its_packets_sent_all_the_same(string path)
    {
        var pair = Pair.Make(NewLab(), VtepKind.Kernel, with: options => options with { Mtu = 1500, Offload = path });
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Traffic.WaitForPing(a, Pair.Overlay2);
        Assert.True(MacAddress.TryParse(a.MacOf(pair.One.Device), out var here));
        Assert.True(MacAddress.TryParse(b.MacOf(pair.Other.Device), out var there));
        var frame = Frames.Ethernet(there, here, Frames.IPv4, Frames.Ipv4Packet(
            Pair.Overlay1, Pair.Overlay2, 17, Frames.Udp(Pair.Overlay1, Pair.Overlay2, 4000, 4001, new byte[1472]), 7, 0x4000));
        using (var port = pair.Other.OpenPort())
        {
            pair.One.OpenPort().Send(frame);
            Assert.DoesNotContain(port.ReceiveUntil(frame), other => other.Length > 1000);
        }

        Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes);
        Traffic.TransferByTcp(a, b, Pair.Overlay2V6, Bytes);
        Assert.Contains("mtu 1450", a.Run($"ip route get {Pair.Overlay2}"), StringComparison.Ordinal);
        if (pair.One is SleeveVtep sleeve) Assert.Equal(0, sleeve.Stats().Drops("ExceedsPathMtu"));
    }

    [SkippableFact]
    [Trait("Case", "MT04")]
    public void Follows_links_and_routes_while_it_runs()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "asks Sleeve for what it knows");
        var pair = BridgedPair.Make(NewLab(), VtepKind.Sleeve);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        AwaitPathMtu(pair.One, b.Address, 1500, "link");

        a.Run($"ip route add {b.Address}/32 dev {Host.UnderlayDevice} mtu 1300");
        AwaitPathMtu(pair.One, b.Address, 1300, "route");
        AssertTold(pair, 1250);
        a.Run($"ip route change {b.Address}/32 dev {Host.UnderlayDevice} mtu 1400");
        AwaitPathMtu(pair.One, b.Address, 1400, "route");
        AssertTold(pair, 1350);
        a.Run($"ip link set {Host.UnderlayDevice} mtu 1280");
        AwaitPathMtu(pair.One, b.Address, 1280, "link");
        AssertTold(pair, 1230);
        a.Run($"ip route del {b.Address}/32");
        a.Run($"ip link set {Host.UnderlayDevice} mtu 9000");
        AwaitPathMtu(pair.One, b.Address, 9000, "link");

        // One that comes to be known at run time, one without a route, and one that gets a route.
        pair.One.FdbDo("append", $"{Vtep.Default} dev {pair.One.Device} dst 10.0.0.77");
        AwaitPathMtu(pair.One, IPAddress.Parse("10.0.0.77"), 9000, "link");
        var away = IPAddress.Parse("192.0.2.9");
        pair.One.FdbDo("append", $"{Vtep.Default} dev {pair.One.Device} dst {away}");
        AwaitPathMtu(pair.One, away, 0, "default");
        a.Run($"ip route add 192.0.2.0/24 via {b.Address} mtu 1444");
        AwaitPathMtu(pair.One, away, 1444, "route");
        Assert.Contains("1444", SleeveProgram.Run(a, $"stats dev {pair.One.Device}").Ok(), StringComparison.Ordinal);
    }

    // What a station is answered to each of some packets of 1500 bytes that do not fit.
    private SortedDictionary<string, string> AnswersOf(VtepKind kind)
    {
        const ushort Marker = 0xBE00;
        using var lab = new Lab(Output);
        var pair = BridgedPair.Make(lab, kind);
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        using var port = new RawPort(pair.StationOne, BridgedPair.StationDevice);
        var (from, to) = (MacAddress.FromValue(0x0200_0000_0B03), MacAddress.FromValue(0x0200_0000_0B04));
        var payload = new byte[1472];
        for (var i = 0; i < payload.Length; i++) payload[i] = (byte)(i * 7);
        byte[] Udp(IPAddress source, IPAddress destination, int length) => Frames.Udp(source, destination, 4000, 4001, payload.AsSpan(0, length));
        byte[] V4(byte protocol, byte[] rest, ushort fragment = 0x4000, IPAddress? source = null, IPAddress? destination = null, ushort id = 7) =>
            Frames.Ethernet(to, from, Frames.IPv4, Frames.Ipv4Packet(source ?? BridgedPair.One4, destination ?? BridgedPair.Other4, protocol, rest, id, fragment));
        byte[] V6(byte protocol, byte[] rest, IPAddress? source = null, IPAddress? destination = null) =>
            Frames.Ethernet(to, from, Frames.IPv6, Frames.Ipv6Packet(source ?? BridgedPair.One6, destination ?? BridgedPair.Other6, protocol, rest, 33));
        var (udp4, udp6) = (Udp(BridgedPair.One4, BridgedPair.Other4, 1472), Udp(BridgedPair.One6, BridgedPair.Other6, 1452));
        Dictionary<string, byte[]> packets = new()
        {
            ["udp4"] = V4(17, udp4),
            ["udp6"] = V6(17, udp6),
            ["no DF"] = V4(17, udp4, 0),
            ["DF and more fragments"] = V4(17, udp4, 0x6000),
            ["to a group"] = V4(17, udp4, destination: IPAddress.Parse("239.1.2.3")),
            ["to all"] = V4(17, udp4, destination: IPAddress.Broadcast),
            ["from nobody"] = V4(17, udp4, source: IPAddress.Any),
            ["from loopback"] = V4(17, udp4, source: IPAddress.Loopback),
            ["echo request"] = V4(1, [8, 0, .. payload.AsSpan(0, 1470)]),
            ["unreachable"] = V4(1, [3, 1, .. payload.AsSpan(0, 1470)]),
            ["six to a group"] = V6(17, udp6, destination: IPAddress.Parse("ff0e::1")),
            ["six from nobody"] = V6(17, udp6, source: IPAddress.IPv6Any),
            ["six from loopback"] = V6(17, udp6, source: IPAddress.IPv6Loopback),
            ["six echo request"] = V6(58, [128, 0, .. payload.AsSpan(0, 1450)]),
            ["six unreachable"] = V6(58, [1, 0, .. payload.AsSpan(0, 1450)]),
            ["six redirect"] = V6(58, [137, 0, .. payload.AsSpan(0, 1450)]),
            ["six first fragment"] = V6(44, [17, 0, 0, 1, 0, 0, 0, 9, .. udp6.AsSpan(0, 1440)]),
            ["six later fragment"] = V6(44, [17, 0, 0x05, 0xA0, 0, 0, 0, 9, .. udp6.AsSpan(0, 1440)]),
            ["six options"] = V6(60, [17, 0, 1, 4, 0, 0, 0, 0, .. udp6.AsSpan(0, 1440)]),
            ["other protocol"] = V4(99, udp4),
        };
        SortedDictionary<string, string> answers = [];
        foreach (var (name, packet) in packets)
        {
            port.Send(packet);
            // Another behind it that does not fit either, with a number of its own: when it is answered, the packet was or is not.
            port.Send(V4(17, udp4, id: Marker));
            var came = new List<string>();
            while (true)
            {
                var frame = port.Receive(Wait.Soon) ?? throw new TimeoutException($"no answer behind {name}");
                if (MacAddress.Read(frame) != from) continue;
                if (frame.Length > 60 && frame[23] == 1 && frame[46] == Marker >> 8) break;
                // What arrived in spite of its length, the other station may have answered otherwise.
                var isTooBig = frame.Length > 100 && (frame[12] == 0x08 ? frame[34] == 3 && frame[35] == 4 : frame[54] == 2);
                if (isTooBig) came.Add(Convert.ToHexStringLower(frame));
            }

            answers[name] = string.Join('\n', came);
        }

        return answers;
    }

    private static void AssertTold(BridgedPair pair, int mtu)
    {
        pair.StationOne.Run("ip route flush cache");
        var said = pair.StationOne.Try($"ping -n -c 1 -W 1 -M do -s 1472 {BridgedPair.Other4}").Output;
        Assert.Contains($"(mtu = {mtu})", said, StringComparison.Ordinal);
    }

    internal static void AwaitPathMtu(Vtep vtep, IPAddress remote, int mtu, string origin) =>
        Wait.Until(() => PathMtuOf(vtep, remote) == (mtu, origin), $"path MTU {mtu} from {origin} to {remote}, is {PathMtuOf(vtep, remote)}", TimeSpan.FromSeconds(10), pollMilliseconds: 50);

    /// <summary>What Sleeve takes the MTU of the path for, and why; −1 if it does not know the remote.</summary>
    internal static (int Mtu, string Origin) PathMtuOf(Vtep vtep, IPAddress remote) => RemoteOf(vtep, remote) is { } found
        ? (found.TryGetProperty("pmtu", out var mtu) ? mtu.GetInt32() : 0, found.GetProperty("pmtu_from").GetString()!)
        : (-1, "");

    /// <summary>What the last probe found; null if there was none.</summary>
    internal static (int Mtu, string Verdict)? ProbeOf(Vtep vtep, IPAddress remote) =>
        RemoteOf(vtep, remote) is { } found && found.TryGetProperty("pmtu_probe", out var verdict) ? (found.GetProperty("pmtu_probed").GetInt32(), verdict.GetString()!) : null;

    private static JsonElement? RemoteOf(Vtep vtep, IPAddress remote)
    {
        using var document = JsonDocument.Parse(ControlSocket.Get(vtep.Device, "stats"));
        foreach (var segment in document.RootElement.GetProperty("segments").EnumerateArray())
        {
            foreach (var each in segment.GetProperty("remotes").EnumerateArray())
                if (each.GetProperty("dst").GetString() == remote.ToString()) return each.Clone();
        }

        return null;
    }

    /// <summary>A counter of the segment; 0 where the kernel stands in its place.</summary>
    internal static long Stat(Vtep vtep, string counter)
    {
        if (vtep is not SleeveVtep) return 0;
        using var document = JsonDocument.Parse(ControlSocket.Get(vtep.Device, "stats"));
        return document.RootElement.GetProperty("segments").EnumerateArray().Sum(segment => segment.GetProperty("counters").GetProperty(counter).GetInt64());
    }

    internal static bool IsOuterFragment(byte[] packet) => packet.Length > 40 && (packet[12], packet[13]) switch
    {
        (0x08, 0x00) => ((packet[20] << 8 | packet[21]) & 0x3FFF) != 0,
        (0x86, 0xDD) => packet[20] == 44,
        _ => false,
    };
}
