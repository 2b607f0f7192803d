using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Capture;

/// <summary>Prints packets briefly, one a line, somewhat as tcpdump does.</summary>
internal sealed class PacketPrinter(TextWriter output)
{
    private const int Underlay = 0;
    private readonly List<string> _links = [];

    /// <summary>Prints a block, if it is a packet.</summary>
    public void Print(PcapngBlock block)
    {
        if (block.IsInterface) _links.Add(block.Name);
        if (!block.IsPacket) return;
        var time = DateTime.UnixEpoch.AddTicks(block.Nanoseconds / 100).ToLocalTime();
        var name = block.Link < _links.Count ? _links[block.Link] : "?";
        var what = block.Link == Underlay ? DescribeDatagram(block.Packet) : DescribeFrame(block.Packet);
        var comment = block.Comment.Length > 0 ? $" [{block.Comment}]" : "";
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{time:HH:mm:ss.ffffff} {name} {(block.IsInbound ? "In " : "Out")} {what}, length {block.OriginalLength}{comment}"));
    }

    private static string DescribeDatagram(ReadOnlySpan<byte> packet)
    {
        var isIPv4 = packet.Length > 0 && packet[0] >> 4 == 4;
        var size = isIPv4 ? 20 : 40;
        if (packet.Length < size + 8) return "cut short";
        var (from, to) = isIPv4
            ? (InternetAddress.ReadIPv4(packet[12..]), InternetAddress.ReadIPv4(packet[16..]))
            : (InternetAddress.ReadIPv6(packet[8..]), InternetAddress.ReadIPv6(packet[24..]));
        var port = (packet[size] << 8) | packet[size + 1];
        var line = $"{from}{(port == 0 ? "" : $" port {port}")} > {to}";
        var payload = packet[(size + 8)..];
        if (!VxlanHeader.TryParse(payload, out var header)) return $"{line}, shorter than a VXLAN header";
        return header.HasVni ? $"{line}, vni {header.Vni}: {DescribeFrame(payload[VxlanHeader.Size..])}" : $"{line}, no VNI";
    }

    private static string DescribeFrame(ReadOnlySpan<byte> frame)
    {
        if (!InnerHeaders.TryParse(frame, out var headers)) return "shorter than an Ethernet header";
        var line = $"{headers.Source} > {headers.Destination}";
        var packet = frame[headers.NetworkOffset..];
        if (headers.EtherType == EtherType.Arp && ArpPacket.TryParse(packet, out var arp))
        {
            return arp.Operation == ArpPacket.Request
                ? $"{line}, ARP who-has {arp.TargetAddress} tell {arp.SenderAddress}"
                : $"{line}, ARP {arp.SenderAddress} is-at {arp.SenderMac}";
        }

        var size = headers.EtherType switch { EtherType.IPv4 => 20, EtherType.IPv6 => 40, _ => int.MaxValue };
        if (packet.Length < size) return string.Create(CultureInfo.InvariantCulture, $"{line}, type {headers.EtherType:x4}");
        var (from, to, protocol) = size == 20
            ? (InternetAddress.ReadIPv4(packet[12..]), InternetAddress.ReadIPv4(packet[16..]), packet[9])
            : (InternetAddress.ReadIPv6(packet[8..]), InternetAddress.ReadIPv6(packet[24..]), packet[6]);
        var name = protocol switch { IpProtocol.Tcp => "TCP", IpProtocol.Udp => "UDP", 1 => "ICMP", 58 => "ICMPv6", _ => $"protocol {protocol}" };
        var ports = protocol is IpProtocol.Tcp or IpProtocol.Udp && headers.TransportOffset != 0 && frame.Length >= headers.TransportOffset + 4 ? frame[headers.TransportOffset..] : default;
        return ports.IsEmpty
            ? $"{line}, {from} > {to} {name}"
            : $"{line}, {from}.{(ports[0] << 8) | ports[1]} > {to}.{(ports[2] << 8) | ports[3]} {name}";
    }
}
