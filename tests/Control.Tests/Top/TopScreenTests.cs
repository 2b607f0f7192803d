using System.Diagnostics;
using System.Text.RegularExpressions;
using Sleeve.Control.Api;
using Sleeve.Control.Top;

namespace Sleeve.Control.Tests.Top;

/// <summary>Rates out of counters, and lines out of rates; the terminal itself is looked at in tests/EndToEnd.</summary>
public class TopScreenTests
{
    private static readonly TopStyle Plain = new(hasColours: false);

    [Theory]
    [InlineData(0, "0")]
    [InlineData(1, "1")]
    [InlineData(0.25, "0.25")]
    [InlineData(9.994, "9.99")]
    [InlineData(9.996, "10.0")]
    [InlineData(99.96, "100")]
    [InlineData(999.4, "999")]
    [InlineData(999.5, "1.00 k")]
    [InlineData(1234567, "1.23 M")]
    [InlineData(9.9999e9, "10.0 G")]
    [InlineData(2.5e12, "2.50 T")]
    [InlineData(7e18, "7000 P")]
    public void Numbers_have_three_digits(double value, string text) => Assert.Equal(text, TopScreen.Number(value));

    [Fact]
    public void Rates_are_differences_over_the_time_between()
    {
        var rates = TopRates.Of((Stats(1, 1000, 5), 0), (Stats(1, 3000, 7), 2 * Stopwatch.Frequency), null);
        Assert.Equal(2, rates.IntervalSeconds);
        var segment = Assert.Single(rates.Segments);
        Assert.Equal((1000, 8000, 500, 4000), (segment.TxFramesPerSecond, segment.TxBitsPerSecond, segment.RxFramesPerSecond, segment.RxBitsPerSecond));
        Assert.Equal((1, 1000d, 8000d, 0d), (segment.DropsPerSecond, rates.Remotes[0].TxDatagramsPerSecond, rates.Remotes[0].TxBitsPerSecond, rates.Remotes[0].RxBitsPerSecond));
        Assert.Equal((50, 8000d), (rates.Workers[0].CpuPercent, rates.Workers[0].TapBitsPerSecond));
        Assert.Equal((1, 7L, "no_route"), (rates.Drops[0].PerSecond, rates.Drops[0].Total, rates.Drops[0].Reason));
    }

    [Fact]
    public void What_began_anew_has_no_rate()
    {
        // Another process, one that counts from zero, and a segment that was not there.
        Assert.Equal(0, TopRates.Of((Stats(1, 1000, 5), 0), (Stats(2, 3000, 7), Stopwatch.Frequency), null).Segments[0].TxFramesPerSecond);
        Assert.Equal(0, TopRates.Of((Stats(1, 1000, 5), 0), (Stats(1, 10, 7), Stopwatch.Frequency), null).Segments[0].TxFramesPerSecond);
        Assert.Equal(0, TopRates.Of((Stats(1, 1000, 5) with { Segments = [] }, 0), (Stats(1, 3000, 7), Stopwatch.Frequency), null).Drops[0].PerSecond);
        // A kind of drop that was not there began at zero.
        Assert.Equal(7, TopRates.Of((Stats(1, 1000, 0), 0), (Stats(1, 3000, 7), Stopwatch.Frequency), null).Drops[0].PerSecond);
        Assert.Empty(TopRates.Of((Stats(1, 1000, 5), 0), (Stats(1, 3000, 7), Stopwatch.Frequency), "other").Segments);
    }

    [Fact]
    public void No_line_is_longer_and_there_are_no_more_than_the_terminal_has()
    {
        for (var width = 20; width <= 200; width += 9)
        {
            for (var height = 4; height <= 60; height += 7)
            {
                var lines = TopScreen.Lines([Busy(30), Busy(2)], new TopView(width, height, TopSort.Rate, Plain));
                Assert.InRange(lines.Count, 1, height);
                Assert.All(lines, line => Assert.InRange(line.Length, 0, width));
                // Colours take no room.
                Assert.Equal(lines, TopScreen.Lines([Busy(30), Busy(2)], new TopView(width, height, TopSort.Rate, new TopStyle(hasColours: true))).Select(static line => Regex.Replace(line, "\e\\[[0-9]*m", "")));
            }
        }
    }

    [Fact]
    public void Room_is_shared_so_that_every_part_is_seen()
    {
        var lines = TopScreen.Lines([Busy(30)], new TopView(120, 24, TopSort.Rate, Plain));
        Assert.All(["VTEP 192.0.2.1 UDP port 4789, pid 7", "SEGMENT  VNI", "VTEP   ", "DROP/S  TOTAL", "STATION            SEGMENT"], title => Assert.Contains(lines, line => line.StartsWith(title, StringComparison.Ordinal)));
        Assert.Contains("… 28 more", lines);
        // Where there is little, what is above goes first.
        Assert.StartsWith("SEGMENT", TopScreen.Lines([Busy(30)], new TopView(120, 6, TopSort.Rate, Plain))[4], StringComparison.Ordinal);
    }

    [Fact]
    public void Columns_go_before_anything_is_cut_off()
    {
        string Titles(int width) => TopScreen.Lines([Busy(1)], new TopView(width, null, TopSort.Rate, Plain)).First(static line => line.StartsWith("SEGMENT ", StringComparison.Ordinal));
        Assert.Equal(["SEGMENT", "VNI", "STATE", "TX FRAME/S", "TX BIT/S", "RX FRAME/S", "RX BIT/S", "DROP/S", "FDB", "NEIGH"], Regex.Split(Titles(200), "  +"));
        Assert.Equal(["SEGMENT", "VNI", "STATE", "TX BIT/S", "RX BIT/S", "DROP/S"], Regex.Split(Titles(60), "  +"));
        Assert.Equal(["SEGMENT", "TX BIT/S", "RX BIT/S", "DROP/S"], Regex.Split(Titles(40), "  +"));
    }

    [Theory]
    [InlineData("Rate", "vx2 vx1 vx0")]
    [InlineData("Frames", "vx0 vx2 vx1")]
    [InlineData("Drops", "vx1 vx2 vx0")]
    [InlineData("Name", "vx0 vx1 vx2")]
    public void Rows_are_in_order_of_what_was_chosen(string sort, string expected)
    {
        var vtep = Busy(3) with
        {
            Segments =
            [
                new TopSegmentJson("vx0", 1, true, 900, 1, 0, 0, 0, 0, 0),
                new TopSegmentJson("vx1", 1, true, 1, 20, 0, 0, 8, 0, 0),
                new TopSegmentJson("vx2", 1, false, 2, 20, 0, 90, 4, 0, 0),
            ],
            Remotes = [], Drops = [], Talkers = null, TalkersMissing = "somebody captures here",
        };
        var lines = TopScreen.Lines([vtep], new TopView(120, null, Enum.Parse<TopSort>(sort), Plain));
        Assert.Equal(expected, string.Join(' ', lines.Where(static line => line.StartsWith("vx", StringComparison.Ordinal)).Select(static line => line[..3])));
        Assert.Contains("    stations: somebody captures here", lines);
        Assert.Contains(lines, static line => line.StartsWith("vx2", StringComparison.Ordinal) && line.Contains("DOWN", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_wrong_is_red_and_stations_say_that_they_are_a_sample()
    {
        var lines = TopScreen.Lines([Busy(1) with { SocketDropsPerSecond = 12 }], new TopView(160, null, TopSort.Rate, new TopStyle(hasColours: true)));
        Assert.Contains(lines, static line => line.StartsWith("\e[31m    receive buffer full: 12 datagrams a second", StringComparison.Ordinal));
        Assert.Contains(lines, static line => line.Contains("stations, by a sample: 500 frames in 100 ms, some 1.50 k had no room", StringComparison.Ordinal));
        Assert.Contains(lines, static line => line.Contains("\e[31m", StringComparison.Ordinal) && line.Contains("no_route", StringComparison.Ordinal));
    }

    private static TopJson Busy(int count) => new(
        7, "192.0.2.1", 4789, DateTimeOffset.UtcNow, 1, "tunnel-gso", "self-test passed", "udp-gro", "inner-flow", 0,
        [.. Enumerable.Range(0, 4).Select(static i => new TopWorkerJson(i, 12.5 * i, 1e9, 2e9))],
        [.. Enumerable.Range(0, count).Select(static i => new TopSegmentJson($"vx{i}", 100 + i, i % 2 == 0, 1e6, 1e9 + i, 2e5, 3e8, i, 10, 20))],
        [.. Enumerable.Range(0, count).Select(static i => new TopRemoteJson($"vx{i}", $"192.0.2.{200 + i}", 4789, 100, i == 0 ? "eth0" : null, 1, 2, 3, 4, 5))],
        [.. Enumerable.Range(0, count).Select(static i => new TopDropJson(i == 0 ? null : $"vx{i}", "out", "no_route", 1, 5, "there is no route to the VTEP (ip route get)"))])
    {
        Talkers = new TalkersJson(100, 500, 1500, [.. Enumerable.Range(0, count).Select(static i => new TalkerJson($"02:00:00:00:00:{i:x2}", "vx0", i == 0 ? null : "2001:db8::1", 5, 6))]),
    };

    private static VtepStatsJson Stats(int pid, long count, long drops) => new(
        pid, "192.0.2.1", 4789, 1, 512, 1 << 20, 0, "none", "asked for", 0, 0, 0, 0, 0, "none", "asked for", 0,
        [new WorkerJson(0, count, count, 0, 0, 0) { CpuSeconds = count / 2000d }], "one-worker", [],
        [
            new SegmentStatsJson(
                "vx0", 100, true, 1450, "02:00:00:00:00:01", 1, 0, 1, "none", "", new Dictionary<string, long> { ["tap_received"] = count, ["tap_received_bytes"] = count, ["tap_sent"] = count / 2, ["tap_sent_bytes"] = count / 2 },
                drops == 0 ? [] : [new DropJson("out", "no_route", drops, "there is no route")], [new RemoteJson("192.0.2.2", 4789, 100, true, count, count, 0, 0, 0, null, "default", null, null)]),
        ],
        new RuntimeJson(0, 0, 0, 0));
}
