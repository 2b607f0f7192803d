using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sleeve.Control.Api;
using Sleeve.Control.Logging;
using Sleeve.Control.Telemetry;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Control.Tests.Telemetry;

/// <summary>The text that Prometheus scrapes, read by a strict reader; the real one reads it in tests/EndToEnd.</summary>
public class PrometheusTextTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_process_tells_is_well_formed(bool isOpenMetrics)
    {
        using var vtep = new Vtep(new VtepOptions { Local = InternetAddress.AnyIPv4, Port = 46321, Workers = 2 }, NullLogger.Instance);
        var state = new VtepState(vtep, static () => new Dictionary<string, Sleeve.DataPlane.Pipeline.VtepSegment>(), new StderrLogger("test"));
        using var text = new PrometheusText(state.Metrics);
        var read = Exposition.Parse(Write(text, isOpenMetrics), isOpenMetrics);
        Assert.Equal(0, read["sleeve_worker_sleeps_total", ("worker", "1")]);
        Assert.Equal(1, read["sleeve_vtep_info", ("local", "0.0.0.0"), ("port", "46321")]);
        Assert.StartsWith(typeof(VtepState).Assembly.GetName().Version!.ToString(3), Assert.Single(read.Samples, static sample => sample.Name == "sleeve_build_info").Labels["version"], StringComparison.Ordinal);
        Assert.True(read["process_resident_memory_bytes"] > 1_000_000);
        Assert.True(read["process_open_fds"] > 3 && read["process_max_fds"] >= read["process_open_fds"] && read["process_threads"] > 2);
        Assert.InRange(read["process_start_time_seconds"], 1.7e9, (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds);
        Assert.True(read["process_cpu_seconds_total", ("mode", "user")] > 0);
        Assert.InRange(read["sleeve_uptime_seconds"], 0.1, 100_000);
        Assert.Equal(isOpenMetrics, read.Families.ContainsKey("sleeve_gc_allocated_bytes") && read.Families["sleeve_gc_allocated_bytes"].Unit == "bytes");
        // A second scrape is not the first with more behind it.
        Assert.Equal(read.Samples.Count, Exposition.Parse(Write(text, isOpenMetrics), isOpenMetrics).Samples.Count);
        state.Metrics.Dispose();
    }

    [Fact]
    public void Labels_may_hold_anything()
    {
        var line = PrometheusText.Format([new("a", "back\\slash \"quoted\"\nnext {line}, x=\"1\""), new("b", "é"), new("c", 7)]);
        Assert.Equal("{a=\"back\\\\slash \\\"quoted\\\"\\nnext {line}, x=\\\"1\\\"\",b=\"é\",c=\"7\"}", line);
        var sample = Assert.Single(Exposition.Parse($"# HELP x y\n# TYPE x gauge\nx{line} 1\n", isOpenMetrics: false).Samples);
        Assert.Equal("back\\slash \"quoted\"\nnext {line}, x=\"1\"", sample.Labels["a"]);
        Assert.Equal("", PrometheusText.Format([]));
    }

    [Theory]
    [InlineData(0.1 + 0.2, "0.30000000000000004")]
    [InlineData(1e21, "1E+21")]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "+Inf")]
    [InlineData(double.NegativeInfinity, "-Inf")]
    public void Numbers_are_exact(double value, string text) => Assert.Equal(text, PrometheusText.Format(value));

    private static string Write(PrometheusText text, bool isOpenMetrics)
    {
        var buffer = new ArrayBufferWriter<byte>();
        text.Write(buffer, isOpenMetrics);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
