using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// Answers ARP requests and neighbour solicitations of local stations from the neighbour table ("ARP suppression"), in the bytes of the request.
/// What is not known is left to be flooded; replies and gratuitous ARP pass, so that others can learn (RFC 7432, section 10, and the
/// bridge's neigh_suppress; the kernel's vxlan proxy consumes them).
/// </summary>
public static class NeighbourProxy
{
    private static readonly MacAddress AllNodesMac = MacAddress.FromValue(0x3333_0000_0001);
    private static readonly InternetAddress AllNodes = InternetAddress.FromIPAddress(System.Net.IPAddress.Parse("ff02::1"));

    /// <summary>Turns a request into its answer.</summary>
    /// <param name="buffer">The frame, and room behind it.</param>
    /// <param name="length">Bytes of the frame.</param>
    /// <param name="headers">What was found in it.</param>
    /// <param name="neighbours">What is known.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>Bytes of the answer, now at the start of <paramref name="buffer"/>; 0 if there is none, and the frame is as it was.</returns>
    public static int TryAnswer(Span<byte> buffer, int length, in InnerHeaders headers, NeighbourTable neighbours, long nowMilliseconds = 0)
    {
        // The table knows nothing of VLANs: one address may stand for two stations in two of them.
        if (headers.IsTagged || !headers.Source.IsValidSource) return 0;
        ArgumentNullException.ThrowIfNull(neighbours);
        return headers.EtherType switch
        {
            EtherType.Arp => TryAnswerArp(buffer, length, headers, neighbours, nowMilliseconds),
            EtherType.IPv6 => TryAnswerSolicitation(buffer, length, headers, neighbours, nowMilliseconds),
            _ => 0,
        };
    }

    private static int TryAnswerArp(Span<byte> buffer, int length, in InnerHeaders headers, NeighbourTable neighbours, long nowMilliseconds)
    {
        if (!ArpPacket.TryParse(buffer[headers.NetworkOffset..length], out var request)
            || request.Operation != ArpPacket.Request || request.IsGratuitous) return 0;
        var target = request.TargetAddress;
        if (target.IsMulticast || target.IsLoopback || !neighbours.TryResolve(target, nowMilliseconds, out var neighbour)) return 0;
        var requesterMac = request.SenderMac;
        var requester = request.SenderAddress;
        // A station that probes for its own address (RFC 5227) must not hear itself.
        if (neighbour.Mac == headers.Source || neighbour.Mac == requesterMac) return 0;

        WriteEthernet(buffer, requesterMac, neighbour.Mac);
        ArpPacket.Write(buffer[headers.NetworkOffset..], ArpPacket.Reply, neighbour.Mac, target, requesterMac, requester);
        return headers.NetworkOffset + ArpPacket.Size;
    }

    private static int TryAnswerSolicitation(Span<byte> buffer, int length, in InnerHeaders headers, NeighbourTable neighbours, long nowMilliseconds)
    {
        if (!NeighborSolicitation.TryParse(buffer[..length], headers, out var solicitation)
            || !neighbours.TryResolve(solicitation.Target, nowMilliseconds, out var neighbour)
            || neighbour.Mac == headers.Source) return 0;

        var target = solicitation.Target;
        var flags = (byte)(NeighborAdvertisement.Override | (neighbour.IsRouter ? NeighborAdvertisement.Router : 0));
        if (solicitation.IsDuplicateAddressDetection)
        {
            // Unspecified cannot be answered: all nodes hear it, not as solicited (RFC 4861, section 7.2.4).
            WriteEthernet(buffer, AllNodesMac, neighbour.Mac);
            NeighborAdvertisement.Write(buffer[headers.NetworkOffset..], target, AllNodes, target, neighbour.Mac, flags);
        }
        else
        {
            WriteEthernet(buffer, solicitation.SourceMac ?? headers.Source, neighbour.Mac);
            NeighborAdvertisement.Write(
                buffer[headers.NetworkOffset..], target, solicitation.Source, target, neighbour.Mac, (byte)(flags | NeighborAdvertisement.Solicited));
        }

        return headers.NetworkOffset + NeighborAdvertisement.Size;
    }

    private static void WriteEthernet(Span<byte> frame, MacAddress destination, MacAddress source)
    {
        destination.Write(frame);
        source.Write(frame[MacAddress.Size..]);
    }
}
