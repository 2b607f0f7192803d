using System.Buffers.Binary;
using System.Globalization;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// <c>sleeve capture</c> with somebody who reads while frames pass, who reads no more, or who is too slow.
/// <code>
///     a: Sleeve ═════════ b: Sleeve
///        └─ sleeve capture … -w - │ tshark -i -
/// </code>
/// </summary>
public sealed class LiveCaptureTests(ITestOutputHelper output) : LabTest(output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    [SkippableFact]
    public void Tshark_decodes_frames_datagrams_and_drops_while_they_pass()
    {
        Requirements.Programs("tshark", "bash");
        var pair = Make();
        var nowhere = Frames.Mac(0x32);
        pair.One.FdbDo("add", $"{nowhere} dev {pair.One.Device} dst 0.0.0.0 static");
        using var port = pair.One.OpenPort();
        // exec, so that the process is the capture's and its exit code too.
        var live = Begin(pair, "-w -", "> >(exec tshark -l -n -i - -T fields -E separator=% -e frame.interface_name -e frame.packet_flags_direction -e ip.src -e vxlan.vni -e icmp.type -e frame.comment)");
        // tshark takes some seconds to start; nothing waits for it.
        Wait.Until(() =>
        {
            Traffic.Ping(pair.One.Host, Pair.Overlay2, 1);
            port.Send(Frames.Unique(nowhere, Frames.Mac(0x33)));
            return live.Output.Contains("dropped: null_destination", StringComparison.Ordinal) && live.Output.Contains("%100%0%", StringComparison.Ordinal);
        }, "tshark prints while frames pass", Patience, pollMilliseconds: 200);
        Assert.False(live.HasExited);
        var rows = live.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Split('%')).Where(static row => row.Length == 6).ToArray();
        var (a, b) = (pair.One.Host.Address, pair.Other.Host.Address);
        // Request and reply, on the TAP and inside the datagrams; 2 is outbound.
        Assert.Contains(rows, row => row[0] == pair.One.Device && row[1].EndsWith('2') && row[2] == $"{Pair.Overlay1}" && row[4] == "8");
        Assert.Contains(rows, row => row[0] == "underlay" && row[1].EndsWith('2') && row[2] == $"{a},{Pair.Overlay1}" && row[3] == "100" && row[4] == "8");
        Assert.Contains(rows, row => row[0] == "underlay" && row[1].EndsWith('1') && row[2] == $"{b},{Pair.Overlay2}" && row[3] == "100" && row[4] == "0");
        Assert.Contains(rows, row => row[0] == pair.One.Device && row[1].EndsWith('1') && row[2] == $"{Pair.Overlay2}" && row[4] == "0");
        Assert.Contains(rows, row => row[0] == pair.One.Device && row[5].StartsWith("dropped: null_destination: ", StringComparison.Ordinal));
        live.Signal(LibC.SIGINT);
        AssertEnds(live);
    }

    [SkippableTheory]
    [InlineData("-w -", "> >(exec head -c 2000 >/dev/null)")]
    [InlineData("", "> >(exec head -n 3 >/dev/null)")]
    public void A_reader_that_goes_ends_the_capture(string words, string pipe)
    {
        Requirements.Programs("bash");
        var pair = Make();
        var live = Begin(pair, words, pipe);
        Wait.Until(() =>
        {
            Traffic.Ping(pair.One.Host, Pair.Overlay2, 1);
            return live.HasExited;
        }, "the capture ends", Patience);
        AssertEnds(live);
        // And the next one can begin.
        var next = Begin(pair, "", "");
        next.Signal(LibC.SIGINT);
        AssertEnds(next);
    }

    [SkippableTheory]
    [InlineData(LibC.SIGINT)]
    [InlineData(LibC.SIGTERM)]
    public void A_signal_ends_the_file_between_two_blocks_with_what_was_lost(int signal)
    {
        Requirements.Programs("tshark");
        var pair = Make();
        var file = Path.Combine(Path.GetTempPath(), $"live-{Guid.NewGuid():N}.pcapng");
        var live = Begin(pair, $"-w {file}", "");
        var flood = pair.One.Host.Start("ping", "-n", "-q", "-i", "0.002", $"{Pair.Overlay2}");
        Wait.Until(() => new FileInfo(file).Length > 50_000, "packets are written", Patience);
        // In the midst of it.
        live.Signal(signal);
        AssertEnds(live);
        flood.Signal(LibC.SIGINT);
        var types = BlocksOf(file);
        Assert.Equal((0x0A0D0D0Au, 5u), (types[0].Type, types[^1].Type));
        var packets = types.Count(static block => block.Type == 6);
        Assert.Contains($": {packets} packets, 0 lost", live.Error, StringComparison.Ordinal);
        Assert.Equal(packets, pair.One.Host.Run($"tshark -r {file} -T fields -e frame.number").Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        File.Delete(file);
    }

    [SkippableFact]
    public void What_a_stopped_reader_misses_is_counted_and_told_and_frames_go_on_meanwhile()
    {
        Requirements.Programs("tshark");
        var pair = Make();
        var file = Path.Combine(Path.GetTempPath(), $"live-{Guid.NewGuid():N}.pcapng");
        var live = Begin(pair, $"-w {file}", "");
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        live.Signal(LibC.SIGSTOP);
        // More than the ring and all that is on the way to the reader hold.
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, Pair.Overlay2, 60_000_000);
        Assert.Equal(20, Traffic.Ping(pair.One.Host, Pair.Overlay2, 20));
        live.Signal(LibC.SIGCONT);
        live.Signal(LibC.SIGINT);
        AssertEnds(live);
        Assert.Contains("the reader was too slow", live.Error, StringComparison.Ordinal);
        var blocks = BlocksOf(file);
        var lost = blocks[^1].Lost;
        Assert.True(lost > 100, live.Error);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $": {blocks.Count(static block => block.Type == 6)} packets, {lost} lost"), live.Error, StringComparison.Ordinal);
        pair.One.Host.Run($"tshark -r {file} -q");
        File.Delete(file);
    }

    private Pair Make()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no such command");
        var pair = Pair.Make(NewLab(), VtepKind.Sleeve);
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        return pair;
    }

    // The process id is the capture's: the shell becomes it.
    private static BackgroundProcess Begin(Pair pair, string words, string pipe)
    {
        string[] capture = [.. SleeveProgram.Words, "capture", pair.One.Device, .. Command.Split(words)];
        var live = pair.One.Host.Start(pipe.Length == 0 ? capture : ["bash", "-c", $"exec \"$0\" \"$@\" {pipe}", .. capture]);
        live.WaitForText("capturing", TimeSpan.FromSeconds(20));
        return live;
    }

    private static void AssertEnds(BackgroundProcess live)
    {
        Assert.True(live.WaitForExit(Patience), "the capture goes on");
        Assert.Equal(0, live.ExitCode);
        Assert.Contains(" lost", live.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", live.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("sleeve: ", live.Error, StringComparison.Ordinal);
    }

    // Each block has its length at both ends, and the last ends where the file does.
    private static List<(uint Type, long Lost)> BlocksOf(string file)
    {
        ReadOnlySpan<byte> rest = File.ReadAllBytes(file);
        var blocks = new List<(uint, long)>();
        while (rest.Length > 0)
        {
            var (type, length) = (BinaryPrimitives.ReadUInt32LittleEndian(rest), (int)BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]));
            Assert.Equal(length, (int)BinaryPrimitives.ReadUInt32LittleEndian(rest[(length - 4)..]));
            // isb_ifdrop.
            var lost = 0L;
            for (var options = type == 5 ? rest[20..(length - 4)] : default; options.Length >= 4 && options[0] != 0; options = options[(4 + ((options[2] + 3) & ~3))..])
                if (options[0] == 5) lost = BinaryPrimitives.ReadInt64LittleEndian(options[4..]);
            blocks.Add((type, lost));
            rest = rest[length..];
        }

        return blocks;
    }
}
