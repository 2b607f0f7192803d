using System.Globalization;
using System.Net.Sockets;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Sleeve.Seams;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// <c>GET /metrics</c> against the kernel's own counters, and Prometheus' own reader.
/// <code>
///     a: Sleeve ═════ veth pair ═════ b: Sleeve
///        └ /sys/class/net/vx100-a/statistics
/// </code>
/// </summary>
public sealed class MetricsTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    public void Counters_add_up_with_the_kernels_of_the_TAP(int workers)
    {
        // Without offloads, so that a frame is a frame to both.
        var pair = Make(options => options with { Offload = "none", Workers = workers });
        Assert.Equal(20, Traffic.Ping(pair.One.Host, Pair.Overlay2, 20, size: 1200));
        Assert.Equal(3, Traffic.Ping(pair.One.Host, Pair.Overlay2V6));
        Traffic.EchoUdp(pair.One.Host, pair.Other.Host, Pair.Overlay2, [1, 100, 1400, 9000]);
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, Pair.Overlay2, 20_000_000);
        Traffic.TransferByTcp(pair.Other.Host, pair.One.Host, Pair.Overlay1, 5_000_000);
        foreach (var vtep in new[] { pair.One, pair.Other })
        {
            (string Name, string Value)[] segment = [("device", vtep.Device), ("vni", "100")];
            Exposition? read = null;
            // The two are not read at one moment: until nothing moves any more.
            Wait.Until(() =>
            {
                var before = Kernel(vtep);
                read = Read(vtep);
                return before == Kernel(vtep) && before == (
                    (long)read["sleeve_tap_received_frames_total", segment], (long)read["sleeve_tap_received_bytes_total", segment],
                    (long)(read["sleeve_tap_sent_frames_total", segment] + read["sleeve_proxied_frames_total", segment]), (long)read["sleeve_tap_sent_bytes_total", segment]);
            }, "the kernel's counters are ours");
            Assert.True(read!["sleeve_tap_received_bytes_total", segment] > 1_000_000);
            AssertBalances(read, vtep.Device);
        }
    }

    [SkippableFact]
    public void Remotes_workers_and_drops_are_told_and_Prometheus_reads_it()
    {
        var pair = Make(options => options with { Workers = 2 });
        pair.One.FdbDo("add", $"{Frames.Mac(0x32)} dev {pair.One.Device} dst 0.0.0.0 static");
        using var port = pair.One.OpenPort();
        for (var i = 0; i < 7; i++) port.Send(Frames.Unique(Frames.Mac(0x32), Frames.Mac(0x33)));
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, Pair.Overlay2, 200_000_000);
        Wait.Until(() => Drops(Read(pair.One), pair.One.Device) == 7, "the drops are counted");
        var (one, other) = (Read(pair.One), Read(pair.Other));
        Assert.Equal(7, one["sleeve_dropped_frames_total", ("device", pair.One.Device), ("direction", "out"), ("reason", "null_destination")]);
        Assert.Equal(one["sleeve_remote_sent_datagrams_total", ("remote", $"{pair.Other.Host.Address}")], one["sleeve_datagrams_sent_total"]);
        Assert.True(other["sleeve_remote_received_bytes_total", ("remote", $"{pair.One.Host.Address}")] > 200_000_000);
        Assert.Equal(1, one["sleeve_segment_up", ("device", pair.One.Device)]);
        Assert.Equal(1450, one["sleeve_segment_mtu_bytes", ("device", pair.One.Device)]);
        Assert.Equal(1 << 20, one["sleeve_fdb_limit"]);
        Assert.Equal(0, one["sleeve_remotes_unlisted"]);
        // 200 MB take more than 10 ms of somebody.
        Assert.True(one.Samples.Where(static sample => sample.Name == "sleeve_worker_cpu_seconds_total").Sum(static sample => sample.Value) > 0);
        Assert.InRange(one.Samples.Where(static sample => sample.Name == "sleeve_worker_cpu_seconds_total").Sum(static sample => sample.Value), 0.01, one.Samples.Where(static sample => sample.Name == "process_cpu_seconds_total").Sum(static sample => sample.Value) + 0.05);

        Requirements.Programs("promtool", "sh");
        var file = Path.Combine(Path.GetTempPath(), $"metrics-{Guid.NewGuid():N}");
        File.WriteAllText(file, Get(pair.One, null).Text);
        var verdict = pair.One.Host.Try(["sh", "-c", $"promtool check metrics < {file}"]);
        File.Delete(file);
        // Exit code 3 is for advice about style; 1 says that it cannot be read.
        Assert.True(verdict.ExitCode == 0 || verdict.ExitCode == 3, verdict.Error);
        Output.WriteLine(verdict.Output + verdict.Error);
    }

    [SkippableTheory]
    [InlineData(null, false)]
    [InlineData("text/plain", false)]
    [InlineData("*/*", false)]
    [InlineData("application/openmetrics-text; version=1.0.0", true)]
    [InlineData("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true)]
    [InlineData("text/plain;version=0.0.4;q=0.7,application/openmetrics-text;q=0.2", false)]
    [InlineData("application/openmetrics-text;q=0", false)]
    [InlineData("no, such; thing=;;", false)]
    public void A_scraper_gets_the_format_it_asks_for(string? accept, bool isOpenMetrics)
    {
        var (type, text) = Get(Make(null).One, accept);
        Assert.Equal(isOpenMetrics ? "application/openmetrics-text" : "text/plain", type);
        Exposition.Parse(text, isOpenMetrics);
    }

    private static void AssertBalances(Exposition read, string device)
    {
        double Of(string name) => read[$"sleeve_{name}_total", ("device", device)];
        double Dropped(string direction) => read.Samples.Where(sample => sample.Name == "sleeve_dropped_frames_total" && sample.Labels.GetValueOrDefault("device") == device && sample.Labels["direction"] == direction).Sum(static sample => sample.Value);
        Assert.Equal(Of("tap_received_frames") + Of("replicated_frames"), Of("datagrams_sent") + Of("proxied_frames") + Dropped("out"));
        Assert.Equal(Of("datagrams_received"), Of("tap_sent_frames") + Dropped("in"));
    }

    private static double Drops(Exposition read, string device) =>
        read.Samples.Where(sample => sample.Name == "sleeve_dropped_frames_total" && sample.Labels.GetValueOrDefault("device") == device && sample.Labels["reason"] == "null_destination").Sum(static sample => sample.Value);

    // What the host transmits on its side of the TAP is what we receive.
    private static (long ReceivedFrames, long ReceivedBytes, long SentFrames, long SentBytes) Kernel(Vtep vtep)
    {
        // /sys shows the namespace it was mounted in, so ip says what stands there.
        using var links = System.Text.Json.JsonDocument.Parse(vtep.Host.Run($"ip -j -s link show dev {vtep.Device}"));
        var statistics = links.RootElement[0].GetProperty("stats64");
        long Of(string direction, string what) => statistics.GetProperty(direction).GetProperty(what).GetInt64();
        return (Of("tx", "packets"), Of("tx", "bytes"), Of("rx", "packets"), Of("rx", "bytes"));
    }

    private static Exposition Read(Vtep vtep) => Exposition.Parse(Get(vtep, null).Text, isOpenMetrics: false);

    private static (string? Type, string Text) Get(Vtep vtep, string? accept)
    {
        using var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint($"/run/sleeve/{vtep.Device}.sock"), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var client = new HttpClient(handler) { Timeout = Wait.Soon };
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://localhost/metrics");
        if (accept is not null) request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = client.Send(request);
        Assert.Equal("200", ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture));
        return (response.Content.Headers.ContentType?.MediaType, response.Content.ReadAsStringAsync().GetAwaiter().GetResult());
    }

    private Pair Make(Func<VtepOptions, VtepOptions>? with)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no metrics");
        return Pair.Make(NewLab(), VtepKind.Sleeve, with: with);
    }
}
