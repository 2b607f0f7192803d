using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>Good frames of every kind the paths look into, and the datagrams that carry them.</summary>
internal static class Corpus
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private static readonly byte[] Ip6 = Craft.Address6("2001:db8::1");
    private static readonly byte[] SolicitedNode = Craft.Address6("ff02::1:ff00:7");

    internal static IReadOnlyList<byte[]> Frames { get; } = [.. MakeFrames()];

    internal static IReadOnlyList<byte[]> Datagrams { get; } =
        [.. Frames.SelectMany((frame, i) => new[] { Craft.Vxlan(Target.Vni, frame), Craft.Vxlan(i % 3 == 0 ? Target.StrictVni : Target.Vni, frame), Craft.Vxlan(Target.DownVni, frame) })];

    private static IEnumerable<byte[]> MakeFrames()
    {
        var (source, destination) = (Craft.U32(0x0A010001), Craft.U32(Target.NeighbourIp));
        byte[] Tcp(int payload, bool isIPv6) => Craft.Tcp(443, 50000, Craft.Fill(payload),
            isIPv6 ? Craft.UnfinishedChecksum(Ip6, Target.NeighbourIp6, 6, 20 + payload) : Craft.UnfinishedChecksum(source, destination, 6, 20 + payload));
        byte[] Udp(int payload) => Craft.Udp(4000, 53, Craft.Fill(payload), Craft.UnfinishedChecksum(source, destination, 17, 8 + payload));
        byte[] IPv4(byte protocol, byte[] transport, int fragment = 0, byte[]? options = null) => Craft.IPv4(0x0A010001, Target.NeighbourIp, protocol, transport, fragment, options);
        byte[] IPv6(byte next, byte[] rest) => Craft.IPv6(Ip6, Target.NeighbourIp6, next, rest);

        yield return Craft.Ethernet(There, Here, 0x0800, IPv4(6, Tcp(100, false)));
        yield return Craft.Ethernet(There, Here, 0x0800, IPv4(6, Tcp(4000, false), options: new byte[8]));
        yield return Craft.Ethernet(There, Here, 0x0800, IPv4(17, Udp(30)));
        yield return Craft.Ethernet(There, Here, 0x0800, IPv4(17, Udp(30), 0x2000));
        yield return Craft.Ethernet(There, Here, 0x0800, IPv4(17, Craft.Udp(1, 2, Craft.Fill(20))));
        yield return Craft.Ethernet(There, Here, 0x86DD, IPv6(6, Tcp(60, true)));
        yield return Craft.Ethernet(There, Here, 0x86DD, IPv6(6, Tcp(3000, true)));
        yield return Craft.Ethernet(There, Here, 0x86DD, IPv6(0, Craft.Concat([60, 0], new byte[6], [6, 1], new byte[14], Tcp(9, true))));
        yield return Craft.Ethernet(There, Here, 0x86DD, IPv6(44, Craft.Concat([17, 0, 0, 1, 0, 0, 0, 1], Udp(16))));
        yield return Craft.Tagged(There, Here, [(0x8100, 5)], 0x0800, IPv4(6, Tcp(2000, false)));
        yield return Craft.Tagged(There, Here, [(0x88A8, 5), (0x8100, 6)], 0x86DD, IPv6(17, Udp(9)));
        yield return Craft.Tagged(There, Here, [(0x8100, 1), (0x8100, 2), (0x8100, 3), (0x8100, 4)], 0x0800, IPv4(17, Udp(9)));
        yield return Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, 0x0A010001, 0, Target.NeighbourIp));
        yield return Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Concat(Craft.Arp(1, Here, 0, 0, Target.NeighbourIp), new byte[18]));
        yield return Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, 0x0A010001, 0, 0x0A010009));
        yield return Craft.Ethernet(Here, Target.Neighbour, 0x0806, Craft.Arp(2, Target.Neighbour, Target.NeighbourIp, Here, 0x0A010001));
        yield return Craft.Ethernet(0x3333_FF00_0007, Here, 0x86DD, Craft.Solicitation(Ip6, SolicitedNode, Target.NeighbourIp6, Craft.Concat([1, 1], Craft.Mac(Here))));
        yield return Craft.Ethernet(0x3333_FF00_0007, Here, 0x86DD, Craft.Solicitation(Ip6, Target.NeighbourIp6, Target.NeighbourIp6, []));
        yield return Craft.Ethernet(0x3333_FF00_0007, Here, 0x86DD, Craft.Solicitation(new byte[16], SolicitedNode, Target.NeighbourIp6, []));
        yield return Craft.Ethernet(0x3333_FF00_0007, Here, 0x86DD, Craft.Solicitation(
            Ip6, SolicitedNode, Target.NeighbourIp6, Craft.Concat([14, 1, 0, 0, 0, 0, 0, 0, 1, 1], Craft.Mac(Here))));
        yield return Craft.Ethernet(Target.StaticStation, Target.StaticStation, 0x88B5, Craft.Fill(46));
        yield return Craft.Ethernet(Target.NullStation, Target.Device, 0x88B5, Craft.Fill(46));
        yield return Craft.Ethernet(Target.SelfStation, Craft.Broadcast, 0x88B5, Craft.Fill(46));
        yield return Craft.Ethernet(There, 0, 3, [0x42, 0x42, 3]);
    }
}
