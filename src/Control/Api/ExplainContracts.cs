namespace Sleeve.Control.Api;

/// <summary>What is to be explained: one of <paramref name="Mac"/>, <paramref name="Ip"/> and <paramref name="Frame"/>.</summary>
/// <param name="Dev">The TAP of the segment.</param>
/// <param name="From">"tap", the address of the VTEP that it would come from, or "underlay": the frame is a whole packet of the underlay.</param>
/// <param name="Mac">A station: the destination of a frame from the TAP, the source of one from a VTEP.</param>
/// <param name="Ip">The address of a station, as a destination.</param>
/// <param name="Frame">
/// A whole Ethernet frame, base64. Not from the TAP it may be one of the underlay: a UDP packet to the VTEP's port, whose sender, TOS and VXLAN header then count.
/// </param>
internal sealed record ExplainRequestJson(string? Dev, string? From, string? Mac, string? Ip, byte[]? Frame);

/// <summary>What would happen.</summary>
/// <param name="Dev">The TAP of the segment; of a packet of the underlay that of its VNI.</param>
/// <param name="From">As asked; of a packet of the underlay its sender.</param>
/// <param name="Outcome">"sent", "answered", "delivered", "dropped" or "ignored" (no packet for the VTEP); "sent" if at least one copy would be.</param>
/// <param name="Steps">Stage by stage.</param>
/// <param name="Copies">What would be sent, one a remote VTEP.</param>
/// <param name="Drops">What would be dropped, and why.</param>
internal sealed record ExplainJson(
    string Dev, string From, string Outcome, IReadOnlyList<ExplainStepJson> Steps, IReadOnlyList<ExplainCopyJson> Copies, IReadOnlyList<DropJson> Drops);

/// <summary>One stage.</summary>
/// <param name="Stage">Its name.</param>
/// <param name="Text">What it would do.</param>
internal sealed record ExplainStepJson(string Stage, string Text);

/// <summary>One datagram, or the datagrams of one super-frame.</summary>
/// <param name="Dst">Address of the VTEP.</param>
/// <param name="Port">Its UDP port.</param>
/// <param name="Vni">The VNI it would carry.</param>
/// <param name="Src">Address it would be sent from; left out if there is no route.</param>
/// <param name="SourcePort">UDP source port; left out if it depends on more than was given.</param>
/// <param name="Dev">Interface it would leave by.</param>
/// <param name="Bytes">Bytes of the outer IP packet.</param>
/// <param name="Tos">TOS or traffic class of the outer header, ECN included.</param>
/// <param name="Ttl">TTL or hop limit; left out if it is the route's.</param>
/// <param name="Df">DF of the outer IPv4 header.</param>
internal sealed record ExplainCopyJson(string Dst, int Port, long Vni, string? Src, int? SourcePort, string? Dev, int Bytes, int Tos, int? Ttl, bool Df);
