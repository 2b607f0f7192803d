using System.Text.Json;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// <c>sleeve top</c> while frames pass: in a terminal, line by line, and for programs.
/// <code>
///     a: Sleeve ═══ ping ═══ b: Sleeve
///        └─ sleeve top in tmux
/// </code>
/// </summary>
public sealed class TopTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableFact]
    public void One_answer_for_programs_has_rates_of_what_passes()
    {
        var (vtep, other) = Busy();
        using var json = JsonDocument.Parse(SleeveProgram.Run(vtep.Host, $"top dev {vtep.Device} --once --json --interval 2").Ok());
        var top = json.RootElement[0];
        Assert.Equal(vtep.Process.Id, top.GetProperty("pid").GetInt32());
        Assert.InRange(top.GetProperty("interval_seconds").GetDouble(), 2, 20);
        var (segment, remote) = (top.GetProperty("segments")[0], top.GetProperty("remotes")[0]);
        Assert.Equal((vtep.Device, 100, $"{other.Host.Address}"), (segment.GetProperty("ifname").GetString(), segment.GetProperty("vni").GetInt32(), remote.GetProperty("dst").GetString()));
        // A ping every 5 ms and its answer, if the machine is as fast; what enters the TAP leaves by UDP, but for what is dropped.
        var frames = segment.GetProperty("tx_frames_per_second").GetDouble();
        Assert.InRange(frames, 2, 1000);
        Assert.InRange(segment.GetProperty("tx_bits_per_second").GetDouble(), frames * 8 * 500, frames * 8 * 1300);
        Assert.InRange(remote.GetProperty("tx_datagrams_per_second").GetDouble(), frames / 2, frames);
        Assert.True(segment.GetProperty("rx_bits_per_second").GetDouble() > 1000);
        var drop = Assert.Single(top.GetProperty("drops").EnumerateArray(), static drop => drop.GetProperty("reason").GetString() == "null_destination");
        Assert.True(drop.GetProperty("per_second").GetDouble() > 0);
        Assert.Equal(2, top.GetProperty("workers").GetArrayLength());
        var stations = top.GetProperty("talkers").GetProperty("stations").EnumerateArray().ToDictionary(static station => station.GetProperty("mac").GetString()!);
        var (own, far) = (stations[vtep.Host.MacOf(vtep.Device)], stations[other.Host.MacOf(other.Device)]);
        Assert.False(own.TryGetProperty("dst", out _));
        Assert.Equal($"{other.Host.Address}", far.GetProperty("dst").GetString());
        Assert.True(own.GetProperty("tx_bits_per_second").GetInt64() > 1000 && far.GetProperty("tx_bits_per_second").GetInt64() > 1000 && far.GetProperty("rx_bits_per_second").GetInt64() > 1000);
        Assert.True(top.GetProperty("talkers").GetProperty("sampled_frames").GetInt64() >= 2);
    }

    [SkippableFact]
    public void In_a_terminal_it_obeys_keys_and_follows_the_size()
    {
        var (vtep, other) = Busy();
        using var terminal = new Tmux(vtep.Host, $"{string.Join(' ', SleeveProgram.Words)} top --socket /run/sleeve/{vtep.Device}.sock", 130, 30);
        terminal.WaitUntil(screen => Has(screen, $"VTEP {vtep.Host.Address} UDP port 4789, pid {vtep.Process.Id}") && Has(screen, vtep.Device) && Has(screen, $"{other.Host.Address}") && Has(screen, "null_destination")
            && Has(screen, "stations, by a sample: ") && screen[^1].Contains("q quit  p pause  s sort (rate)", StringComparison.Ordinal), "everything is shown");
        // The shell's screen is another one.
        Assert.DoesNotContain("before", terminal.Screen);
        terminal.Press("s");
        terminal.WaitUntil(static screen => screen[^1].Contains("s sort (frames)", StringComparison.Ordinal), "the order changes");
        terminal.Resize(60, 12);
        terminal.WaitUntil(screen => screen.Length <= 12 && screen[^1].StartsWith("q quit", StringComparison.Ordinal) && Has(screen, "SEGMENT") && screen.All(static line => line.Length <= 60) && !Has(screen, "RX FRAME/S"), "it follows the size");
        terminal.Press("p");
        terminal.WaitUntil(static screen => screen[^1].Contains("s sort (frames)", StringComparison.Ordinal) && screen[^1].Length > 40, "it pauses");
        terminal.Resize(130, 30);
        terminal.WaitUntil(static screen => screen[^1].EndsWith("PAUSED", StringComparison.Ordinal) && Has(screen, "RX FRAME/S"), "it says so");
        string[] Numbers() => [.. terminal.Screen.SkipLast(1)];
        var paused = Numbers();
        Thread.Sleep(2500);
        Assert.Equal(paused, Numbers());
        terminal.Press("p");
        terminal.WaitUntil(_ => !Numbers().SequenceEqual(paused), "it goes on");
        terminal.Press("q");
        terminal.WaitUntil(static screen => screen is ["before", "ended with 0", ..], "it leaves the terminal as it was");
    }

    [SkippableTheory]
    [InlineData("C-c", 0)]
    [InlineData(null, 1)]
    public void It_ends_with_an_interrupt_and_when_the_VTEP_is_gone(string? key, int code)
    {
        var (vtep, _) = Busy();
        using var terminal = new Tmux(vtep.Host, $"{string.Join(' ', SleeveProgram.Words)} top dev {vtep.Device}", 100, 24);
        terminal.WaitUntil(static screen => Has(screen, "SEGMENT"), "it is shown");
        if (key is null) vtep.Terminate();
        else terminal.Press(key);
        terminal.WaitUntil(screen => screen[0] == "before" && Has(screen, $"ended with {code}"), "it ends");
        if (key is null) Assert.Contains(terminal.Screen, line => line.StartsWith($"sleeve top: ", StringComparison.Ordinal) && line.Contains(vtep.Device, StringComparison.Ordinal));
    }

    [SkippableFact]
    public void Without_a_terminal_there_is_a_block_an_interval_until_nobody_reads()
    {
        Requirements.Programs("sh");
        var (vtep, _) = Busy();
        var top = vtep.Host.Start("sh", "-c", $"{string.Join(' ', SleeveProgram.Words)} top dev {vtep.Device}; echo ended with $? >&2");
        Wait.Until(() => top.Output.Split("----").Length > 3, "blocks come", TimeSpan.FromSeconds(20));
        Assert.DoesNotContain("\e", top.Output, StringComparison.Ordinal);
        Assert.Contains("\nSEGMENT ", top.Output, StringComparison.Ordinal);
        var head = vtep.Host.Try(["sh", "-c", $"{{ {string.Join(' ', SleeveProgram.Words)} top dev {vtep.Device} --json; echo ended with $? >&2; }} | head -n 1"], TimeSpan.FromSeconds(40));
        Assert.Equal("ended with 0\n", head.Error);
        Assert.Equal(JsonValueKind.Array, JsonDocument.Parse(head.Output).RootElement.ValueKind);
        Assert.Equal(1, SleeveProgram.Run(vtep.Host, "top dev none").ExitCode);
    }

    [SkippableFact]
    public void A_capture_can_begin_while_it_samples_and_is_named_while_it_lasts()
    {
        var (vtep, _) = Busy();
        using var terminal = new Tmux(vtep.Host, $"{string.Join(' ', SleeveProgram.Words)} top dev {vtep.Device}", 100, 30);
        terminal.WaitUntil(static screen => Has(screen, "stations, by a sample"), "stations are shown");
        // One after the other, at whatever moment of a look.
        for (var i = 0; i < 3; i++) SleeveProgram.Run(vtep.Host, $"capture {vtep.Device} --count 3 -w /dev/null").Ok();
        var capture = vtep.Host.Start([.. SleeveProgram.Words, "capture", vtep.Device, "-w", "/dev/null"]);
        terminal.WaitUntil(static screen => Has(screen, "stations: somebody captures here"), "it says why there are none");
        capture.Signal(LibC.SIGINT);
        terminal.WaitUntil(static screen => Has(screen, "stations, by a sample"), "stations are shown again");
    }

    private static bool Has(string[] screen, string text) => screen.Any(line => line.Contains(text, StringComparison.Ordinal));

    private (SleeveVtep Vtep, Vtep Other) Busy()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no such command");
        var pair = Pair.Make(NewLab(), VtepKind.Sleeve, with: static options => options with { Workers = 2 });
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        pair.One.FdbDo("add", $"{Frames.Mac(0x32)} dev {pair.One.Device} dst 0.0.0.0 static");
        pair.One.Host.Run($"ip neigh add 192.168.100.50 lladdr {Frames.Mac(0x32)} dev {pair.One.Device}");
        pair.One.Host.Start("ping", "-n", "-q", "-i", "0.005", "-s", "1000", $"{Pair.Overlay2}");
        pair.One.Host.Start("ping", "-n", "-q", "-i", "0.1", "192.168.100.50");
        return ((SleeveVtep)pair.One, pair.Other);
    }
}
