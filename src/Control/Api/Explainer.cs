using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// Tells what would happen to a frame, stage by stage. The verdicts are those of the workers' own code over the segment's own tables
/// (<see cref="FrameTrial"/>); here they are only put into words. What a stage that is added counts, drops or changes is told without being named here.
/// </summary>
internal sealed partial class Explainer(VtepState state)
{
    private const int NamedCopies = 16;
    private const int StationFrameSize = 60;
    private const ushort Experimental = 0x88B5;
    private const int OuterUdp = 8;

    // What every frame counts, or what is told in words of its own.
    private static readonly Counter[] Usual =
        [Counter.TapReceived, Counter.TapReceivedBytes, Counter.TapSent, Counter.TapSentBytes, Counter.DatagramsReceived, Counter.DatagramsSent, Counter.Flooded, Counter.Replicated, Counter.Proxied, Counter.Learned, Counter.Moved];

    private readonly Lock _one = new();
    private FrameTrial? _trial;

    /// <summary>A frame of the TAP as it stands.</summary>
    public ExplainJson Frame(VtepSegment found, byte[] frame) => Send(found, frame, isFlowKnown: true, []);

    /// <summary>Some frame to a station, or from one if it comes from a VTEP.</summary>
    public ExplainJson Station(VtepSegment found, InternetAddress? sender, MacAddress mac) => sender is { } vtep
        ? Receive(found, vtep, PlainDatagram(found.Segment, StationFrame(MacAddress.Broadcast, mac)), 0, [])
        : Send(found, StationFrame(mac, found.Segment.DeviceMac), isFlowKnown: false, []);

    /// <summary>Some packet to an address: to the MAC that is known for it, else the question who has it.</summary>
    public ExplainJson Address(VtepSegment found, InternetAddress address)
    {
        if (found.Segment.Neighbours.TryGet(address, out var neighbour))
            return Send(found, StationFrame(neighbour.Mac, found.Segment.DeviceMac), isFlowKnown: false, [new ExplainStepJson("neighbour", $"{address} is {neighbour.Mac}{(neighbour.IsRouter ? ", a router" : "")} in the segment's neighbour table")]);
        if (address.IsMulticast)
            return Send(found, StationFrame(GroupOf(address), found.Segment.DeviceMac), isFlowKnown: false, [new ExplainStepJson("neighbour", $"{address} is a group, whose MAC is {GroupOf(address)}")]);
        var question = address.IsIPv4 ? "an ARP request" : "a neighbour solicitation";
        var mac = address.IsIPv4 ? MacAddress.Broadcast : SolicitedNodeOf(address);
        return Send(found, StationFrame(mac, found.Segment.DeviceMac), isFlowKnown: false,
        [
            new ExplainStepJson("neighbour", $"{address} is not in the segment's neighbour table (sleeve neigh show): whoever wants it sends {question} to {mac} first, which is what follows; "
                + "if it is routed, packets go to the MAC of the gateway (ip route get, ip neigh show)"),
        ]);
    }

    private ExplainJson Send(VtepSegment found, byte[] frame, bool isFlowKnown, List<ExplainStepJson> steps)
    {
        var segment = found.Segment;
        var outcome = Try(trial => trial.Send(segment, frame, Vtep.NowMilliseconds));
        void Add(string stage, string text) => steps.Add(new ExplainStepJson(stage, text));

        var isFrame = InnerHeaders.TryParse(frame, out var headers);
        Add("parse", isFrame ? Describe(frame, headers) : $"{frame.Length} bytes are no Ethernet frame");
        if (isFrame && outcome.Counters[Counter.Proxied] > 0)
        {
            Add("proxy", $"answers itself, to the TAP, {outcome.Delivered[0].Bytes.Length} bytes: the address is in the neighbour table");
            return Finish(found, "tap", "answered", steps, [], outcome);
        }

        if (isFrame)
        {
            if (segment.Options.Proxy) Add("proxy", "has no answer");
            Add("look-up", LookUp(segment, headers.Destination));
        }

        foreach (var reply in outcome.Delivered) Add("reply", $"to {segment.Options.Name}, {reply.Bytes.Length} bytes: {(InnerHeaders.TryParse(reply.Bytes.Span, out var answer) ? Describe(reply.Bytes.ToArray(), answer) : "")}");
        AddChanges(steps, frame, outcome);
        var copies = outcome.Copies.Count == 0 ? [] : Encapsulate(found, frame, headers, isFlowKnown, outcome, steps);
        return Finish(found, "tap", copies.Count > 0 ? "sent" : "dropped", steps, copies, outcome);
    }

    private TrialOutcome Try(Func<FrameTrial, TrialOutcome> run)
    {
        lock (_one) return run(_trial ??= state.Vtep.NewTrial());
    }

    // What stages did that have no words of their own here.
    private static void AddChanges(List<ExplainStepJson> steps, ReadOnlySpan<byte> frame, TrialOutcome outcome)
    {
        foreach (var counter in Enum.GetValues<Counter>().Except(Usual))
            if (outcome.Counters[counter] is > 0 and var count) steps.Add(new ExplainStepJson("count", $"{JsonNamingPolicy.SnakeCaseLower.ConvertName(counter.ToString())} + {count}"));
        if (outcome.Copies is not [{ Datagrams: 1 }, ..]) return;
        var inner = outcome.Payload.Span[VxlanHeader.Size..];
        if (inner.SequenceEqual(frame)) return;
        var differing = Math.Abs(inner.Length - frame.Length);
        for (var i = 0; i < Math.Min(inner.Length, frame.Length); i++)
            if (inner[i] != frame[i]) differing++;
        steps.Add(new ExplainStepJson("change", $"{differing} bytes of the frame are changed on the way"));
    }

    private List<ExplainCopyJson> Encapsulate(
        VtepSegment found, byte[] frame, in InnerHeaders headers, bool isFlowKnown, TrialOutcome outcome, List<ExplainStepJson> steps)
    {
        var vtep = state.Vtep;
        steps.Add(new ExplainStepJson("encapsulate", $"VXLAN header {Convert.ToHexStringLower(outcome.Payload.Span[..VxlanHeader.Size])}, VNI {outcome.Copies[0].Remote.Vni}, in front of {outcome.Payload.Length - VxlanHeader.Size} bytes"));
        var worker = vtep.WorkerOf(found, frame);
        var flowHash = outcome.Copies[0].FlowHash;
        var (port, note) = SourcePort(worker, flowHash, isFlowKnown, headers);
        steps.Add(new ExplainStepJson("source port", note));

        using var host = RouteNetlink.Open();
        var copies = new List<ExplainCopyJson>(outcome.Copies.Count);
        foreach (var copy in outcome.Copies)
        {
            var to = copy.Remote.Address;
            var bytes = (to.Address.IsIPv4 ? 20 : 40) + OuterUdp + copy.LengthEach;
            var isNamed = copies.Count < NamedCopies;
            InternetAddress? from = vtep.Options.Local.IsUnspecified ? null : vtep.Options.Local;
            var reason = "";
            RouteInfo? route = null;
            if (isNamed)
            {
                route = host.TryGetRoute(to.Address, from, copy.Remote.InterfaceIndex != 0 ? copy.Remote.InterfaceIndex : vtep.Options.InterfaceIndex, out var answer);
                reason = answer.Reason;
            }

            var link = route is null ? null : host.FindLink(route.LinkIndex);
            var source = route?.Source ?? from;
            copies.Add(new ExplainCopyJson(
                to.Address.ToString(), to.Port, copy.Remote.Vni.Value, source?.ToString(), port, link?.Name, bytes, copy.Outer.TypeOfService, copy.Outer.TimeToLive == 0 ? null : copy.Outer.TimeToLive, copy.Outer.DontFragment));
            if (!isNamed) continue;
            var mtu = link is null ? 0 : route!.MtuMetric > 0 ? Math.Min(route.MtuMetric, link.Mtu) : link.Mtu;
            steps.Add(new ExplainStepJson("outer", link is null
                ? $"to {to.Address}: no route to it now ({reason}): the kernel would refuse, counted as no_route"
                : $"{source?.ToString() ?? "?"} → {to.Address}, UDP {port?.ToString(CultureInfo.InvariantCulture) ?? "?"} → {to.Port}, VNI {copy.Remote.Vni}, {Outer(copy.Outer, to.Address.IsIPv4)}, {bytes} bytes of IP, by {link.Name} (MTU {mtu})"
                    + (bytes > mtu ? copy.Outer.DontFragment && to.Address.IsIPv4 ? ": longer than that, so with DF the kernel refuses, counted as too_big" : ": longer than that, so the kernel fragments" : "")));
        }

        if (copies.Count > NamedCopies) steps.Add(new ExplainStepJson("outer", $"and {copies.Count - NamedCopies} copies more, to {copies[NamedCopies].Dst} and others"));
        var (way, why) = vtep.TransmitOffload;
        steps.Add(new ExplainStepJson("transmit", $"this frame by the UDP socket of its source port; super-frames of the host and runs of the flow: {way.Name()} ({why})"));
        return copies;
    }

    private (int? Port, string Note) SourcePort(int? worker, uint flowHash, bool isFlowKnown, in InnerHeaders headers)
    {
        var vtep = state.Vtep;
        var range = $"{vtep.Options.SourcePortMin}-{vtep.Options.SourcePortMax}";
        if (!isFlowKnown) return (null, $"one of {range} by the flow's addresses and ports; give a whole frame to know which");
        var what = headers.IsIPv4 || headers.IsIPv6 ? headers.IsFragment ? "addresses (a fragment has no ports to go by)" : "addresses, protocol and ports" : "MACs and type";
        if (worker is not { } number)
            return (null, $"{string.Join(" or ", vtep.Workers.Select(each => each.Underlay.SourcePortOf(flowHash).Port))}, by the worker that the kernel gives the flow to; hash {flowHash:x8} of {what}");
        var (port, isOpen) = vtep.Workers[number].Underlay.SourcePortOf(flowHash);
        return (port, $"{port}: hash {flowHash:x8} of {what}, worker {number}{(isOpen ? "" : "; not open yet: if another process has it then, the next free one")}");
    }

    private static string Outer(OuterClass outer, bool isIPv4)
    {
        var ttl = outer.TimeToLive == 0 ? "of the route" : outer.TimeToLive.ToString(CultureInfo.InvariantCulture);
        return isIPv4
            ? string.Create(CultureInfo.InvariantCulture, $"TOS 0x{outer.TypeOfService:x2}, TTL {ttl}, DF {(outer.DontFragment ? "set" : "clear")}")
            : string.Create(CultureInfo.InvariantCulture, $"traffic class 0x{outer.TypeOfService:x2}, hop limit {ttl}, flow label {(outer.FlowLabel == 0 ? "by the kernel" : outer.FlowLabel.ToString(CultureInfo.InvariantCulture))}");
    }

    private static string LookUp(Segment segment, MacAddress destination)
    {
        var now = Vtep.NowMilliseconds;
        if (segment.Fdb.Show(destination, now) is { } entry && !destination.IsZero) return $"{destination}: {Kind(entry)}, behind {Names(entry.Destinations)}";
        return segment.Fdb.Show(MacAddress.Zero, now) is { } all
            ? $"{destination}: {(destination.IsGroup ? "a group without an entry" : "unknown")}, so the default destinations ({Kind(all)}): {Names(all.Destinations)}"
            : $"{destination}: no entry, and there are no default destinations";
    }

    private static string Learning(Segment segment, MacAddress source, InternetAddress sender, Counters counters)
    {
        if (counters[Counter.Learned] > 0) return $"{source} would be learned behind {sender}";
        var entry = segment.Fdb.Show(source, Vtep.NowMilliseconds);
        if (counters[Counter.Moved] > 0) return $"{source} would move from {(entry is null ? "?" : Names(entry.Destinations))} to {sender}";
        return !segment.Options.Learning ? "off" : entry is null ? $"{source} would not be learned: the table is full" : $"{source}: {Kind(entry)}, behind {Names(entry.Destinations)}, as it was";
    }

    private static string Kind(ForwardingEntry entry) => entry.Kind switch
    {
        EntryKind.Permanent => "permanent entry",
        EntryKind.Static => "static entry",
        _ => string.Create(CultureInfo.InvariantCulture, $"dynamic entry, last heard {entry.IdleMilliseconds / 1000} s ago"),
    };

    private static string Names(ReplicationList list)
    {
        var named = string.Join(", ", list.Remotes.Take(NamedCopies).Select(static remote => remote.IsNull ? "nowhere (drop)" : remote.IsSelf ? $"{remote.Address.Address} (this VTEP)" : remote.Address.Address.ToString()));
        return list.Remotes.Length <= NamedCopies ? named : $"{named} and {list.Remotes.Length - NamedCopies} more";
    }

    private static string Describe(byte[] frame, in InnerHeaders headers)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{headers.Source} → {headers.Destination}, {frame.Length} bytes{(headers.IsTagged ? ", tagged" : "")}");
        if (headers.IsTruncatedIp) return $"{line}, IP but cut off in its header";
        if (!headers.IsIPv4 && !headers.IsIPv6) return string.Create(CultureInfo.InvariantCulture, $"{line}, type {headers.EtherType:x4}{(headers.EtherType == EtherType.Arp ? " (ARP)" : "")}");
        var addresses = headers.Addresses(frame);
        var half = addresses.Length / 2;
        var (from, to) = half == 4
            ? (InternetAddress.ReadIPv4(addresses), InternetAddress.ReadIPv4(addresses[half..]))
            : (InternetAddress.ReadIPv6(addresses), InternetAddress.ReadIPv6(addresses[half..]));
        line += string.Create(CultureInfo.InvariantCulture, $", {from} → {to}, protocol {headers.Protocol}");
        if (headers.IsFragment) return line + ", a fragment";
        if (headers.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp) || headers.TransportLength < 4) return line;
        var ports = frame.AsSpan(headers.TransportOffset);
        return string.Create(CultureInfo.InvariantCulture, $"{line}, port {(ports[0] << 8) | ports[1]} → {(ports[2] << 8) | ports[3]}");
    }

    private static ExplainJson Finish(VtepSegment found, string from, string outcome, List<ExplainStepJson> steps, IReadOnlyList<ExplainCopyJson> copies, TrialOutcome trial)
    {
        var drops = StatsRoutes.DropsOf(trial.Counters);
        foreach (var drop in drops) steps.Add(new ExplainStepJson("drop", $"{drop.Reason}{(drop.Count > 1 ? $" ({drop.Count} copies)" : "")}: {drop.Sentence}"));
        return new ExplainJson(found.Segment.Options.Name, from, outcome, steps, copies, drops);
    }

    private static byte[] StationFrame(MacAddress destination, MacAddress source)
    {
        var frame = new byte[StationFrameSize];
        destination.Write(frame);
        source.Write(frame.AsSpan(MacAddress.Size));
        (frame[12], frame[13]) = (Experimental >> 8, Experimental & 0xFF);
        return frame;
    }

    // RFC 1112, section 6.4; RFC 2464, section 7.
    private static MacAddress GroupOf(InternetAddress group)
    {
        Span<byte> bytes = stackalloc byte[16];
        group.Write(bytes);
        return group.IsIPv4
            ? MacAddress.FromValue(0x0100_5E00_0000 | ((ulong)(bytes[1] & 0x7F) << 16) | ((ulong)bytes[2] << 8) | bytes[3])
            : MacAddress.FromValue(0x3333_0000_0000 | ((ulong)bytes[12] << 24) | ((ulong)bytes[13] << 16) | ((ulong)bytes[14] << 8) | bytes[15]);
    }

    // RFC 4291, section 2.7.1.
    private static MacAddress SolicitedNodeOf(InternetAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        return MacAddress.FromValue(0x3333_FF00_0000 | ((ulong)bytes[13] << 16) | ((ulong)bytes[14] << 8) | bytes[15]);
    }
}
