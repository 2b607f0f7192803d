using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// MC01 to MC03 and TT03: a multicast group in the place of a replication list (RFC 7348, section 4.2).
/// <code>
///     A, B: a member of the group each, and a socket of their own
///        │
///     D: group G dev u0 ◀─▶ RawPort
/// </code>
/// </summary>
public sealed class MulticastTests(ITestOutputHelper output) : ConformanceTest(output)
{
    public static TheoryData<AddressFamily> Families() => [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    private static IPAddress GroupOf(AddressFamily family, int number = 1) =>
        IPAddress.Parse(family == AddressFamily.InterNetwork ? $"239.1.1.{number}" : $"ff05::1:{number:x}");

    private Stage GivenGroup(AddressFamily family, int peers = 1, int? workers = null)
    {
        var stage = Given(peers, flood: 0, with: options => options with { Group = GroupOf(family), Workers = workers }, family: family);
        for (var i = 0; i < peers; i++) GroupPeer.LetSend(stage.Peers[i], stage.Lab.Hosts[i + 1]);
        return stage;
    }

    private static bool IsJoined(Host host, IPAddress group) => host.Run($"ip maddr show dev {Host.UnderlayDevice}").Split(' ', '\n').Contains(group.ToString());

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    [Trait("Case", "TT03")]
    public void Floods_to_the_group_and_sends_to_what_it_learned_there(AddressFamily family)
    {
        var stage = GivenGroup(family, peers: 2);
        var group = GroupOf(family);
        Assert.True(IsJoined(stage.D, group));
        using var member = new GroupPeer(stage.Lab.Hosts[1], group);
        using var other = new GroupPeer(stage.Lab.Hosts[2], group);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);

        // Flood: one datagram to G, TTL 1, from our own address.
        byte[][] flood = [.. Enumerable.Range(0, 5).Select(_ => Frames.Unique(Unknown, Local))];
        foreach (var frame in flood) stage.Port.Send(frame);
        foreach (var peer in new[] { member, other })
            foreach (var frame in flood) Assert.Equal(stage.D.Address, peer.Peer.Expect(frame).Source.Address);
        // A run is one packet here, which the kernel has yet to cut.
        var sent = capture.WaitFor(1, p => p.Source.Equals(stage.D.Address));
        Assert.All(sent, p => Assert.Equal((group, 1), (p.Destination, (int)p.TimeToLive)));

        // What others flood arrives once and is learned; the answer goes to the sender alone.
        var came = Frames.Unique(Local, Remote);
        stage.A.Send(Frames.Vxlan(100, came), group);
        Assert.Equal([came], stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(700)));
        stage.Dut.WaitUntilLearned(Remote, stage.A.Address);
        var answer = Frames.Unique(Remote, Local);
        stage.Port.Send(answer);
        Assert.Equal(stage.D.Address, stage.A.Expect(answer).Source.Address);
        Assert.Equal((stage.A.Address, 64), capture.WaitFor(1, p => p.Inner.SequenceEqual(answer)).Select(p => (p.Destination, (int)p.TimeToLive)).Single());

        // A VTEP that nobody knew before is as welcome.
        var stranger = Frames.Unique(Local, Frames.Mac(0xB7));
        stage.SendFrom(stage.B, stranger);
        Assert.Equal([stranger], stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(700)));
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    public void Is_in_the_group_while_the_device_is_up(AddressFamily family)
    {
        var stage = GivenGroup(family);
        var group = GroupOf(family);
        for (var turn = 0; turn < 2; turn++)
        {
            stage.D.Run($"ip link set {stage.Dut.Device} down");
            Wait.Until(() => !IsJoined(stage.D, group), "the group to be left");
            stage.D.Run($"ip link set {stage.Dut.Device} up");
            Wait.Until(() => IsJoined(stage.D, group), "the group to be joined");
        }

        var frame = Frames.Unique(Local, Remote);
        // A TAP takes frames again only when its carrier is seen.
        Wait.Until(
            () =>
            {
                stage.A.Send(Frames.Vxlan(100, frame), group);
                return stage.Port.Receive(TimeSpan.FromMilliseconds(100)) is { } came && came.AsSpan().SequenceEqual(frame);
            },
            "a frame by the group");
        stage.Dut.Terminate();
        Wait.Until(() => !IsJoined(stage.D, group), "the group to be left at the end");
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    public void Joining_and_leaving_are_told(AddressFamily family)
    {
        DiffersFromKernel();
        var stage = GivenGroup(family);
        var monitor = new EventMonitor(stage.Dut, json: true, "group-joined", "group-left");
        stage.D.Run($"ip link set {stage.Dut.Device} down");
        Wait.Until(() => Told().Length == 1, "group-left");
        stage.D.Run($"ip link set {stage.Dut.Device} up");
        Wait.Until(() => Told().Length == 2, "group-joined");
        Assert.Equal(["group-left", "group-joined"], Told().Select(each => each.Event));
        Assert.All(Told(), each => Assert.Equal((stage.Dut.Device, $"{GroupOf(family)}"), (each.Device, each.Group)));

        (string Event, string? Device, string? Group)[] Told() =>
        [
            .. monitor.Lines.Select(static line => System.Text.Json.JsonDocument.Parse(line).RootElement)
                .Where(static line => line.GetProperty("event").GetString() != "listening")
                .Select(static line => (line.GetProperty("event").GetString()!, line.GetProperty("ifname").GetString(), line.GetProperty("ip").GetString())),
        ];
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    public void The_path_MTU_of_a_group_is_that_of_the_interface_it_is_sent_by(AddressFamily family)
    {
        DiffersFromKernel();
        var stage = GivenGroup(family);
        // Where the route alone would lead.
        stage.D.Run("ip link add d0 mtu 1600 type veth peer name d1");
        stage.D.Run("ip link set d1 up");
        stage.D.Run("ip link set d0 up");
        stage.D.Run(family == AddressFamily.InterNetwork ? "ip route add 239.0.0.0/8 dev d0" : "ip -6 route add ff05::/16 dev d0 table local");
        stage.D.Run($"ip link set {Host.UnderlayDevice} mtu 1400");
        PathMtuTests.AwaitPathMtu(stage.Dut, GroupOf(family), 1400, "link");
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "MC02")]
    [Trait("Case", "MC03")]
    public void What_it_floods_does_not_come_back_not_even_by_a_loop_of_the_underlay(AddressFamily family)
    {
        var stage = GivenGroup(family);
        var group = GroupOf(family);
        for (var i = 0; i < 5; i++) stage.Port.Send(Frames.Unique(MacAddress.Broadcast, Local));
        Assert.Empty(stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(500)));

        // As a loop would bring it: D's own address for a source. The kernel's IP layer drops it over IPv4, unless told to accept.
        stage.D.InNamespace(() => File.WriteAllText($"/proc/sys/net/ipv4/conf/{Host.UnderlayDevice}/accept_local", "1"));
        stage.D.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/conf/all/rp_filter", "0"));
        stage.D.InNamespace(() => File.WriteAllText($"/proc/sys/net/ipv4/conf/{Host.UnderlayDevice}/rp_filter", "0"));
        var reflected = Frames.UdpFrame(
            GroupMac(group), Frames.Mac(0x77), stage.D.Address, group, 50000, 4789, Frames.Vxlan(100, Frames.Unique(MacAddress.Broadcast, Frames.Mac(0x99))));
        using var wire = new PacketSocket(stage.Lab.Hosts[1], Host.UnderlayDevice);
        wire.Send(reflected);
        if (stage.Stats is null) return;
        Wait.Until(() => stage.Stats!.Drops("Reflected") == 1, "the drop to be counted");
        Assert.Empty(stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(200)));
        Assert.Empty(stage.Dut.FdbOf(Frames.Mac(0x99)));
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 2)]
    [InlineData(AddressFamily.InterNetwork, 4)]
    [InlineData(AddressFamily.InterNetworkV6, 2)]
    [InlineData(AddressFamily.InterNetworkV6, 4)]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    public void With_several_workers_each_frame_arrives_once(AddressFamily family, int workers)
    {
        var stage = GivenGroup(family, workers: workers);
        var sent = new List<string>();
        for (var i = 0; i < 200; i++)
        {
            var frame = Frames.IpFrame(Local, Frames.Mac(0x100 + (i % 10)), isIpv6: i % 2 == 0);
            sent.Add(Convert.ToHexString(frame));
            // Groups and unicast side by side.
            stage.A.Send(Frames.Vxlan(100, frame), i % 4 == 3 ? stage.D.Address : GroupOf(family));
            if (i % 10 == 9) Thread.Sleep(5);
        }

        var came = stage.Port.ReceiveFor(TimeSpan.FromSeconds(1.5)).Select(Convert.ToHexString).Order().ToArray();
        Assert.Equal(sent.Order(), came);
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 1)]
    [InlineData(AddressFamily.InterNetwork, 2)]
    [InlineData(AddressFamily.InterNetworkV6, 2)]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    public void More_groups_than_a_socket_may_join_and_each_segment_hears_its_own(AddressFamily family, int workers)
    {
        DiffersFromKernel();
        const int Segments = 30;
        var lab = NewLab(family);
        var (d, a) = (lab.AddHost("d"), lab.AddHost("a"));
        lab.JoinBySwitch(d, a);
        var file = Path.GetTempFileName();
        var segments = Enumerable.Range(1, Segments).Select(i => $$"""{ "ifname": "g{{i}}-d", "vni": {{i}}, "group": "{{GroupOf(family, i)}}" }""");
        File.WriteAllText(file, $$"""{ "local": "{{d.Address}}", "dev": "{{Host.UnderlayDevice}}", "workers": {{workers}}, "segments": [{{string.Join(", ", segments)}}] }""");
        var process = SleeveProgram.Up(d, ["--config", file]);
        File.Delete(file);
        using var peer = new UnderlayPeer(a);
        GroupPeer.LetSend(peer, a);
        var ports = Enumerable.Range(1, Segments).Select(i => lab.Own(new RawPort(d, $"g{i}-d"))).ToArray();
        for (var i = 1; i <= Segments; i++)
        {
            Assert.True(IsJoined(d, GroupOf(family, i)));
            var frame = Frames.Unique(Local, Remote);
            peer.Send(Frames.Vxlan(i, frame), GroupOf(family, i));
            Assert.Equal([], ports[i - 1].ReceiveUntil(frame));
        }

        // Only the last segment goes down, and only its group is left.
        d.Run($"ip link set g{Segments}-d down");
        Wait.Until(() => !IsJoined(d, GroupOf(family, Segments)), "the last group to be left");
        Assert.True(IsJoined(d, GroupOf(family, 1)));
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon));
        Assert.False(IsJoined(d, GroupOf(family, 1)));
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    public void Segments_that_share_a_group_share_its_membership(AddressFamily family)
    {
        DiffersFromKernel();
        var lab = NewLab(family);
        var (d, a) = (lab.AddHost("d"), lab.AddHost("a"));
        lab.JoinBySwitch(d, a);
        var group = GroupOf(family);
        var process = SleeveProgram.Up(d, ["s1-d:1", "s2-d:2", "--dev", Host.UnderlayDevice, "--group", $"{group}"]);
        using var peer = new UnderlayPeer(a);
        GroupPeer.LetSend(peer, a);
        using var port1 = new RawPort(d, "s1-d");
        using var port2 = new RawPort(d, "s2-d");
        d.Run("ip link set s1-d down");
        Thread.Sleep(300);
        Assert.True(IsJoined(d, group));
        var frame = Frames.Unique(Local, Remote);
        peer.Send(Frames.Vxlan(2, frame), group);
        Assert.Equal([], port2.ReceiveUntil(frame));
        d.Run("ip link set s2-d down");
        Wait.Until(() => !IsJoined(d, group), "the group to be left by the last of its segments");
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon));
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Kernel, 1)]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Kernel, 2)]
    [InlineData(AddressFamily.InterNetworkV6, VtepKind.Kernel, 1)]
    [InlineData(AddressFamily.InterNetworkV6, VtepKind.Kernel, 2)]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Sleeve, 2)]
    [InlineData(AddressFamily.InterNetworkV6, VtepKind.Sleeve, 1)]
    [Trait("Case", "MC01")]
    [Trait("Case", "MC03")]
    public void Hosts_find_each_other_by_the_group_and_talk(AddressFamily family, VtepKind peer, int workers)
    {
        var pair = Pair.Make(NewLab(family), peer, with: options => options with { Remotes = [], Group = GroupOf(family), Workers = workers });
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2));
        Assert.Equal(3, Traffic.Ping(b, Pair.Overlay1V6));
        Assert.Equal([b.Address.ToString()], pair.One.Fdb().Where(e => e.Mac != Vtep.Default).Select(e => e.Destination).Distinct());
        Assert.Equal([GroupOf(family).ToString()], pair.One.Fdb().Where(e => e.Mac == Vtep.Default).Select(e => e.Destination));
        Traffic.TransferByTcp(a, b, Pair.Overlay2, 20_000_000);
        Traffic.TransferByTcp(b, a, Pair.Overlay1V6, 20_000_000);
        // The kernel's group is left and joined again as well; both floods must work after it.
        b.Run($"ip link set {pair.Other.Device} down");
        b.Run($"ip link set {pair.Other.Device} up");
        b.Run($"ip addr replace {Pair.Overlay2V6}/64 dev {pair.Other.Device}");
        a.Run($"ip neigh flush dev {pair.One.Device}");
        Traffic.WaitForPing(b, Pair.Overlay1);
        Traffic.WaitForPing(a, Pair.Overlay2);
    }

    [SkippableFact]
    public void Super_frames_go_whole_only_by_the_interface_that_was_asked_for()
    {
        DiffersFromKernel();
        Requirements.TunnelOffload();
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        // A second link, which the route prefers.
        a.Run($"ip link add u1 type veth peer name u1 netns {b.Namespace}");
        foreach (var (host, other) in new[] { (a, b), (b, a) })
        {
            host.Run("ip link set u1 up");
            host.Run($"ip route add {other.Address}/32 dev u1");
            host.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/conf/all/rp_filter", "0"));
            foreach (var device in new[] { "u0", "u1" }) host.InNamespace(() => File.WriteAllText($"/proc/sys/net/ipv4/conf/{device}/rp_filter", "0"));
        }

        using var capture = new Capture(a, "u0");
        var process = SleeveProgram.Up(a, Command.Split($"vx100-a --vni 100 --local {a.Address} --remote {b.Address} --dev u0 --address {Pair.Overlay1}/24 --tx-offload tunnel-gso"));
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = [$"{Pair.Overlay2}/24"] });
        Traffic.TransferByTcp(a, b, Pair.Overlay2, 20_000_000);
        Assert.True(capture.Vxlan().Where(p => p.Source.Equals(a.Address)).Sum(p => (long)p.Payload.Length) > 20_000_000);
        Assert.Contains("by another interface than --dev", SleeveProgram.Run(a, "stats dev vx100-a").Ok(), StringComparison.Ordinal);
        a.Run($"ip route del {b.Address}/32 dev u1");
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon));
    }

    // RFC 1112, section 6.4; RFC 2464, section 7.
    private static MacAddress GroupMac(IPAddress group)
    {
        var bytes = group.GetAddressBytes();
        return bytes.Length == 4
            ? MacAddress.Read([0x01, 0x00, 0x5E, (byte)(bytes[1] & 0x7F), bytes[2], bytes[3]])
            : MacAddress.Read([0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]]);
    }
}
