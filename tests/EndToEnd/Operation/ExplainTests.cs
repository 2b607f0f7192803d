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

        foreach (var (words, error) in new[] { ("", "DEV: missing"), ("vx0", "WHAT: missing"), ("vx0 /nowhere.pcap", "/nowhere.pcap: "), ("vx0 02:00:00:00:00:01 --from 224.0.0.1", "--from 224.0.0.1: must be tap, or the address of a VTEP") })
        {
            var outcome = SleeveProgram.Run(stage.D, $"explain {words}");
            Assert.Equal(2, outcome.ExitCode);
            Assert.Contains(error, outcome.Error, StringComparison.Ordinal);
        }

        Assert.Equal(1, SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} --from fd00::1 192.0.2.1").ExitCode);
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
