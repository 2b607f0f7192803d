using System.Globalization;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <content>What would happen to what comes from the underlay.</content>
internal sealed partial class Explainer
{
    private static readonly string[] Marks = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];

    /// <summary>A whole packet of the underlay, or, if a sender is named and it is none, a frame that would be inside.</summary>
    public ExplainJson FromUnderlay(VtepSegment found, InternetAddress? sender, byte[] frame)
    {
        var port = state.Vtep.Options.Port;
        if (OuterDatagram.TryParse(frame, port, out var datagram))
        {
            var other = sender is { } named && named != datagram.Sender ? $" (not {named}: the packet says it)" : "";
            var steps = new List<ExplainStepJson>
            {
                new("outer", string.Create(CultureInfo.InvariantCulture, $"from {datagram.Sender}{other}, UDP {datagram.SourcePort} → {port}, TOS 0x{datagram.TypeOfService:x2} ({Marks[datagram.TypeOfService & CongestionMark.Mask]})")),
            };
            return Receive(SegmentOf(datagram.Payload, found, steps), datagram.Sender, datagram.Payload.ToArray(), datagram.TypeOfService, steps);
        }

        if (sender is { } vtep) return Receive(found, vtep, PlainDatagram(found.Segment, frame), 0, []);
        return new ExplainJson(
            found.Segment.Options.Name, ExplainRoutes.Underlay, "ignored",
            [new ExplainStepJson("outer", $"{frame.Length} bytes are no whole UDP packet to port {port} in one piece: not for this VTEP")], [], []);
    }

    // The VNI decides, whichever segment was asked for.
    private VtepSegment SegmentOf(ReadOnlySpan<byte> datagram, VtepSegment asked, List<ExplainStepJson> steps)
    {
        if (!VxlanHeader.TryParse(datagram, out var header) || !header.HasVni || header.Vni == asked.Segment.Options.Vni) return asked;
        var found = state.Segments.Values.FirstOrDefault(each => each.Segment.Options.Vni == header.Vni);
        steps.Add(new ExplainStepJson("segment", found is null ? $"none here has VNI {header.Vni}" : $"VNI {header.Vni} is {found.Segment.Options.Name}'s, not {asked.Segment.Options.Name}'s"));
        return found ?? asked;
    }

    private static byte[] PlainDatagram(Segment segment, byte[] frame)
    {
        var datagram = new byte[VxlanHeader.Size + frame.Length];
        new VxlanHeader(segment.Options.Vni).Write(datagram);
        frame.CopyTo(datagram.AsSpan(VxlanHeader.Size));
        return datagram;
    }

    private ExplainJson Receive(VtepSegment found, InternetAddress sender, byte[] datagram, byte typeOfService, List<ExplainStepJson> steps)
    {
        var segment = found.Segment;
        void Add(string stage, string text) => steps.Add(new ExplainStepJson(stage, text));

        var outcome = Try(trial => trial.Receive(segment, datagram, sender, Vtep.NowMilliseconds, typeOfService));
        var hasHeader = VxlanHeader.TryParse(datagram, out var header);
        Add("decapsulate", hasHeader ? Describe(sender, datagram, header) : $"a datagram of {sender}, {datagram.Length} bytes: shorter than a VXLAN header");
        if (!hasHeader || !header.HasVni || header.Vni != segment.Options.Vni) return Finish(found, sender.ToString(), "dropped", steps, [], outcome);

        var known = segment.Remotes.All.FirstOrDefault(remote => remote.Address.Address == sender);
        Add("admit", $"{sender} is {(known is null ? "no VTEP that is known" : known.IsConfigured ? "a configured VTEP" : "a VTEP that was learned")}; the segment admits {(segment.Options.Admission == Admission.Any ? "any" : "configured ones, or any while none is")}");
        var frame = datagram[VxlanHeader.Size..];
        var isFrame = InnerHeaders.TryParse(frame, out var headers);
        Add("parse", isFrame ? Describe(frame, headers) : $"{frame.Length} bytes are no Ethernet frame");
        var counters = outcome.Counters;
        var isDelivered = outcome.Delivered.Count > 0;
        // What was dropped before has not met these.
        if (isDelivered || counters.DropsIn(DropReason.PolicyDenied) + counters.DropsIn(DropReason.EcnContradiction) > 0)
        {
            if (segment.Options.Policy is not null) Add("policy", Policy(segment, header.Policy));
            if (counters.DropsIn(DropReason.PolicyDenied) == 0 && (typeOfService & CongestionMark.Mask) != 0) Add("ecn", Congestion(typeOfService, frame, headers, outcome));
        }

        if (isDelivered) Add("learn", segment.Options.Policy is not null && header.Policy.DontLearn ? "not at all: the D bit says so" : Learning(segment, headers.Source, sender, counters));
        AddChanges(steps, [], outcome);
        foreach (var delivered in outcome.Delivered)
            Add("deliver", $"to {segment.Options.Name}, {delivered.Bytes.Length} bytes{(delivered.Offload.NeedsChecksum ? ", its checksum left to the kernel" : "")}; never back to the underlay");
        return Finish(found, sender.ToString(), isDelivered ? "delivered" : "dropped", steps, [], outcome);
    }

    private static string Describe(InternetAddress sender, byte[] datagram, VxlanHeader header)
    {
        var bits = Convert.ToHexStringLower(datagram.AsSpan(0, VxlanHeader.Size));
        if (!header.HasVni) return $"a datagram of {sender}, VXLAN header {bits}: no I flag, so no VNI";
        if (!header.HasReservedBits) return $"a datagram of {sender} with VNI {header.Vni}, no other bit of the VXLAN header set";
        var more = header.HasReservedBitsBesidePolicy ? ", reserved bits set" : "";
        var policy = header.Policy;
        if (policy != default) more += $", group {policy.Group}{(policy.DontLearn ? ", D (do not learn)" : "")}{(policy.IsApplied ? ", A (policy applied)" : "")} if it has VXLAN-GBP";
        return $"a datagram of {sender}, VXLAN header {bits}: VNI {header.Vni}{more}";
    }

    private static string Policy(Segment segment, GroupPolicy policy) => $"group {policy.Group} "
        + (segment.Options.AcceptedGroups is not { } accepted ? "is accepted, as any is"
            : policy.IsApplied ? "is not looked at: the A bit says that policy was applied"
            : accepted.Contains(policy.Group) ? "is one of --gbp-accept" : "is not one of --gbp-accept");

    // What the path made of the two, not what a table here says.
    private static string Congestion(byte outer, byte[] frame, in InnerHeaders headers, TrialOutcome outcome)
    {
        if (!headers.IsIPv4 && !headers.IsIPv6) return $"outer {Marks[outer & CongestionMark.Mask]}; the frame is not IP and has no mark";
        var inner = CongestionMark.TypeOfService(frame, headers) & CongestionMark.Mask;
        var pair = $"outer {Marks[outer & CongestionMark.Mask]}, inner {Marks[inner]}";
        if (outcome.Delivered is not [var delivered, ..] || !InnerHeaders.TryParse(delivered.Bytes.Span, out var after)) return $"{pair}: a contradiction (RFC 6040, section 4.2)";
        var mark = CongestionMark.TypeOfService(delivered.Bytes.Span, after) & CongestionMark.Mask;
        return mark == inner ? $"{pair}: the frame keeps its mark" : $"{pair}: the frame becomes {Marks[mark]}";
    }
}
