using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

public class AddressClaimTests
{
    private const ulong Station = 0x0200_0000_0001;
    private static readonly byte[] Target = Craft.Address6("fd00::1");
    private static readonly byte[] AllNodes = Craft.Address6("ff02::1");

    private static AddressClaim? Parse(byte[] frame) =>
        InnerHeaders.TryParse(frame, out var headers) && AddressClaim.TryParse(frame, headers, out var claim) ? claim : null;

    private static byte[] Arp(int operation, ulong mac, uint sender, ulong source = Station) =>
        Craft.Ethernet(Craft.Broadcast, source, 0x0806, Craft.Arp(operation, mac, sender, 0, 0x0A010002));

    private static byte[] Advertisement(byte flags = 0x20, byte[]? options = null, byte[]? to = null, byte hopLimit = 255, byte[]? target = null)
    {
        byte[] message = [136, 0, 0, 0, flags, 0, 0, 0, .. target ?? Target, .. options ?? [2, 1, .. Craft.Mac(Station)]];
        var sum = Craft.TransportChecksum(Target, to ?? AllNodes, 58, message);
        (message[2], message[3]) = ((byte)(sum >> 8), (byte)sum);
        return Craft.Ethernet(0x3333_0000_0001, Station, 0x86DD, Craft.IPv6(Target, to ?? AllNodes, 58, message, hopLimit));
    }

    [Fact]
    public void ARP_requests_and_replies_claim_the_address_of_their_sender()
    {
        var expected = new AddressClaim(Segments.Address("10.1.0.1"), MacAddress.FromValue(Station), false);
        Assert.Equal(expected, Parse(Arp(1, Station, 0x0A010001)));
        Assert.Equal(expected, Parse(Arp(2, Station, 0x0A010001)));
    }

    [Fact]
    public void Advertisements_claim_their_target_and_say_whether_it_is_a_router()
    {
        Assert.Equal(new AddressClaim(Segments.Address("fd00::1"), MacAddress.FromValue(Station), false), Parse(Advertisement()));
        Assert.True(Parse(Advertisement(flags: 0xA0))!.Value.IsRouter);
    }

    [Fact]
    public void Nothing_else_makes_a_claim()
    {
        // A probe, a broadcast sender, another's MAC, another operation, a tag, cut short.
        Assert.Null(Parse(Arp(1, Station, 0)));
        Assert.Null(Parse(Arp(1, Station, uint.MaxValue)));
        Assert.Null(Parse(Arp(1, Station, 0x7F000001)));
        Assert.Null(Parse(Arp(1, Station + 1, 0x0A010001)));
        Assert.Null(Parse(Arp(1, Craft.Broadcast, 0x0A010001, Craft.Broadcast)));
        Assert.Null(Parse(Arp(3, Station, 0x0A010001)));
        Assert.Null(Parse(Craft.Tagged(Craft.Broadcast, Station, [(0x8100, 1)], 0x0806, Craft.Arp(1, Station, 0x0A010001, 0, 0x0A010002))));
        Assert.Null(Parse(Arp(1, Station, 0x0A010001)[..41]));
        // RFC 4861, section 7.1.2, and the options' lengths.
        Assert.Null(Parse(Advertisement(hopLimit: 254)));
        Assert.Null(Parse(Advertisement(flags: 0x60)));
        Assert.NotNull(Parse(Advertisement(flags: 0x60, to: Craft.Address6("fd00::2"))));
        Assert.Null(Parse(Advertisement(target: AllNodes)));
        Assert.Null(Parse(Advertisement(options: [])));
        Assert.Null(Parse(Advertisement(options: [2, 0, 2, 0, 0, 0, 0, 1])));
        Assert.Null(Parse(Advertisement(options: [2, 2, 2, 0, 0, 0, 0, 1])));
        Assert.Null(Parse(Advertisement(options: [2, 1, 2, 0, 0, 0, 0, 9])));
        var wrong = Advertisement();
        wrong[^1] ^= 1;
        Assert.Null(Parse(wrong));
        var solicitation = Craft.Ethernet(
            0x3333_FF00_0002, Station, 0x86DD, Craft.Solicitation(Target, Craft.Address6("ff02::1:ff00:2"), Craft.Address6("fd00::2"), [1, 1, .. Craft.Mac(Station)]));
        Assert.Null(Parse(solicitation));
    }
}
