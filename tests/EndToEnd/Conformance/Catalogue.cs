namespace Sleeve.EndToEnd.Conformance;

/// <summary>One case of conformance.</summary>
/// <param name="Id">As in <c>[Trait("Case", …)]</c>.</param>
/// <param name="Given">How the VTEP is set up; empty for VNI 100, port 4789, one remote A, learning on.</param>
/// <param name="When">What is done.</param>
/// <param name="Kernel">What the kernel's vxlan device does.</param>
/// <param name="Sleeve">What Sleeve does; null for the same.</param>
/// <param name="Why">Why it differs, and how to have the kernel's way where that is an option.</param>
internal sealed record ConformanceCase(string Id, string Given, string When, string Kernel, string? Sleeve = null, string? Why = null);

/// <summary>Every case, as docs/conformance.md lists them.</summary>
internal static class Catalogue
{
    private const string SourceIsFree = "The source port is entropy: RFC 7348, section 5 names 49152 to 65535, and flows should spread.";

    /// <summary>By chapter, in the order of the document.</summary>
    public static readonly IReadOnlyList<(string Title, IReadOnlyList<ConformanceCase> Cases)> Chapters =
    [
        ("Receiving",
        [
            new("RX01", "", "a datagram with the I flag, VNI 100 and a good frame", "delivered once"),
            new("RX02", "", "I flag 0, other flags anything", "dropped, counted nowhere on the device", "dropped, counted as no_vni_flag", "A drop that is not counted costs somebody a night."),
            new("RX03", "--strict", "each of the 39 reserved bits alone", "dropped, rx error"),
            new("RX04", "default", "each of the 39 reserved bits alone", "dropped, rx error", "delivered", "RFC 7348, section 5: reserved bits are ignored on receipt. --strict is the kernel's way."),
            new("RX05", "", "VNI 0, 99, 101, 16777215", "dropped, not learned, no ICMP", "the same, counted as unknown_vni", "Counted by reason."),
            new("RX06", "", "UDP payload of 0 to 7 bytes", "dropped"),
            new("RX07", "", "inner frame of 0 to 13 bytes", "dropped"),
            new("RX08", "", "inner frame of exactly 14 bytes", "delivered"),
            new("RX09", "", "type IPv4 or IPv6 and less than their header behind it", "dropped; its source has been learned", "dropped as truncated_ip, not learned", "What is dropped teaches nothing."),
            new("RX10", "", "802.3 and LLC frames, padding behind the IP length, odd sizes", "delivered byte for byte"),
            new("RX11", "", "inner source multicast, broadcast or zero", "dropped, not learned"),
            new("RX12", "learning off", "inner source multicast, broadcast or zero", "delivered", "dropped as invalid_source", "No station can have such an address."),
            new("RX13", "", "inner source is the device's own MAC", "dropped", "the same, counted as own_mac", "Counted by reason."),
            new("RX14", "--inner-vlan pass and drop", "802.1Q, priority-tagged, 802.1ad, QinQ", "tags pass intact", "pass intact; with --inner-vlan drop dropped and counted", "RFC 7348, section 6.1 asks for the drop; the kernel's way is the default."),
            new("RX15", "--admit peers and any", "a datagram of a VTEP that nobody configured", "delivered and learned", "dropped, counted, one log line; with --admit any delivered and learned", "RFC 7348, section 7. --admit any is the kernel's way."),
            new("RX16", "the host has a second address", "a datagram to it", "delivered"),
            new("RX17", "", "a VXLAN packet in two IP fragments", "delivered once"),
            new("RX18", "", "an inner frame larger than the MTU, up to 64 kB", "delivered or dropped, no harm"),
            new("RX19", "", "random and mutated datagrams for a minute", "no harm"),
            new("CT01", "", "so many good frames in, out, bad headers and illegal ECN", "the device's counters move by as many", "every reason has its own counter, and they move by as many", "Counted by reason."),
        ]),
        ("Checksums, ECN, TTL, DSCP, DF",
        [
            new("CS01", "IPv4", "outer UDP checksum 0, right, wrong", "taken, taken, dropped"),
            new("CS02", "IPv6", "outer UDP checksum 0, right, wrong", "dropped, taken, dropped"),
            new("CS03", "IPv6, udp6zerocsumrx", "outer UDP checksum 0", "taken"),
            new("CS04", "IPv4, udpcsum and noudpcsum", "a frame sent", "valid checksum; zero"),
            new("CS05", "IPv6, udp6zerocsumtx on and off", "a frame sent", "zero; valid checksum"),
            new("EC01", "", "16 combinations of inner and outer ECN, inner IPv4 and IPv6", "RFC 6040, section 4.2; inner IPv4 header checksum right"),
            new("EC02", "", "inner ECN 0, 1, 2, 3 sent", "outer 0, 1, 2, 2; DSCP 0", "outer 0, 1, 2, 3; DSCP 0", "RFC 6040, section 4.1, normal mode; the far end delivers the same."),
            new("TT01", "ttl default, 100, inherit", "inner TTL 33", "64, 100, 33"),
            new("TT02", "tos inherit, 0x20", "inner TOS 0xB8", "0xB8, 0x20"),
            new("TT03", "group", "a frame to the group", "TTL 1"),
            new("DF01", "df unset, set, inherit", "IPv4, IPv4 with DF, IPv6, ARP", "DF 0000, 1111, 0110"),
        ]),
        ("Flooding",
        [
            new("FL01", "A, B, C in the replication list", "broadcast, multicast, unknown unicast", "one equal copy each, in order"),
            new("FL02", "VTEPs without route, ARP answer or open port in the list", "broadcast", "A gets everything"),
            new("FL03", "empty list", "anything unknown", "nothing sent, tx drop", "nothing sent, counted as no_remote_vtep", "Counted by reason."),
            new("FL04", "", "remotes added, added twice, removed while it runs", "the list as commanded, no double copy"),
            new("FL05", "A, B, C", "broadcast, unknown and known unicast from A", "to the device only: what came from the underlay never returns to it"),
            new("FL06", "three VTEPs, full mesh", "one broadcast", "exactly two datagrams in all"),
            new("FL07", "own address in the list", "broadcast", "comes back to the device, and the sender is learned at 127.0.0.1", "left out, counted as hairpin", "A reflection is a loop."),
        ]),
        ("FDB",
        [
            new("LN01", "", "a frame from A of station M", "M behind A, dynamic; frames to M go to A's port 4789 only"),
            new("LN02", "M behind A", "a frame of M from B", "M behind B at once"),
            new("LN03", "M behind A", "M speaks behind the device", "other VTEPs learn anew; nothing of M's is dropped"),
            new("LN04", "nolearning", "a frame from A", "not learned, flooding goes on"),
            new("LN05", "M static behind B", "a frame of M from A", "entry unchanged, frame dropped"),
            new("LN06", "ageing T", "M silent; sends; is only sent to", "gone after T to T + 10 s; stays; gone"),
            new("LN07", "", "10,000 stations behind four VTEPs", "all there, each behind its own"),
            new("LN08", "maxaddress N", "N + 40 stations", "at most N entries, every frame delivered"),
            new("LN09", "", "flush", "static entries stay, the rest is flooded again"),
            new("LN10", "", "device down, then up", "dynamic entries gone, static ones kept, traffic resumes"),
            new("FD01", "M static behind B, port 4790, VNI 300", "a frame to M", "outer port 4790, VNI 300"),
            new("FD02", "M static", "add again, replace, append, del", "refused, moved, no second remote, gone"),
            new("FD03", "IPv4 VTEP", "an IPv6 remote added", "refused"),
            new("FD04", "multicast MAC behind A and B", "a frame to it", "to A and B, not to the default destinations"),
            new("FD05", "M static behind A via an interface; A via two interfaces by default; an interface that goes", "a frame", "leaves by the interface named; by each; not at all over IPv4, by another over IPv6", "the same, but over IPv6 not at all either, counted as no_interface", "Who names an interface means it."),
        ]),
        ("Source ports",
        [
            new("SP01", "", "64 UDP flows", "many ports, one a flow, within net.ipv4.ip_local_port_range", "at least 50 ports, one a flow, within 49152 to 65535", SourceIsFree),
            new("SP02", "srcport MIN-MAX", "any flows", "inside, MAX never used", "inside, MAX included", SourceIsFree),
            new("SP03", "", "fragments of one datagram", "one port"),
            new("SP04", "", "a TCP connection that retransmits", "the port may change after a timeout", "one port a direction", "A flow that changes its port may be reordered."),
            new("SP05", "", "64 flows behind a VLAN tag; inner IPv6", "one port for all tagged flows", "at least 50 ports", SourceIsFree),
        ]),
        ("ARP and ND proxy, misses",
        [
            new("PX01", "proxy, X known", "ARP for X, broadcast, unicast, probe", "one right reply, nothing sent"),
            new("PX02", "proxy and proxy-strict, Y unknown", "ARP for Y", "dropped", "proxy floods, proxy-strict drops; never a reply", "The kernel's way works only with complete tables on every VTEP."),
            new("PX03", "proxy and proxy-strict", "ARP reply and gratuitous ARP of a local station", "dropped", "proxy lets them pass, proxy-strict drops", "Others need them to notice a station that moved."),
            new("PX04", "proxy, X known by IPv6", "neighbour solicitation", "valid advertisement (S, O, link-layer address, checksum, hop limit 255), nothing sent"),
            new("PX05", "proxy, X known by IPv6", "duplicate address detection (source ::)", "answered to ::, as solicited, which is invalid", "answered to ff02::1, not as solicited", "RFC 4861, section 7.2.4."),
            new("PX06", "proxy", "solicitation with an option of length zero or beyond the packet", "no reply"),
            new("PX07", "proxy, entry deleted", "ARP", "no reply"),
            new("PX08", "nolearning, no replication list, FDB and neighbours complete", "ping, TCP", "works without ARP or broadcast on the underlay"),
            new("MS01", "l3miss", "ARP or solicitation for an unknown neighbour", "event with the IP address"),
            new("MS02", "l2miss, no default destination", "unknown unicast; broadcast", "event with the MAC; none; nothing sent"),
        ]),
        ("Multicast groups",
        [
            new("MC01", "group G dev u0", "up, flood, unicast, down", "joined, to G, to the VTEP learned, left"),
            new("MC02", "group", "own flood", "does not come back"),
            new("MC03", "IPv6 group", "the same", "the same"),
        ]),
        ("MTU and path MTU",
        [
            new("MT01", "underlay MTU 1500", "created", "MTU 1450 (IPv4), 1430 (IPv6) with dev; 1500 without", "1450 and 1430, by the route to the remotes", "1500 fits no underlay of 1500."),
            new("MT02", "underlay MTU = inner + 50", "ping with DF that just fits; one byte more", "passes unfragmented; refused"),
            new("MT03", "inner 1500 over 1500", "no DF", "arrives, by outer fragments"),
            new("MT04", "inner 1500 over 1500, bridged", "IPv4 with DF, IPv6", "ICMP fragmentation needed 1450 and packet too big 1450 (or 1430) from the destination; not sent"),
            new("MT05", "inner 1500 over 1500, bridged", "TCP", "gets through both ways"),
            new("MT06", "df set, a router with MTU 1300 on the way", "TCP", "adapts"),
            new("MT07", "", "UDP up to 60,000 bytes", "intact both ways"),
        ]),
        ("Offloads",
        [
            new("OF01", "offloads of the underlay on and off", "200 MB of TCP each way, IPv4 and IPv6", "sha256 equal"),
            new("OF02", "offloads on", "small and fragmented inner UDP", "intact"),
            new("OF03", "", "10,000 packets a second of one flow", "no reordering, no duplicate"),
        ]),
        ("Segments, families, robustness",
        [
            new("IS01", "VNI 100 and 200, one MAC in both", "learn, flood, unicast", "strictly separate"),
            new("IS02", "8 VNIs, one port", "frames to each", "each to its own device"),
            new("IS03", "the host routes between two VNIs", "ping, TCP", "works"),
            new("IS04", "1,000 segments", "one MAC in all of them", "strictly separate"),
            new("V601", "IPv6 underlay", "ping, TCP, FDB", "works, the FDB shows IPv6"),
            new("RB01", "a TCP connection", "SIGKILL and start", "(no process)", "the connection survives", "A process can be killed; its TAP stays."),
            new("RB02", "5 % loss", "TCP", "intact"),
            new("RB03", "", "underlay link flaps; the peer starts anew", "recovers unaided"),
            new("RB04", "", "bursts of 5,000 ARP requests each way", "no amplification, alive"),
        ]),
        ("Group policy (VXLAN-GBP)",
        [
            new("GB01", "--gbp GROUP", "frames sent", "the group of each packet's mark", "the segment's group", "A TAP carries no marks."),
            new("GB02", "--gbp", "a frame with the D bit", "learned", "delivered, not learned", "The draft says not to learn."),
            new("GB03", "--gbp-accept", "frames of several groups, one with the A bit", "(the firewall's business, by mark)", "accepted groups and the A bit are delivered, the rest is dropped as policy_denied", "A TAP carries no marks."),
            new("GB04", "without --gbp, with and without --strict", "a frame with a group", "dropped", "delivered; with --strict dropped", "As RX03 and RX04."),
            new("GB05", "kernel device with gbp as the peer", "ping and TCP, marks by nftables", "our group is its mark, its mark is our group"),
        ]),
    ];
}
