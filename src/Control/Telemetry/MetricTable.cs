using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Telemetry;

/// <summary>Every metric there is. docs/metrics.md has the same table; a test compares them.</summary>
internal static class MetricTable
{
    private const string OfSegment = "device vni";
    private const string OfRemote = "device vni remote remote_port remote_vni via";

    // In the words of docs/operating.md, which says more of each.
    private static readonly (Counter Counter, string Name, string Unit, string Description)[] SegmentCounters =
    [
        (Counter.TapReceived, "sleeve.tap.received.frames", "{frame}", "Frames taken from the TAP; a super-frame counts as the frames it stands for."),
        (Counter.TapReceivedBytes, "sleeve.tap.received.bytes", "By", "Bytes in them, with their Ethernet headers."),
        (Counter.TapSent, "sleeve.tap.sent.frames", "{frame}", "Frames written to the TAP, the proxy's answers not counted."),
        (Counter.TapSentBytes, "sleeve.tap.sent.bytes", "By", "Bytes in them, with their Ethernet headers."),
        (Counter.DatagramsReceived, "sleeve.datagrams.received", "{datagram}", "Datagrams that came for the segment, dropped ones included."),
        (Counter.DatagramsSent, "sleeve.datagrams.sent", "{datagram}", "Datagrams that the kernel took."),
        (Counter.Proxied, "sleeve.proxied.frames", "{frame}", "ARP requests and neighbour solicitations answered here."),
        (Counter.Replicated, "sleeve.replicated.frames", "{frame}", "Copies beyond the first that head-end replication made."),
        (Counter.Flooded, "sleeve.flooded.frames", "{frame}", "Frames without an FDB entry of their own, sent to the default destinations."),
        (Counter.Returned, "sleeve.returned.frames", "{frame}", "Frames that were flooded from here and came back within a second; they were delivered."),
        (Counter.Learned, "sleeve.fdb.learned", "{station}", "Stations learned."),
        (Counter.Moved, "sleeve.fdb.moved", "{station}", "Stations that moved from one VTEP to another."),
        (Counter.NotLearned, "sleeve.fdb.not_learned.frames", "{frame}", "Frames whose new source found the FDB full or busy; they were delivered."),
        (Counter.StationsLimited, "sleeve.fdb.limited.frames", "{frame}", "Frames whose source was not learned because its VTEP has as many stations as it may."),
        (Counter.SuperFramesCut, "sleeve.super_frames.cut", "{super-frame}", "Super-frames of the TAP that were cut."),
        (Counter.SuperFramesMerged, "sleeve.super_frames.merged", "{super-frame}", "Super-frames that runs of datagrams were merged into for the TAP."),
        (Counter.OffloadRecognised, "sleeve.offload.recognised.frames", "{frame}", "Frames of a peer on the same machine whose checksum or size the kernel has to finish."),
        (Counter.PmtuReplies, "sleeve.pmtu.replies", "{packet}", "Inner packets too long for the path to their VTEP that were answered by ICMP."),
        (Counter.MssClamped, "sleeve.mss.clamped", "{connection}", "TCP connections whose maximum segment size was lowered."),
        (Counter.EcnUnexpected, "sleeve.ecn.unexpected.frames", "{frame}", "Frames without ECN in datagrams that claimed it; they were delivered."),
    ];

    /// <summary>The metrics, those of segments first.</summary>
    public static IReadOnlyList<MetricDefinition> All { get; } = [.. CountersOfSegments(), .. Segments(), .. Remotes(), .. ClusterMetrics.All, .. Workers(), .. Sockets(), .. Offloads(), .. Runtime()];

    private static IEnumerable<MetricDefinition> CountersOfSegments() => SegmentCounters.Select(static each =>
        Count(each.Name, each.Unit, OfSegment, each.Description, reading => reading.Segments.Select(segment => (segment.Counters[each.Counter], segment.Labels))));

    private static IEnumerable<MetricDefinition> Segments() =>
    [
        Count("sleeve.dropped.frames", "{frame}", "device vni direction reason", "Frames and datagrams dropped; reasons as in sleeve stats, each from its first drop on; without device what no segment could be found for.", Drops),
        OfSegments("sleeve.fdb.entries", "{entry}", "Entries in the FDB.", static segment => segment.Fdb.Count),
        OfSegments("sleeve.fdb.limit", "{entry}", "Entries that the FDB may have.", static segment => segment.Options.EntryLimit),
        OfSegments("sleeve.neighbours", "{entry}", "Entries in the neighbour table.", static segment => segment.Neighbours.Count),
        OfSegments("sleeve.remotes", "{remote}", "Remote VTEPs known.", static segment => segment.Remotes.Count),
        OfSegments("sleeve.segment.up", "", "1 if the TAP is up, else 0.", static segment => segment.IsUp ? 1 : 0),
        OfSegments("sleeve.segment.mtu", "By", "MTU of the TAP.", static segment => segment.Mtu),
    ];

    private static IEnumerable<MetricDefinition> Remotes() =>
    [
        OfRemotes("sleeve.remote.sent.datagrams", "{datagram}", "Datagrams for the remote that the kernel took.", static counters => counters.DatagramsSent),
        OfRemotes("sleeve.remote.sent.bytes", "By", "UDP payload bytes in them.", static counters => counters.BytesSent),
        OfRemotes("sleeve.remote.received.datagrams", "{datagram}", "Datagrams admitted from the remote.", static counters => counters.DatagramsReceived),
        OfRemotes("sleeve.remote.received.bytes", "By", "UDP payload bytes in them.", static counters => counters.BytesReceived),
        OfRemotes("sleeve.remote.dropped.datagrams", "{datagram}", "Datagrams for the remote that could not be sent.", static counters => counters.Drops),
        Gauge("sleeve.remote.path_mtu", "By", OfRemote, "Largest outer IP packet that reaches the remote whole, where that is known.",
            static reading => reading.Remotes.Where(static each => each.Remote.PathMtu.Bytes > 0).Select(static each => ((long)each.Remote.PathMtu.Bytes, each.Labels))),
        Gauge("sleeve.remotes.unlisted", "{remote}", "", "Remotes beyond the limit, which have no series of their own.", static reading => One(reading.RemotesUnlisted)),
    ];

    private static IEnumerable<MetricDefinition> Workers() =>
    [
        OfWorkers("sleeve.worker.tap.bytes", "By", "Bytes that the worker took from TAPs.", static worker => worker.BytesTaken.Out),
        OfWorkers("sleeve.worker.underlay.bytes", "By", "Bytes that the worker took from its sockets.", static worker => worker.BytesTaken.In),
        OfWorkers("sleeve.worker.sleeps", "{sleep}", "How often the worker slept.", static worker => worker.Sleeps.Sleeps),
        OfWorkers("sleeve.worker.sleeps_spared", "{sleep}", "How often something came while the worker still looked before a sleep.", static worker => worker.Sleeps.Spared),
        OfWorkers("sleeve.worker.socket_drops", "{datagram}", "Datagrams that did not fit the queue of the worker's socket.", static worker => worker.Underlay.SocketDrops),
        new MetricDefinition<double>("sleeve.worker.cpu", MetricKind.Counter, "s", "worker mode", "CPU time of the worker's thread, user and system.",
            static reading => reading.Workers.SelectMany(static each => Times(ProcessReading.CpuSecondsOf(each.Worker.ThreadId), each.Labels))),
    ];

    private static IEnumerable<MetricDefinition> Sockets() =>
    [
        Count("sleeve.socket.drops", "{datagram}", "", "Datagrams that did not fit the queues of the receiving sockets, those of multicast groups too.", static reading => One(reading.Vtep.SocketDrops)),
        Gauge("sleeve.receive_buffer", "By", "", "What the kernel may queue on each receiving socket.", static reading => One(reading.Vtep.ReceiveBufferBytes)),
        Gauge("sleeve.source_ports.open", "{port}", "", "UDP source ports in use, one a flow.", static reading => One(reading.Vtep.SourcePortsOpen)),
        Gauge("sleeve.source_ports.limit", "{port}", "", "UDP source ports that can be in use.", static reading => One(reading.Vtep.SourcePortsLimit)),
    ];

    private static IEnumerable<MetricDefinition> Offloads() =>
    [
        Count("sleeve.offload.messages", "{message}", "offload", "Messages of several datagrams: tunnel-gso and udp-gso sent, udp-gro received.", static reading =>
            [(reading.Vtep.TunnelMessages.Sent, Of("tunnel-gso")), (reading.Vtep.GsoMessages.Sent, Of("udp-gso")), (reading.Vtep.CoalescedMessages, Of("udp-gro"))]),
        Count("sleeve.offload.refused", "{message}", "offload", "Those that the kernel refused; what was in them was sent again, cut.", static reading =>
            [(reading.Vtep.TunnelMessages.Refused, Of("tunnel-gso")), (reading.Vtep.GsoMessages.Refused, Of("udp-gso"))]),
        Count("sleeve.offload.eaten", "{message}", "offload", "Those that were watched and not seen leaving; they were sent again, cut.", static reading => [(reading.Vtep.TunnelMessages.Eaten, Of("tunnel-gso"))]),
        Gauge("sleeve.vtep.info", "", "local port tx_offload rx_offload steering", "1; its labels say what the VTEP is, and which offloads are in use.", Describe),
        Gauge("sleeve.build.info", "", "version runtime architecture", "1; its labels say what runs.", static _ => [(1L, Build)]),
    ];

    private static IEnumerable<MetricDefinition> Runtime() =>
    [
        new MetricDefinition<double>("sleeve.uptime", MetricKind.Gauge, "s", "", "Since the process started.",
            static _ => [((DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds - ProcessReading.StartSeconds, Labels.None)]),
        Count("sleeve.gc.collections", "{collection}", "generation", "Garbage collections; one of a generation counts for those below it too.",
            static _ => Enumerable.Range(0, GC.MaxGeneration + 1).Select(static generation => ((long)GC.CollectionCount(generation), Labels.None.With("generation", generation.ToString(CultureInfo.InvariantCulture))))),
        new MetricDefinition<double>("sleeve.gc.pause", MetricKind.Counter, "s", "", "How long garbage collections had all threads wait.", static _ => [(GC.GetTotalPauseDuration().TotalSeconds, Labels.None)]),
        // Not precise: that would stop the workers to look at what each has left.
        Count("sleeve.gc.allocated", "By", "", "Bytes handed out to all threads, in the runtime's steps.", static _ => One(GC.GetTotalAllocatedBytes(precise: false))),
        Gauge("sleeve.gc.heap", "By", "", "Bytes on the garbage-collected heap.", static _ => One(GC.GetTotalMemory(forceFullCollection: false))),
        Count("sleeve.log.lines", "{line}", "level", "Lines logged.", static reading => reading.Log.Lines.Select(static each => (each.Lines, Labels.None.With("level", each.Level)))),
        Count("sleeve.log.left_out", "{line}", "", "Lines left out of the log because there were too many of one event.", static reading => One(reading.Log.LeftOut)),
        new MetricDefinition<double>("process.cpu", MetricKind.Counter, "s", "mode", "CPU time of all threads, user and system.", static _ => Times(ProcessReading.CpuSeconds, Labels.None)),
        Gauge("process.resident_memory", "By", "", "Memory of the process that is in RAM.", static _ => One(ProcessReading.ResidentBytes)),
        new MetricDefinition<double>("process.start_time", MetricKind.Gauge, "s", "", "When the process started, since 1970.", static _ => [(ProcessReading.StartSeconds, Labels.None)]),
        Gauge("process.open_fds", "{descriptor}", "", "Open descriptors.", static _ => One(ProcessReading.OpenDescriptors)),
        Gauge("process.max_fds", "{descriptor}", "", "Descriptors that may be open.", static _ => One(ProcessReading.DescriptorLimit)),
        Gauge("process.threads", "{thread}", "", "Threads, those of the runtime too.", static _ => One(ProcessReading.Threads)),
    ];

    private static Labels Build { get; } = Labels.None
        .With("version", Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion)
        .With("runtime", Environment.Version.ToString())
        .With("architecture", RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant());

    private static IEnumerable<(long, Labels)> Describe(MetricReading reading)
    {
        var vtep = reading.Vtep;
        yield return (1, Labels.None
            .With("local", vtep.Options.Local.ToString())
            .With("port", vtep.Options.Port.ToString(CultureInfo.InvariantCulture))
            .With("tx_offload", vtep.TransmitOffload.Offload.Name())
            .With("rx_offload", vtep.IsCoalescing ? "udp-gro" : "none")
            .With("steering", reading.Workers.Count == 1 ? "one-worker" : reading.IsSteered ? "inner-flow" : "kernel"));
    }

    private static IEnumerable<(long, Labels)> Drops(MetricReading reading)
    {
        foreach (var (counters, labels) in reading.Segments.Select(static segment => (segment.Counters, segment.Labels)).Append((reading.Vtep.Unassigned, Labels.None)))
        {
            foreach (var reason in Enum.GetValues<DropReason>())
            {
                var name = JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString());
                if (counters.DropsIn(reason) is > 0 and var inward) yield return (inward, labels.With("direction", "in").With("reason", name));
                if (counters.DropsOut(reason) is > 0 and var outward) yield return (outward, labels.With("direction", "out").With("reason", name));
            }
        }
    }

    private static IEnumerable<(double, Labels)> Times((double User, double System) times, Labels labels) => [(times.User, labels.With("mode", "user")), (times.System, labels.With("mode", "system"))];

    private static IEnumerable<(long, Labels)> One(long value) => [(value, Labels.None)];

    private static Labels Of(string offload) => Labels.None.With("offload", offload);

    private static MetricDefinition<long> Count(string name, string unit, string labels, string description, Func<MetricReading, IEnumerable<(long, Labels)>> values) =>
        new MetricDefinition<long>(name, MetricKind.Counter, unit, labels, description, values);

    private static MetricDefinition<long> Gauge(string name, string unit, string labels, string description, Func<MetricReading, IEnumerable<(long, Labels)>> values) =>
        new MetricDefinition<long>(name, MetricKind.Gauge, unit, labels, description, values);

    private static MetricDefinition<long> OfSegments(string name, string unit, string description, Func<Segment, long> value) =>
        Gauge(name, unit, OfSegment, description, reading => reading.Segments.Select(each => (value(each.Attached.Segment), each.Labels)));

    private static MetricDefinition<long> OfRemotes(string name, string unit, string description, Func<RemoteCounters, long> value) =>
        Count(name, unit, OfRemote, description, reading => reading.Remotes.Select(each => (value(each.Counters), each.Labels)));

    private static MetricDefinition<long> OfWorkers(string name, string unit, string description, Func<Worker, long> value) =>
        Count(name, unit, "worker", description, reading => reading.Workers.Select(each => (value(each.Worker), each.Labels)));
}
