using System.Net;
using Sleeve.EndToEnd.Conformance;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>What <c>sleeve capture</c> writes, read by tshark. The stage is that of <see cref="ConformanceTest"/>.</summary>
public sealed class CaptureTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly IPAddress One = IPAddress.Parse("192.168.100.1");
    private static readonly IPAddress Other = IPAddress.Parse("192.168.100.2");

    [SkippableFact]
    public void Tshark_reads_frames_datagrams_directions_and_reasons()
    {
        DiffersFromKernel();
        Requirements.Programs("tshark");
        var stage = Given(peers: 2, flood: 1);
        var file = Path.Combine(Path.GetTempPath(), $"capture-{Guid.NewGuid():N}.pcapng");
        var capture = Begin(stage, $"{stage.Dut.Device} -w {file}");

        var sent = Frames.UdpFrame(Unknown, Local, One, Other, 40000, 53, new byte[30]);
        stage.Port.Send(sent);
        var datagram = stage.A.Expect(sent);
        var received = Frames.UdpFrame(Local, Remote, Other, One, 53, 40000, new byte[30]);
        stage.SendFrom(stage.A, received);
        stage.Port.ReceiveUntil(received);
        stage.SendFrom(stage.B, Frames.Unique(Local, Remote));
        var null1 = Frames.Mac(0x32);
        stage.Dut.FdbDo("add", $"{null1} dev {stage.Dut.Device} dst 0.0.0.0 static");
        stage.Port.Send(Frames.Unique(null1, Local));
        Wait.Until(() => stage.Stats!.Drops("nulldestination") == 1 && stage.Stats!.Drops("unknownvtep") == 1, "both are dropped");
        End(capture, ", 0 lost");

        var rows = Read(stage, file);
        File.Delete(file);
        // Interface, direction, outer source and destination, ports, VNI, inner addresses, comment.
        Assert.Contains(rows, row => row[0] == stage.Dut.Device && row[1].EndsWith('2') && row[2] == "192.168.100.1" && row[7] == "");
        Assert.Contains(rows, row => row[0] == "underlay" && row[1].EndsWith('2') && row[2] == $"{stage.D.Address},192.168.100.1" && row[3] == $"{stage.A.Address},192.168.100.2" && row[4].StartsWith($"{datagram.Source.Port},", StringComparison.Ordinal) && row[5].StartsWith("4789,", StringComparison.Ordinal) && row[6] == "100");
        Assert.Contains(rows, row => row[0] == "underlay" && row[1].EndsWith('1') && row[2] == $"{stage.A.Address},192.168.100.2" && row[6] == "100" && row[7] == "");
        Assert.Contains(rows, row => row[0] == stage.Dut.Device && row[1].EndsWith('1') && row[2] == "192.168.100.2");
        Assert.Contains(rows, row => row[0] == "underlay" && row[7].StartsWith("dropped: unknown_vtep: ", StringComparison.Ordinal));
        Assert.Contains(rows, row => row[0] == stage.Dut.Device && row[7].StartsWith("dropped: null_destination: ", StringComparison.Ordinal));
        Assert.Equal(2, rows.Count(row => row[7] != ""));
    }

    [SkippableTheory]
    [InlineData("drop", 1)]
    [InlineData("arp", 2)]
    [InlineData("inner out", 2)]
    [InlineData("outer ip 192.168.100.2 mac 02:00:00:00:00:d1", 1)]
    [InlineData("vtep 10.0.0.2 out", 1)]
    [InlineData("in", 0)]
    public void A_line_is_printed_for_each_packet_that_the_filter_lets_through(string filter, int expected)
    {
        DiffersFromKernel();
        var stage = Given();
        var nowhere = Frames.Mac(0x32);
        stage.Dut.FdbDo("add", $"{nowhere} dev {stage.Dut.Device} dst 0.0.0.0 static");
        var capture = Begin(stage, $"{stage.Dut.Device} {filter}");
        stage.Port.Send(Frames.Unique(nowhere, Local));
        var request = Frames.ArpRequest(Local, One, Other);
        stage.Port.Send(request);
        stage.A.Expect(request);
        // A packet is on its way to the capture for a moment; whoever ends it at once does not see it.
        Wait.Until(() => capture.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length >= expected, $"{expected} lines");
        End(capture, $"{expected} packets, 0 lost");
        Assert.Equal(expected, capture.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        if (filter == "drop") Assert.Contains("[dropped: null_destination: ", capture.Output, StringComparison.Ordinal);
        if (filter == "arp") Assert.Contains("ARP who-has 192.168.100.2 tell 192.168.100.1", capture.Output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_capture_ends_by_itself_keeps_to_its_length_and_is_alone()
    {
        DiffersFromKernel();
        Requirements.Programs("tshark");
        var stage = Given();
        var file = Path.Combine(Path.GetTempPath(), $"capture-{Guid.NewGuid():N}.pcapng");
        var capture = Begin(stage, $"any -w {file} --snaplen 60 --count 4");
        var second = SleeveProgram.Run(stage.D, $"capture {stage.Dut.Device}");
        Assert.Equal((1, true), (second.ExitCode, second.Error.Contains("somebody captures here already", StringComparison.Ordinal)));
        for (var i = 0; i < 4; i++) stage.Port.Send(Frames.Unique(Unknown, Local, length: 600));
        Assert.True(capture.WaitForExit(Wait.Soon));
        Assert.Contains("4 packets, 0 lost", capture.Error, StringComparison.Ordinal);
        var lengths = stage.D.Run($"tshark -r {file} -T fields -e frame.len -e frame.cap_len").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, lengths.Length);
        Assert.All(lengths, static line => Assert.EndsWith("\t60", line, StringComparison.Ordinal));
        File.Delete(file);

        Assert.Equal(2, SleeveProgram.Run(stage.D, $"capture {stage.Dut.Device} tcp").ExitCode);
        Assert.Equal(2, SleeveProgram.Run(stage.D, $"capture {stage.Dut.Device} mac").ExitCode);
        // The one that was refused and the one that ended leave nothing behind.
        var last = Begin(stage, stage.Dut.Device);
        End(last, ", 0 lost");
    }

    [SkippableTheory]
    [InlineData("none", 1)]
    [InlineData("tunnel-gso", 2)]
    public void Super_frames_are_captured_whole_and_what_is_lost_is_counted(string offload, int workers)
    {
        Requirements.Programs("tshark");
        var pair = Overlay.Pair.Make(NewLab(), VtepKind.Sleeve, with: options => options with { Offload = offload, Workers = workers });
        var (a, b) = (pair.One.Host, pair.Other.Host);
        var file = Path.Combine(Path.GetTempPath(), $"capture-{Guid.NewGuid():N}.pcapng");
        var process = a.Start([.. SleeveProgram.Words, "capture", pair.One.Device, "-w", file, "--snaplen", "200"]);
        process.WaitForText("capturing", Wait.Soon);
        Traffic.TransferByTcp(a, b, Overlay.Pair.Overlay2, 30_000_000);
        process.Signal(LibC.SIGINT);
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)));
        Assert.Contains(" packets, ", process.Error, StringComparison.Ordinal);
        Assert.Equal(0, process.ExitCode);
        var lengths = a.Run($"tshark -r {file} -Y tcp -T fields -e frame.len").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToArray();
        Assert.True(lengths.Length > 100, $"{lengths.Length} packets");
        if (offload != "none") Assert.Contains(lengths, static length => length > 3000);
        File.Delete(file);
    }

    private static BackgroundProcess Begin(Stage stage, string words)
    {
        var process = stage.D.Start([.. SleeveProgram.Words, "capture", .. Command.Split(words)]);
        process.WaitForText("capturing", TimeSpan.FromSeconds(20));
        return process;
    }

    private static void End(BackgroundProcess capture, string says)
    {
        capture.Signal(LibC.SIGINT);
        Assert.True(capture.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Contains(says, capture.Error, StringComparison.Ordinal);
        Assert.Equal(0, capture.ExitCode);
    }

    private static List<string[]> Read(Stage stage, string file) =>
    [
        .. stage.D.Run($"tshark -r {file} -T fields -E separator=| -e frame.interface_name -e frame.packet_flags_direction -e ip.src -e ip.dst -e udp.srcport -e udp.dstport -e vxlan.vni -e frame.comment")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Split('|')),
    ];
}
