namespace Sleeve.Bench.EndToEnd.Measure;

/// <summary>A measured value.</summary>
/// <param name="System">Name of the contender.</param>
/// <param name="Mtu">MTU of the underlay, bytes.</param>
/// <param name="Metric">Name of the metric.</param>
/// <param name="Parameter">Number of flows, remotes, segments or entries; 0 if the metric has none.</param>
/// <param name="Round">From 1.</param>
/// <param name="Value">In the metric's unit.</param>
internal sealed record Sample(string System, int Mtu, string Metric, int Parameter, int Round, double Value);

/// <summary>Whether more or less is better.</summary>
internal enum Better
{
    /// <summary>More is better.</summary>
    More,

    /// <summary>Less is better.</summary>
    Less,

    /// <summary>A fact that is neither.</summary>
    Neither,
}

/// <summary>What can be measured.</summary>
/// <param name="Name">In JSON and CSV.</param>
/// <param name="Title">As reports show it.</param>
/// <param name="Unit">Of its values.</param>
/// <param name="Better">Which way is up.</param>
/// <param name="Section">Which part of the report it belongs to.</param>
/// <param name="Parameter">What its parameter counts; null if it has none.</param>
internal sealed record Metric(string Name, string Title, string Unit, Better Better, string Section, string? Parameter = null)
{
    /// <summary>Every metric, in the order of the report.</summary>
    public static IReadOnlyList<Metric> All { get; } =
    [
        new("tcp-1", "TCP, 1 stream, left to right", "Gbit/s", Better.More, Sections.Bulk),
        new("tcp-1-reverse", "TCP, 1 stream, right to left", "Gbit/s", Better.More, Sections.Bulk),
        new("tcp-4", "TCP, 4 streams, left to right", "Gbit/s", Better.More, Sections.Bulk),
        new("tcp-4-reverse", "TCP, 4 streams, right to left", "Gbit/s", Better.More, Sections.Bulk),
        new("udp-64", "UDP, 64 bytes, delivered", "thousand/s", Better.More, Sections.Frames),
        new("udp-64-offered", "UDP, 64 bytes, sent by the generator", "thousand/s", Better.Neither, Sections.Frames),
        new("udp-1400", "UDP, 1400 bytes, delivered", "thousand/s", Better.More, Sections.Frames),
        new("udp-1400-offered", "UDP, 1400 bytes, sent by the generator", "thousand/s", Better.Neither, Sections.Frames),
        new("rtt-median", "Request and response, median", "µs", Better.Less, Sections.Latency),
        new("rtt-p99", "Request and response, 99 %", "µs", Better.Less, Sections.Latency),
        new("rtt-p999", "Request and response, 99.9 %", "µs", Better.Less, Sections.Latency),
        new("tcp-1-cpu-machine", "CPU for TCP, whole machine", "CPU-s/GB", Better.Less, Sections.Cpu),
        new("tcp-1-cpu-vtep", "CPU for TCP, VTEP processes", "CPU-s/GB", Better.Less, Sections.Cpu),
        new("udp-64-cpu-machine", "CPU for 64-byte UDP, whole machine", "CPU-s/million", Better.Less, Sections.Cpu),
        new("udp-64-cpu-vtep", "CPU for 64-byte UDP, VTEP processes", "CPU-s/million", Better.Less, Sections.Cpu),
        new("setup", "Set-up, first command to first ping", "ms", Better.Less, Sections.SetUp),
        new("rss", "Memory of both VTEPs after the load, RSS", "MiB", Better.Less, Sections.SetUp),
        new("pss", "Memory of both VTEPs after the load, PSS", "MiB", Better.Less, Sections.SetUp),
        new("flows", "64-byte UDP delivered", "thousand/s", Better.More, Sections.Flows, "flows"),
        new("flows-cpu-machine", "CPU, whole machine", "CPU-s/million", Better.Less, Sections.Flows, "flows"),
        new("flows-cpu-vtep", "CPU, VTEP processes", "CPU-s/million", Better.Less, Sections.Flows, "flows"),
        new("remotes", "copies of 64-byte broadcasts on the wire", "thousand/s", Better.More, Sections.Remotes, "remotes"),
        new("remotes-cpu-machine", "CPU, whole machine", "CPU-s/million copies", Better.Less, Sections.Remotes, "remotes"),
        new("remotes-cpu-vtep", "CPU, VTEP process", "CPU-s/million copies", Better.Less, Sections.Remotes, "remotes"),
        new("segments-rss", "RSS of the VTEP", "MiB", Better.Less, Sections.Segments, "segments"),
        new("segments-pss", "PSS of the VTEP", "MiB", Better.Less, Sections.Segments, "segments"),
        new("segments-kernel", "kernel memory, grown by", "MiB", Better.Less, Sections.Segments, "segments"),
        new("segments-setup", "time to set up", "ms", Better.Less, Sections.Segments, "segments"),
        new("fdb-entries", "entries learned", "entries", Better.Neither, Sections.Fdb, "entries asked for"),
        new("fdb-rss", "RSS, grown by", "MiB", Better.Less, Sections.Fdb, "entries asked for"),
        new("fdb-pss", "PSS of the VTEP", "MiB", Better.Less, Sections.Fdb, "entries asked for"),
        new("fdb-kernel", "kernel memory, grown by", "MiB", Better.Less, Sections.Fdb, "entries asked for"),
        new("fdb-bytes", "bytes an entry", "bytes", Better.Less, Sections.Fdb, "entries asked for"),
    ];

    /// <summary>The metric of a name.</summary>
    public static Metric Of(string name) => All.First(metric => metric.Name == name);
}

/// <summary>Parts of the report.</summary>
internal static class Sections
{
    public const string Bulk = "Bulk: TCP";
    public const string Frames = "Small and full frames: UDP";
    public const string Latency = "Latency, 64 bytes";
    public const string Cpu = "Cost: CPU";
    public const string SetUp = "Set-up and memory";
    public const string Flows = "Number of flows";
    public const string Remotes = "Number of remotes in the replication list";
    public const string Segments = "Number of segments";
    public const string Fdb = "Stations in the FDB";
}
