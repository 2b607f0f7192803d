using System.Net;
using Sleeve.Control.Telemetry;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// <c>--otlp</c> against a collector that reads what comes.
/// <code>
///     a: Sleeve, with a remote that no route leads to
///        └─ OTLP/HTTP ▶ 127.0.0.1:port
/// </code>
/// </summary>
public sealed class OtlpTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableFact]
    public void Every_instrument_arrives_with_unit_kind_and_value()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no metrics");
        var host = NewLab().AddHost("a");
        host.Run("ip addr add 10.0.0.1/32 dev lo");
        using var collector = new OtlpReceiver(host);
        var vtep = (SleeveVtep)Vtep.Start(VtepKind.Sleeve, host, new VtepOptions { Vni = 7, Workers = 2, Remotes = [IPAddress.Parse("10.0.0.99")], Mtu = 1400, More = ["--otlp", $"http://127.0.0.1:{collector.Port}", "--otlp-interval", "1"] });
        using var port = vtep.OpenPort();
        for (var i = 0; i < 5; i++) port.Send(Frames.Unique(Frames.Mac(0x32), Frames.Mac(0x33)));
        // Nothing leads to its remote, so that there are drops.
        var segment = $"device={vtep.Device},vni=7";
        Wait.Until(() => collector.Requests is [.., var last] && last.Metrics.GetValueOrDefault("sleeve.tap.received.frames")?.Points.GetValueOrDefault(segment) >= 5, "metrics arrive", TimeSpan.FromSeconds(20), pollMilliseconds: 100);
        Wait.Until(() => collector.Requests[^1].Metrics.ContainsKey("sleeve.dropped.frames"), "drops arrive", TimeSpan.FromSeconds(20), pollMilliseconds: 100);
        var (request, metrics) = collector.Requests[^1];
        Assert.StartsWith("POST /v1/metrics HTTP/1.1\r\n", request, StringComparison.Ordinal);
        Assert.Contains("application/x-protobuf", request, StringComparison.Ordinal);
        // A way out that eats nothing and a path MTU that nobody knows have no points, and so do not come; nor does what only a host among others has.
        var expected = MetricTable.All.Except(ClusterMetrics.All).Select(static metric => metric.Name).Except(["sleeve.remote.path_mtu"]).Order(StringComparer.Ordinal);
        Assert.Equal(expected, metrics.Keys.Except(["sleeve.remote.path_mtu"]).Order(StringComparer.Ordinal));
        foreach (var definition in MetricTable.All.Where(definition => metrics.ContainsKey(definition.Name)))
        {
            var metric = metrics[definition.Name];
            Assert.Equal((VtepMetrics.MeterName, definition.Unit, definition.Kind == MetricKind.Counter), (metric.Scope, metric.Unit, metric.IsSum));
            Assert.NotEmpty(metric.Points);
        }

        Assert.Equal(["worker=0", "worker=1"], metrics["sleeve.worker.sleeps"].Points.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(1400, metrics["sleeve.segment.mtu"].Points[segment]);
        Assert.True(metrics["sleeve.dropped.frames"].Points[$"{segment.Split(',')[0]},direction=out,reason=no_route,{segment.Split(',')[1]}"] >= 5);

        // The last moment is told too.
        for (var i = 0; i < 3; i++) port.Send(Frames.Unique(Frames.Mac(0x32), Frames.Mac(0x33)));
        Wait.Until(() => vtep.Stats().Counter("tap_received") >= 8, "all frames are taken");
        var counted = vtep.Stats().Counter("tap_received");
        vtep.Terminate();
        Assert.True(collector.Requests[^1].Metrics["sleeve.tap.received.frames"].Points[segment] >= counted);
    }

    [SkippableFact]
    public void A_collector_that_is_not_there_is_told_once_and_again_when_it_is()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no metrics");
        var host = NewLab().AddHost("c");
        int free;
        using (var reserved = new OtlpReceiver(host)) free = reserved.Port;
        host.Run("ip addr add 10.0.0.1/24 dev lo");
        var vtep = (SleeveVtep)Vtep.Start(VtepKind.Sleeve, host, new VtepOptions { Mtu = 1400, More = ["--otlp", $"http://127.0.0.1:{free}/here?x=1", "--otlp-interval", "1"] });
        vtep.Process.WaitForText("warning: metrics cannot be pushed to http://127.0.0.1", TimeSpan.FromSeconds(20));
        using var collector = new OtlpReceiver(host, free);
        vtep.Process.WaitForText($"metrics are pushed to http://127.0.0.1:{free}/here?x=1 again", TimeSpan.FromSeconds(20));
        Assert.StartsWith("POST /here?x=1 HTTP/1.1\r\n", collector.Requests[0].Request, StringComparison.Ordinal);
        Assert.Single(vtep.Process.Error.Split("cannot be pushed").Skip(1));
    }
}
