using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve stats</c>: state and counters of a running VTEP, every drop with its reason.</summary>
internal static class StatsCommand
{
    /// <summary>Characters of a line that goes to a pipe.</summary>
    public const int PipeWidth = 240;
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var stats = new Command("stats", "Show state and counters: per segment, per remote VTEP, every drop with its reason.");
        Device.AddTo(stats, isRead: true);
        stats.WithExamples("""
            Examples:
              sleeve stats
              sleeve stats dev vx0 --json
            """);
        stats.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            // A socket serves all segments of its process, so it does without a device.
            var path = reader.Read<string?>(Device.Socket, Words.Place!, null);
            var sources = path is not null && !reader.IsGiven(Device.Device) ? [("", path)] : Device.Select(reader);
            var only = reader.IsGiven(Device.Device) ? sources[0].Device : null;
            return () => ShowAsync(sources, only, result.GetValue(Device.Json));
        }));
        return stats;
    }

    private static async Task ShowAsync(IReadOnlyList<(string Device, string Path)> sources, string? only, bool json)
    {
        var (answers, missing) = await DeviceOptions.ReadAsync(sources, static (_, client) => client.GetAsync("stats", ApiJson.Default.VtepStatsJson));
        var vteps = new Dictionary<int, VtepStatsJson>();
        foreach (var vtep in answers)
        {
            // One process answers on a socket a device.
            vteps[vtep.Pid] = only is null ? vtep : vtep with { Segments = [.. vtep.Segments.Where(segment => segment.Ifname == only)] };
            if (only is not null && vteps[vtep.Pid].Segments.Count == 0) throw new HostException($"No such device: dev {only}: has no segment in this VTEP");
        }

        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize<IReadOnlyList<VtepStatsJson>>([.. vteps.Values], ApiJson.Default.IReadOnlyListVtepStatsJson));
        }
        else
        {
            foreach (var vtep in vteps.Values) Print(vtep);
        }

        if (missing is not null) throw missing;
    }

    private static void Print(VtepStatsJson vtep)
    {
        Write($"VTEP {vtep.Local} UDP port {vtep.Dstport}, pid {vtep.Pid}");
        Write($"    source ports: {vtep.SourcePortsOpen} open of at most {vtep.SourcePortsLimit}");
        Write($"    receive buffer: {vtep.ReceiveBufferBytes} bytes, {vtep.SocketDrops} datagrams dropped because it was full");
        Write($"    tx-offload: {vtep.TxOffload} ({vtep.TxOffloadReason}), {vtep.TxOffloadMessages} messages cut by the kernel, {vtep.TxOffloadRefused} refused");
        if (vtep.TxOffload == "tunnel-gso" || vtep.TxTunnelMessages + vtep.TxTunnelRefused > 0)
            Write($"    tunnel-gso: {vtep.TxTunnelMessages} super-frames sent whole, {vtep.TxTunnelRefused} refused, {vtep.TxTunnelEaten} eaten on their way out");
        Write($"    rx-offload: {vtep.RxOffload} ({vtep.RxOffloadReason}), {vtep.RxOffloadMessages} messages of several datagrams");
        Write($"    workers: {vtep.Workers.Count}, steering: {vtep.Steering}");
        foreach (var worker in vtep.Workers)
            Write($"        {worker.Worker}: {worker.TapBytes} bytes from TAPs, {worker.UnderlayBytes} from the underlay, {worker.Sleeps} sleeps, {worker.SleepsSpared} spared");
        var runtime = vtep.Runtime;
        Write($"    runtime: {runtime.Gen0Collections} collections (gen1 {runtime.Gen1Collections}, gen2 {runtime.Gen2Collections}), {runtime.AllocatedBytes} bytes allocated");
        PrintDrops(vtep.Drops);
        foreach (var segment in vtep.Segments)
        {
            Write("");
            Write($"{segment.Ifname}: vni {segment.Vni} {(segment.Up ? "UP" : "DOWN")} mtu {segment.Mtu} mac {segment.Mac} fdb {segment.FdbEntries} neigh {segment.Neighbours}");
            Write($"    {segment.Queues} {(segment.Queues == 1 ? "queue" : "queues")}, tap-offload: {segment.TapOffload} ({segment.TapOffloadReason})");
            if (segment.Group is { } group) Write($"    group {group}: {(segment.GroupJoined == true ? "joined" : "not joined")}");
            PrintCounters(segment);
            PrintRemotes(segment);
            PrintDrops(segment.Drops);
        }
    }

    private static void PrintCounters(SegmentStatsJson segment)
    {
        var table = NewTable("counter", "value");
        foreach (var (name, value) in segment.Counters) table.AddRow(name, Number(value));
        AnsiConsole.Write(new Padder(table, new Padding(4, 0, 0, 0)));
    }

    private static void PrintRemotes(SegmentStatsJson segment)
    {
        if (segment.Remotes.Count == 0) return;
        // A line a direction: with all numbers side by side it would not fit a terminal.
        var table = NewTable("remote", "port", "vni", "origin", "pmtu", "", "datagrams", "bytes", "dropped");
        foreach (var remote in segment.Remotes)
        {
            table.AddRow(
                remote.Dst, Number(remote.Port), Number(remote.Vni), remote.Configured ? "configured" : "learned",
                remote.Pmtu is { } mtu ? Number(mtu) : "", "tx", Number(remote.TxDatagrams), Number(remote.TxBytes), Number(remote.TxDropped));
            // Below the number, where it comes from, and what a probe said.
            var from = remote.PmtuProbe is null ? remote.PmtuFrom : $"{remote.PmtuFrom}; probed {remote.PmtuProbed} {remote.PmtuProbe}";
            table.AddRow(remote.Via is null ? "" : $"via {remote.Via}", "", "", "", from, "rx", Number(remote.RxDatagrams), Number(remote.RxBytes), "");
        }

        AnsiConsole.Write(new Padder(table, new Padding(4, 0, 0, 0)));
    }

    private static void PrintDrops(IReadOnlyList<DropJson> drops)
    {
        foreach (var drop in drops)
            Write($"    dropped {drop.Direction} {drop.Count}: {drop.Reason}: {drop.Sentence}");
    }

    private static Table NewTable(params ReadOnlySpan<string> columns)
    {
        var table = new Table().Border(TableBorder.None);
        for (var i = 0; i < columns.Length; i++)
        {
            var column = new TableColumn(columns[i]).NoWrap();
            table.AddColumn(i == 0 ? column : column.RightAligned());
        }

        return table;
    }

    // Not through AnsiConsole.WriteLine: it breaks lines at the width of a terminal that a pipe does not have.
    private static void Write(string line) => Console.Out.WriteLine(line);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
