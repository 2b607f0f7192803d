using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 4861, sections 4.3, 4.4 and 7.1.1. The checksums of the literals were added up by hand.</summary>
public sealed class NeighborDiscoveryTests
{
    private static readonly byte[] Asker = Craft.Address6("2001:db8::1");
    private static readonly byte[] Target = Craft.Address6("2001:db8::2");
    private static readonly byte[] SolicitedNode = Craft.Address6("ff02::1:ff00:2");
    private static readonly byte[] Unspecified = new byte[16];
    private static readonly byte[] SourceOption = Craft.Hex("01 01 020000000001");

    // 2dba + 1fe05 + 20 + 3a + 8700 + 2dbb + 0302 = 2e3d6 → e3d8 → ~ 1c27.
    private static readonly byte[] Solicitation = Craft.Hex("""
        60000000 0020 3a ff 20010db8000000000000000000000001 ff0200000000000000000001ff000002
        87 00 1c27 00000000 20010db8000000000000000000000002 01 01 020000000001
        """);

    private static readonly byte[] DuplicateAddressDetection = Craft.Hex("""
        60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff000002
        87 00 4ceb 00000000 20010db8000000000000000000000002
        """);

    private sealed record Parsed(InternetAddress Source, InternetAddress Target, MacAddress? SourceMac, bool IsDuplicateAddressDetection);

    private static bool TryParse(byte[] packet, out Parsed parsed)
    {
        var frame = Craft.Ethernet(0x3333_FF00_0002, 0x0200_0000_0001, 0x86DD, packet);
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        var isValid = NeighborSolicitation.TryParse(frame, headers, out var solicitation);
        parsed = new Parsed(solicitation.Source, solicitation.Target, solicitation.SourceMac, solicitation.IsDuplicateAddressDetection);
        return isValid;
    }

    private static bool Parses(byte[] packet) => TryParse(packet, out _);

    [Fact]
    public void Reads_a_solicitation_of_RFC_4861_section_4_3()
    {
        Assert.True(TryParse(Solicitation, out var solicitation));
        Assert.Equal(InternetAddress.ReadIPv6(Asker), solicitation.Source);
        Assert.Equal(InternetAddress.ReadIPv6(Target), solicitation.Target);
        Assert.Equal(MacAddress.FromValue(0x0200_0000_0001), solicitation.SourceMac);
        Assert.False(solicitation.IsDuplicateAddressDetection);
        Assert.Equal(Solicitation, Craft.Solicitation(Asker, SolicitedNode, Target, SourceOption));
    }

    [Fact]
    public void Reads_duplicate_address_detection_of_RFC_4862_section_5_4()
    {
        Assert.True(TryParse(DuplicateAddressDetection, out var solicitation));
        Assert.True(solicitation.IsDuplicateAddressDetection);
        Assert.Null(solicitation.SourceMac);
    }

    [Fact]
    public void A_unicast_solicitation_without_options_is_fine() => Assert.True(Parses(Craft.Solicitation(Asker, Target, Target, [])));

    [Fact]
    public void The_hop_limit_must_be_255()
    {
        Assert.False(Parses(Craft.Solicitation(Asker, SolicitedNode, Target, SourceOption, hopLimit: 254)));
        Assert.False(Parses(Craft.Solicitation(Asker, SolicitedNode, Target, SourceOption, hopLimit: 0)));
    }

    [Fact]
    public void The_code_must_be_0_and_the_type_135()
    {
        Assert.False(Parses(Craft.Solicitation(Asker, SolicitedNode, Target, SourceOption, code: 1)));
        var advertisement = (byte[])Solicitation.Clone();
        advertisement[40] = 136;
        advertisement[42] = 0x1B; // keeps the sum: + 0100 − 0100
        Assert.False(Parses(advertisement));
    }

    [Fact]
    public void Every_single_flipped_bit_of_the_message_breaks_the_checksum()
    {
        for (var bit = 40 * 8; bit < Solicitation.Length * 8; bit++)
        {
            var packet = (byte[])Solicitation.Clone();
            packet[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(Parses(packet));
        }
    }

    [Fact]
    public void A_checksum_left_to_a_device_counts_as_right()
    {
        var packet = (byte[])Solicitation.Clone();
        Craft.U16(Craft.UnfinishedChecksum(Asker, SolicitedNode, 58, 32)).CopyTo(packet, 42);
        Assert.True(Parses(packet));
    }

    [Fact]
    public void The_target_must_not_be_multicast() => Assert.False(Parses(Craft.Solicitation(Asker, SolicitedNode, SolicitedNode, SourceOption)));

    [Theory]
    [InlineData("01 00 020000000001")] // zero length: an endless loop for the careless
    [InlineData("01 02 020000000001")] // beyond the packet
    [InlineData("01 ff 020000000001")]
    [InlineData("01")]
    [InlineData("01 01 0200000000")]
    [InlineData("01 01 020000000001 0e")]
    [InlineData("01 01 020000000001 0e 00 000000000000")]
    public void An_option_of_no_length_or_beyond_the_packet_makes_it_invalid(string options) =>
        Assert.False(Parses(Craft.Solicitation(Asker, SolicitedNode, Target, Craft.Hex(options))));

    [Fact]
    public void Unknown_options_are_stepped_over()
    {
        Assert.True(TryParse(Craft.Solicitation(Asker, SolicitedNode, Target, Craft.Hex("0e 02 0102030405060708090a0b0c0d0e 01 01 020000000007")), out var solicitation));
        Assert.Equal(MacAddress.FromValue(0x0200_0000_0007), solicitation.SourceMac);
    }

    [Fact]
    public void A_probe_must_go_to_a_solicited_node_address_and_carry_no_source_option()
    {
        // RFC 4861, section 7.1.1, the last two checks.
        Assert.False(Parses(Craft.Solicitation(Unspecified, SolicitedNode, Target, SourceOption)));
        Assert.False(Parses(Craft.Solicitation(Unspecified, Target, Target, [])));
        Assert.False(Parses(Craft.Solicitation(Unspecified, Craft.Address6("ff02::1"), Target, [])));
        Assert.False(Parses(Craft.Solicitation(Unspecified, Craft.Address6("ff02::2:ff00:2"), Target, [])));
        Assert.False(Parses(Craft.Solicitation(Unspecified, Craft.Address6("ff05::1:ff00:2"), Target, [])));
        Assert.True(Parses(Craft.Solicitation(Unspecified, SolicitedNode, Target, [])));
    }

    [Fact]
    public void The_message_must_be_whole()
    {
        for (var length = 0; length < 24; length++)
        {
            var message = Solicitation[40..(40 + length)];
            Assert.False(Parses(Craft.IPv6(Asker, SolicitedNode, 58, message, 255)));
        }
    }

    [Fact]
    public void A_fragmented_solicitation_is_not_read()
    {
        // RFC 6980, section 5.
        var fragment = Craft.Concat([58, 0, 0, 1, 0, 0, 0, 9], Solicitation[40..]);
        Assert.False(Parses(Craft.IPv6(Asker, SolicitedNode, 44, fragment, 255)));
    }

    [Fact]
    public void Writes_an_advertisement_of_RFC_4861_section_4_4_over_whatever_was_there()
    {
        var buffer = Enumerable.Repeat((byte)0xAA, 73).ToArray();
        var target = InternetAddress.ReadIPv6(Target);
        NeighborAdvertisement.Write(
            buffer, target, InternetAddress.ReadIPv6(Asker), target, MacAddress.FromValue(0x0200_0000_0002),
            NeighborAdvertisement.Solicited | NeighborAdvertisement.Override);
        Assert.Equal(Craft.Hex("""
            60000000 0020 3a ff 20010db8000000000000000000000002 20010db8000000000000000000000001
            88 00 8a71 60000000 20010db8000000000000000000000002 02 01 020000000002 aa
            """), buffer);
    }

    [Fact]
    public void Writes_an_advertisement_of_a_router_to_all_nodes()
    {
        var buffer = Enumerable.Repeat((byte)0xAA, 72).ToArray();
        var target = InternetAddress.ReadIPv6(Target);
        NeighborAdvertisement.Write(
            buffer, target, InternetAddress.ReadIPv6(Craft.Address6("ff02::1")), target, MacAddress.FromValue(0x0200_0000_0002),
            NeighborAdvertisement.Router | NeighborAdvertisement.Override);
        Assert.Equal(Craft.Hex("""
            60000000 0020 3a ff 20010db8000000000000000000000002 ff020000000000000000000000000001
            88 00 7927 a0000000 20010db8000000000000000000000002 02 01 020000000002
            """), buffer);
    }
}
