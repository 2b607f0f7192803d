using Sleeve.Bench.EndToEnd;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Workloads;

namespace Sleeve.Bench.Tests;

/// <summary>A run that was never made, small enough to add up by hand.</summary>
internal static class Runs
{
    /// <summary>Two rounds of kernel, sleeve and a system whose name needs escaping nowhere else.</summary>
    public static RunResult Small { get; } = new(
        new DateTime(2026, 11, 21, 12, 0, 0, DateTimeKind.Utc), 90, 2, 1, Quick: false,
        new MachineInfo("A <fast> CPU, \"new\"", 2, 8, "6.18", "Debian", "abc1234+", 0.2, new Dictionary<string, string> { ["tinc"] = "1.0.36" }),
        ["kernel", "sleeve", "ovs"],
        new Dictionary<string, string> { ["sleeve"] = "tx-offload udp-gso" },
        [
            new("kernel", 1500, "tcp-1", 0, 1, 10), new("kernel", 1500, "tcp-1", 0, 2, 20),
            new("sleeve", 1500, "tcp-1", 0, 1, 5), new("sleeve", 1500, "tcp-1", 0, 2, 20),
            new("ovs", 1500, "tcp-1", 0, 2, 1),
            new("kernel", 1500, "flows", 1, 1, 250), new("kernel", 1500, "flows", 10_000, 1, 200),
            new("sleeve", 1500, "flows", 1, 1, 500), new("sleeve", 1500, "flows", 10_000, 1, 50),
            new("sleeve", 1500, "tcp-1-cpu-vtep", 0, 1, 1.25),
        ],
        [
            new Failure("ovs", 1500, "tcp", 1, "iperf3: hung, killed after 9 s"), new Failure("ovs", 1500, "tcp", 1, "iperf3: hung, killed after 9 s"),
            new Failure("tinc", 1500, "setup", 1, "tincd: <no> | tun"),
        ],
        [new SteadyResult("udp-64", "left", 60, 15, "million datagrams", 0, 0, 0, 16_384, 16_000)]);
}
