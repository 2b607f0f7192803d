using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>Datagrams of one size, one flow, as fast as the sender can: how many arrive, and what they cost.</summary>
/// <param name="size">Bytes of payload: 64 or 1400.</param>
/// <param name="seconds">How long they are counted.</param>
internal sealed class UdpWorkload(int size, int seconds) : Workload
{
    private const double Thousand = 1e3;

    /// <inheritdoc/>
    public override string Name => "udp";

    /// <inheritdoc/>
    public override double EstimatedSeconds => seconds + UdpLoad.Overhead;

    /// <inheritdoc/>
    public override void Run(Pair pair, Recorder recorder)
    {
        var result = UdpLoad.Run(pair, size, flows: 0, seconds);
        recorder.Add($"udp-{size}", result.Delivered / Thousand);
        recorder.Add($"udp-{size}-offered", result.Sent / Thousand);
        if (size != 64) return;
        recorder.Add("udp-64-cpu-machine", result.Used.Machine / result.Millions);
        if (pair.Processes.Count > 0) recorder.Add("udp-64-cpu-vtep", result.Used.Processes / result.Millions);
    }
}

/// <summary>64-byte datagrams of many flows.</summary>
/// <param name="flows">How many, each with a destination address of its own.</param>
/// <param name="seconds">How long they are counted.</param>
internal sealed class FlowsWorkload(int flows, int seconds) : Workload
{
    private const double Thousand = 1e3;

    /// <inheritdoc/>
    public override string Name => "flows";

    /// <inheritdoc/>
    public override double EstimatedSeconds => seconds + UdpLoad.Overhead;

    /// <inheritdoc/>
    public override void Run(Pair pair, Recorder recorder)
    {
        var result = UdpLoad.Run(pair, size: 64, flows, seconds);
        recorder.Add("flows", result.Delivered / Thousand, flows);
        recorder.Add("flows-cpu-machine", result.Used.Machine / result.Millions, flows);
        if (pair.Processes.Count > 0) recorder.Add("flows-cpu-vtep", result.Used.Processes / result.Millions, flows);
    }
}
