using System.Net;
using System.Text.Json;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Conformance;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// What <c>sleeve explain</c> says against what happens to the same frame, sent for real: same VTEPs, same source port, same reason to drop. The stage is
/// that of <see cref="ConformanceTest"/>.
/// </summary>
public sealed class ExplainTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly IPAddress One = IPAddress.Parse("192.168.100.1");
    private static readonly IPAddress Other = IPAddress.Parse("192.168.100.2");
    private static readonly IPAddress One6 = IPAddress.Parse("fd01::1");
    private static readonly IPAddress Other6 = IPAddress.Parse("fd01::2");
    private static readonly MacAddress Static = Frames.Mac(0x31);

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_frame_goes_where_and_by_the_port_that_was_said(int workers)
    {
        DiffersFromKernel();
        var stage = Given(peers: 2, with: options => options with { Workers = workers });
        stage.Dut.FdbDo("add", $"{Static} dev {stage.Dut.Device} dst {stage.B.Address} static");
        stage.Teach(stage.A, Remote);
        List<byte[]> frames =
        [
            Frames.Unique(Unknown, Local), Frames.Unique(MacAddress.Broadcast, Local), Frames.Unique(Static, Local), Frames.Unique(Remote, Local),
            Frames.ArpRequest(Local, One, Other), Frames.Tag(Flow(Remote, One, Other, 7), 0x8100, 5), Frames.Ethernet(Remote, Local, Frames.IPv4, 0x45, 0),
        ];
        for (ushort port = 1; port <= 12; port++) frames.AddRange([Flow(Remote, One, Other, port), Flow(Unknown, One6, Other6, port)]);

        foreach (var frame in frames)
        {
            var said = Explain(stage, Convert.ToHexStringLower(frame));
            var copies = said.GetProperty("copies").EnumerateArray().ToArray();
            Assert.NotEmpty(copies);
            stage.Port.Send(frame);
            var came = stage.Peers.Select(peer => (peer.Address, Got: peer.Receive(copies.Any(copy => copy.GetProperty("dst").GetString() == $"{peer.Address}") ? Wait.Soon : TimeSpan.FromMilliseconds(20)))).Where(each => each.Got is not null).ToArray();
            Assert.Equal(came.Select(each => $"{each.Address} {each.Got!.Vni} {each.Got.Source.Address} {each.Got.Source.Port}").Order(),
                copies.Select(copy => $"{copy.GetProperty("dst").GetString()} {copy.GetProperty("vni").GetInt32()} {copy.GetProperty("src").GetString()} {copy.GetProperty("source_port").GetInt32()}").Order());
            Assert.All(came, each => Assert.Equal(frame, each.Got!.Inner));
            Assert.All(copies, copy => Assert.Equal(20 + 8 + 8 + frame.Length, copy.GetProperty("bytes").GetInt32()));
        }
    }

    [SkippableFact]
    public void A_frame_of_the_TAP_is_dropped_for_the_reason_that_was_said()
    {
        DiffersFromKernel();
        var stage = Given(flood: 0);
        var device = stage.Dut.Device;
        var (nowhere, self) = (Frames.Mac(0x32), Frames.Mac(0x33));
        stage.Dut.FdbDo("add", $"{nowhere} dev {device} dst 0.0.0.0 static");
        stage.Dut.FdbDo("add", $"{self} dev {device} dst {stage.D.Address} static");
        foreach (var (frame, reason) in new[] { (Frames.Unique(Unknown, Local), "no_remote_vtep"), (Frames.Unique(nowhere, Local), "null_destination"), (Frames.Unique(self, Local), "hairpin") })
        {
            var before = stage.Stats!.Drops(reason.Replace("_", "", StringComparison.Ordinal));
            var said = Explain(stage, Convert.ToHexStringLower(frame));
            Assert.Equal(("dropped", reason), (said.GetProperty("outcome").GetString(), said.GetProperty("drops")[0].GetProperty("reason").GetString()));
            Assert.Equal(before, stage.Stats!.Drops(reason.Replace("_", "", StringComparison.Ordinal)));
            stage.Port.Send(frame);
            Wait.Until(() => stage.Stats!.Drops(reason.Replace("_", "", StringComparison.Ordinal)) == before + 1, reason);
        }
    }

    [SkippableFact]
    public void A_datagram_is_taken_or_dropped_as_was_said_and_nothing_is_learned_by_asking()
    {
        DiffersFromKernel();
        var stage = Given(peers: 2, flood: 1);
        var device = stage.Dut.Device;
        stage.Dut.FdbDo("add", $"{Static} dev {device} dst {stage.A.Address} static");
        var own = MacAddress.TryParse(stage.D.MacOf(device), out var mac) ? mac : default;
        var group = Frames.Mac(1).Value | (1UL << 40);

        // Twice the same answer: the first has changed nothing.
        for (var time = 0; time < 2; time++)
        {
            var fresh = Explain(stage, $"{Remote} --from {stage.A.Address}");
            Assert.Equal("delivered", fresh.GetProperty("outcome").GetString());
            Assert.Contains("would be learned", Step(fresh, "learn"), StringComparison.Ordinal);
        }

        stage.AssertNothingLearnedBut(Static);
        AssertDrops(stage, stage.B, Frames.Unique(Local, Remote), "unknown_vtep");
        AssertDrops(stage, stage.A, Frames.Unique(Local, own), "own_mac");
        AssertDrops(stage, stage.A, Frames.Unique(Local, MacAddress.FromValue(group)), "invalid_source");
        AssertDrops(stage, stage.A, Frames.Ethernet(Local, Remote, Frames.IPv4, 0x45, 0), "truncated_ip");
        stage.Dut.FdbDo("add", $"{Frames.Mac(0x34)} dev {device} dst 10.0.0.77 static");
        AssertDrops(stage, stage.A, Frames.Unique(Local, Frames.Mac(0x34)), "static_conflict");

        stage.Teach(stage.A, Remote);
        stage.Dut.FdbDo("append", $"00:00:00:00:00:00 dev {device} dst {stage.B.Address}");
        Assert.Contains($"would move from {stage.A.Address} to {stage.B.Address}", Step(Explain(stage, $"{Remote} --from {stage.B.Address}"), "learn"), StringComparison.Ordinal);
        Assert.Contains(stage.Dut.Fdb(), entry => entry.Mac == $"{Remote}" && entry.Destination == $"{stage.A.Address}");
    }

    [SkippableFact]
    public void The_proxy_answers_what_was_said_and_an_address_is_looked_up()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Proxy = true });
        stage.Dut.NeighbourAdd(Other, Static);
        var request = Frames.ArpRequest(Local, One, Other);
        Assert.Equal("answered", Explain(stage, Convert.ToHexStringLower(request)).GetProperty("outcome").GetString());
        stage.Port.Send(request);
        Assert.NotNull(stage.Port.Expect(Local, Frames.Arp));
        Assert.Contains($"{Other} is {Static}", Step(Explain(stage, $"{Other}"), "neighbour"), StringComparison.Ordinal);
        Assert.Contains("is not in the segment's neighbour table", Step(Explain(stage, "192.168.100.9"), "neighbour"), StringComparison.Ordinal);
        Assert.False(Explain(stage, $"{Other}").GetProperty("copies")[0].TryGetProperty("source_port", out _));
    }

    [SkippableFact]
    public void Text_is_a_numbered_list_and_a_capture_is_explained_frame_by_frame()
    {
        DiffersFromKernel();
        var stage = Given();
        var text = SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} {Remote}").Ok();
        Assert.StartsWith(" 1. parse: ", text, StringComparison.Ordinal);
        Assert.EndsWith("    sent\n", text, StringComparison.Ordinal);

        var file = Path.Combine(Path.GetTempPath(), $"explain-{Guid.NewGuid():N}.pcap");
        using (var capture = new Capture(stage.D, Host.UnderlayDevice))
        {
            stage.Port.Send(Frames.Unique(Unknown, Local));
            stage.A.Receive(Wait.Soon);
            Wait.Until(() => { capture.WritePcap(file); return new FileInfo(file).Length > 24; }, "a packet is captured");
        }

        using var document = JsonDocument.Parse(SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} {file} --json").Ok());
        Assert.All(document.RootElement.EnumerateArray(), static each => Assert.Equal("sent", each.GetProperty("outcome").GetString()));
        File.Delete(file);

        foreach (var (words, error) in new[] { ("", "DEV: missing"), ("vx0", "WHAT: missing"), ("vx0 /nowhere.pcap", "/nowhere.pcap: "), ("vx0 02:00:00:00:00:01 --from 224.0.0.1", "--from 224.0.0.1: must be tap, underlay, or the address of a VTEP") })
        {
            var outcome = SleeveProgram.Run(stage.D, $"explain {words}");
            Assert.Equal(2, outcome.ExitCode);
            Assert.Contains(error, outcome.Error, StringComparison.Ordinal);
        }

        Assert.Equal(1, SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} --from fd00::1 192.0.2.1").ExitCode);
    }

    [SkippableFact]
    public void Outer_TOS_TTL_and_DF_are_those_that_are_sent()
    {
        DiffersFromKernel();
        var stage = Given(with: static options => options with { Outer = "tos inherit ttl inherit df inherit" });
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        byte[][] frames =
        [
            Frames.IpFrame(Unknown, Local, isIpv6: false, typeOfService: 0xBA, timeToLive: 33, dontFragment: true), Frames.IpFrame(Unknown, Local, isIpv6: false, typeOfService: 0x03, timeToLive: 7),
            Frames.IpFrame(Unknown, Local, isIpv6: true, typeOfService: 0x49, timeToLive: 44), Frames.Unique(Unknown, Local),
        ];
        var said = frames.Select(frame => Explain(stage, Convert.ToHexStringLower(frame))).ToArray();
        foreach (var frame in frames) stage.Port.Send(frame);
        var sent = OuterPacket.InOrderOf(frames, capture.WaitFor(frames.Length, packet => packet.Source.Equals(stage.D.Address)));
        for (var i = 0; i < frames.Length; i++)
        {
            var copy = said[i].GetProperty("copies")[0];
            Assert.Equal((sent[i].TypeOfService, sent[i].TimeToLive, sent[i].DontFragment), (copy.GetProperty("tos").GetByte(), copy.GetProperty("ttl").GetByte(), copy.GetProperty("df").GetBoolean()));
            Assert.Contains($"TOS 0x{sent[i].TypeOfService:x2}, TTL {sent[i].TimeToLive}, DF {(sent[i].DontFragment ? "set" : "clear")}", Step(said[i], "outer"), StringComparison.Ordinal);
        }

        Assert.Equal((0xBA, 33, true), (sent[0].TypeOfService, sent[0].TimeToLive, sent[0].DontFragment));
    }

    [SkippableFact]
    public void What_the_path_does_not_take_is_said_and_answered_only_in_words()
    {
        DiffersFromKernel();
        var stage = Given();
        Wait.Until(() => stage.Stats is not null && SleeveProgram.Run(stage.D, "stats --json").Ok().Contains("\"pmtu\":1500", StringComparison.Ordinal), "the path MTU is known");
        var (fits, tooLong) = (Big(1450, 0), Big(1451, 0));
        Assert.DoesNotContain("longer than that", Step(Explain(stage, Convert.ToHexStringLower(fits)), "outer"), StringComparison.Ordinal);
        Assert.EndsWith("1501 bytes of IP, by u0 (MTU 1500): longer than that, so the kernel fragments", Step(Explain(stage, Convert.ToHexStringLower(tooLong)), "outer"), StringComparison.Ordinal);
        // With DF its sender is told; where the host routes into the TAP it is sent all the same.
        var told = Explain(stage, Convert.ToHexStringLower(Big(1451, 0x4000)));
        Assert.Equal("sent", told.GetProperty("outcome").GetString());
        Assert.Contains("protocol 1", Step(told, "reply"), StringComparison.Ordinal);
        Assert.Contains("pmtu_replies + 1", Step(told, "count"), StringComparison.Ordinal);
        Assert.Equal(0, stage.Stats!.Counter("pmtu_replies"));

        // From a bridge port it is not.
        stage.D.Run("ip link add br9 type bridge");
        stage.D.Run($"ip link set {stage.Dut.Device} master br9");
        Wait.Until(() => Explain(stage, Convert.ToHexStringLower(Big(1451, 0x4000))).GetProperty("drops") is { } drops && drops.GetArrayLength() == 1 && drops[0].GetProperty("reason").GetString() == "exceeds_path_mtu", "a bridge port is noticed");

        byte[] Big(int packet, ushort fragment) => Frames.Ethernet(Unknown, Local, Frames.IPv4, Frames.Ipv4Packet(One, Other, 17, Frames.Udp(One, Other, 7, 8, new byte[packet - 28]), fragment: fragment));
    }

    [SkippableTheory]
    [InlineData(System.Net.Sockets.AddressFamily.InterNetwork)]
    [InlineData(System.Net.Sockets.AddressFamily.InterNetworkV6)]
    public void A_whole_packet_of_the_underlay_is_explained_with_its_outer_mark_and_header(System.Net.Sockets.AddressFamily family)
    {
        DiffersFromKernel();
        var stage = Given(peers: 2, with: static options => options with { Gbp = "1", GbpAccept = "0,10-19" }, family: family);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        // The real thing, and afterwards what is said of the same packet.
        foreach (var (outer, inner, policy, outcome, drop, stage2, text) in new[]
        {
            (0, 0, 0u, "delivered", "", "policy", "group 0 is one of --gbp-accept"),
            (3, 0, 0u, "dropped", "ecn_contradiction", "ecn", "outer CE, inner Not-ECT: a contradiction (RFC 6040, section 4.2)"),
            (3, 2, 0u, "delivered", "", "ecn", "outer CE, inner ECT(0): the frame becomes CE"),
            (1, 2, 0u, "delivered", "", "ecn", "outer ECT(1), inner ECT(0): the frame becomes ECT(1)"),
            (2, 0, 0u, "delivered", "", "count", "ecn_unexpected + 1"),
            (0, 0, 9u, "dropped", "policy_denied", "policy", "group 9 is not one of --gbp-accept"),
            (0, 0, 0x48_000Au, "delivered", "", "learn", "not at all: the D bit says so"),
            (0, 0, 0x08_0009u, "delivered", "", "policy", "group 9 is not looked at: the A bit says that policy was applied"),
        })
        {
            var frame = Frames.IpFrame(Local, Remote, isIpv6: false, (byte)(0xB8 | inner));
            var datagram = Frames.Vxlan(100, frame, policy == 0 ? (byte)0x08 : (byte)0x88);
            (datagram[1], datagram[2], datagram[3]) = ((byte)(policy >> 16), (byte)(policy >> 8), (byte)policy);
            stage.B.SetTypeOfService((byte)(0x20 | outer));
            var before = drop == "" ? 0 : stage.Stats!.Drops(drop.Replace("_", "", StringComparison.Ordinal));
            stage.B.Send(datagram, stage.D.Address);
            byte[]? packet = null;
            Wait.Until(() => (packet = capture.Packets.Select(static each => each.Bytes).FirstOrDefault(bytes => bytes.AsSpan().IndexOf(frame) >= 0)) is not null, "the packet arrives");
            if (drop != "") Wait.Until(() => stage.Stats!.Drops(drop.Replace("_", "", StringComparison.Ordinal)) == before + 1, drop);

            // Its own sender counts, whoever is named.
            foreach (var from in new[] { "underlay", $"{stage.B.Address}", $"{stage.A.Address}" })
            {
                var said = Explain(stage, $"{Convert.ToHexStringLower(packet!)} --from {from}");
                Assert.Equal((outcome, $"{stage.B.Address}"), (said.GetProperty("outcome").GetString(), said.GetProperty("from").GetString()));
                Assert.Equal(text, Step(said, stage2));
                Assert.Equal(drop == "" ? [] : [drop], said.GetProperty("drops").EnumerateArray().Select(static each => each.GetProperty("reason").GetString()!));
            }
        }
    }

    [SkippableFact]
    public void Captures_of_the_underlay_are_explained_packet_by_packet()
    {
        DiffersFromKernel();
        var stage = Given(peers: 2, flood: 1);
        var folder = Directory.CreateTempSubdirectory("explain-").FullName;
        var (pcap, own) = (Path.Combine(folder, "u0.pcap"), Path.Combine(folder, "own.pcapng"));
        var sleeve = stage.D.Start([.. SleeveProgram.Words, "capture", "any", "in", "outer", "-w", own]);
        sleeve.WaitForText("capturing", TimeSpan.FromSeconds(20));
        using (var capture = new Capture(stage.D, Host.UnderlayDevice))
        {
            var known = Frames.Unique(Local, Remote);
            stage.SendFrom(stage.A, known);
            stage.Port.ReceiveUntil(known);
            stage.A.SetTypeOfService(3);
            stage.SendFrom(stage.A, Frames.IpFrame(Local, Remote, isIpv6: false));
            stage.A.SetTypeOfService(0);
            stage.SendFrom(stage.B, Frames.Unique(Local, Remote));
            stage.A.Send(Frames.Vxlan(101, Frames.Unique(Local, Remote)), stage.D.Address);
            stage.A.Send(Frames.Vxlan(100, Frames.Unique(Local, Remote), flags: 0), stage.D.Address);
            capture.WaitFor(5, static packet => packet.DestinationPort == 4789);
            capture.WritePcap(pcap);
        }

        sleeve.Signal(LibC.SIGINT);
        Assert.True(sleeve.WaitForExit(TimeSpan.FromSeconds(20)));
        foreach (var file in new[] { pcap, own })
        {
            using var document = JsonDocument.Parse(SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} --from underlay {file} --json").Ok());
            var said = document.RootElement.EnumerateArray().Where(static each => each.GetProperty("outcome").GetString() != "ignored")
                .Select(static each => each.GetProperty("outcome").GetString() + string.Concat(each.GetProperty("drops").EnumerateArray().Select(static drop => $" {drop.GetProperty("reason").GetString()}")));
            Assert.Equal(["delivered", "dropped ecn_contradiction", "dropped unknown_vtep", "dropped unknown_vni", "dropped no_vni_flag"], said);
        }

        Assert.Equal("ignored", Explain(stage, $"{Convert.ToHexStringLower(Frames.Unique(Local, Remote))} --from underlay").GetProperty("outcome").GetString());
        Assert.Equal(1, SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} --from underlay {Remote}").ExitCode);
        Directory.Delete(folder, recursive: true);
    }

    private static void AssertDrops(Stage stage, UnderlayPeer peer, byte[] frame, string reason)
    {
        var name = reason.Replace("_", "", StringComparison.Ordinal);
        var said = Explain(stage, $"{Convert.ToHexStringLower(frame)} --from {peer.Address}");
        Assert.Equal(("dropped", reason), (said.GetProperty("outcome").GetString(), said.GetProperty("drops")[0].GetProperty("reason").GetString()));
        var before = stage.Stats!.Drops(name);
        stage.SendFrom(peer, frame);
        Wait.Until(() => stage.Stats!.Drops(name) == before + 1, reason);
    }

    private static JsonElement Explain(Stage stage, string words)
    {
        using var document = JsonDocument.Parse(SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} {words} --json").Ok());
        return Assert.Single(document.RootElement.Clone().EnumerateArray());
    }

    private static string Step(JsonElement explained, string stage) =>
        explained.GetProperty("steps").EnumerateArray().First(step => step.GetProperty("stage").GetString() == stage).GetProperty("text").GetString()!;

    private static byte[] Flow(MacAddress to, IPAddress source, IPAddress destination, ushort port) => Frames.UdpFrame(to, Local, source, destination, port, 53, new byte[30]);
}
