namespace Sleeve.DataPlane.Wire;

/// <summary>
/// What a station says about itself: this address is mine. Read from ARP (RFC 826; requests, replies and announcements alike) and from neighbour advertisements (RFC 4861,
/// section 4.4), which say whether it is a router too; a solicitation does not, and an answer made of it would take a router off its hosts' lists.
/// Only what a station says of the MAC that the frame comes from is taken, and only without VLAN tag.
/// </summary>
/// <param name="Address">A unicast address.</param>
/// <param name="Mac">Source of the frame.</param>
/// <param name="IsRouter">The R flag; false for ARP.</param>
public readonly record struct AddressClaim(InternetAddress Address, MacAddress Mac, bool IsRouter)
{
    private const int AdvertisementSize = 24;
    private const int TargetOffset = 8;
    private const byte TargetLinkLayerAddress = 2;

    /// <summary>Reads a frame; false unless it is valid and makes a claim.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, in InnerHeaders headers, out AddressClaim claim)
    {
        claim = default;
        if (headers.IsTagged || !headers.Source.IsValidSource) return false;
        return headers.EtherType == EtherType.Arp ? TryParseArp(frame, headers, out claim)
            : AddressResolution.IsAdvertisement(frame, headers) && TryParseAdvertisement(frame, headers, out claim);
    }

    private static bool TryParseArp(ReadOnlySpan<byte> frame, in InnerHeaders headers, out AddressClaim claim)
    {
        claim = default;
        if (!ArpPacket.TryParse(frame[headers.NetworkOffset..], out var arp) || arp.Operation is not (ArpPacket.Request or ArpPacket.Reply)) return false;
        claim = new AddressClaim(arp.SenderAddress, arp.SenderMac, IsRouter: false);
        return claim.Mac == headers.Source && IsStation(claim.Address);
    }

    // The checks of RFC 4861, section 7.1.2.
    private static bool TryParseAdvertisement(ReadOnlySpan<byte> frame, in InnerHeaders headers, out AddressClaim claim)
    {
        claim = default;
        var length = headers.TransportLength;
        if (length < AdvertisementSize) return false;
        var network = frame[headers.NetworkOffset..];
        var message = frame.Slice(headers.TransportOffset, length);
        var target = InternetAddress.ReadIPv6(message[TargetOffset..]);
        var isSolicited = (message[4] & NeighborAdvertisement.Solicited) != 0;
        if (network[7] != 255 || !IsStation(target) || (isSolicited && InternetAddress.ReadIPv6(network[24..]).IsMulticast)) return false;
        if (InternetChecksum.FoldSum(InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, message), headers.Addresses(frame), IpProtocol.IcmpV6, length)) != 0xFFFF
            && !NeighborAdvertisement.IsUnfinished(frame, headers)) return false;

        MacAddress? mac = null;
        for (var options = message[AdvertisementSize..]; options.Length > 0;)
        {
            var size = options.Length < 2 ? 0 : options[1] * 8;
            if (size == 0 || size > options.Length) return false;
            if (options[0] == TargetLinkLayerAddress && size == 8) mac = MacAddress.Read(options[2..]);
            options = options[size..];
        }

        if (mac != headers.Source) return false;
        claim = new AddressClaim(target, headers.Source, (message[4] & NeighborAdvertisement.Router) != 0);
        return true;
    }

    private static bool IsStation(InternetAddress address) => !address.IsUnspecified && !address.IsMulticast && !address.IsLoopback && !address.IsIPv4Broadcast;
}
