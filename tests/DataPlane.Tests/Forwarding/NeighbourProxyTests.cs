using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>ARP (RFC 826, RFC 5227) and ND (RFC 4861, section 7.2) answered from the neighbour table.</summary>
public sealed class NeighbourProxyTests
{
    private const ulong Asker = 0x0200_0000_0001;
    private const ulong Known = 0x0200_0000_0007;
    private const uint AskerIp = 0xC0000201;
    private const uint KnownIp = 0xC0000207;
    private const uint UnknownIp = 0xC0000208;
    private static readonly byte[] AskerIp6 = Craft.Address6("2001:db8::1");
    private static readonly byte[] KnownIp6 = Craft.Address6("2001:db8::7");
    private static readonly byte[] UnknownIp6 = Craft.Address6("2001:db8::8");
    private static readonly byte[] SolicitedNode = Craft.Address6("ff02::1:ff00:7");
    private static readonly byte[] SourceOption = Craft.Concat([1, 1], Craft.Mac(Asker));

    private static NeighbourTable Table(bool isRouter = false)
    {
        var table = new NeighbourTable();
        table.Add(new Neighbour(InternetAddress.FromIPv4(KnownIp), MacAddress.FromValue(Known)));
        table.Add(new Neighbour(InternetAddress.ReadIPv6(KnownIp6), MacAddress.FromValue(Known), isRouter));
        table.Add(new Neighbour(Segments.Address("127.0.0.1"), MacAddress.FromValue(Known)));
        return table;
    }

    /// <summary>The answer, or null; then the frame must be untouched.</summary>
    private static byte[]? Ask(byte[] frame, NeighbourTable? table = null)
    {
        var buffer = Enumerable.Repeat((byte)0xAA, 256).ToArray();
        frame.CopyTo(buffer, 0);
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        var length = NeighbourProxy.TryAnswer(buffer, frame.Length, headers, table ?? Table());
        if (length > 0) return buffer[..length];
        Assert.Equal(frame, buffer[..frame.Length]);
        return null;
    }

    private static byte[] ArpFrame(byte[] arp, ulong destination = Craft.Broadcast, ulong source = Asker) => Craft.Ethernet(destination, source, 0x0806, arp);

    private static byte[] NdFrame(byte[] packet, ulong destination = 0x3333_FF00_0007, ulong source = Asker) => Craft.Ethernet(destination, source, 0x86DD, packet);

    private static byte[] Advertisement(byte[] destination, ulong destinationMac, byte flags)
    {
        var message = Craft.Concat([136, 0, 0, 0, flags, 0, 0, 0], KnownIp6, [2, 1], Craft.Mac(Known));
        Craft.U16(Craft.TransportChecksum(KnownIp6, destination, 58, message)).CopyTo(message, 2);
        return Craft.Ethernet(destinationMac, Known, 0x86DD, Craft.IPv6(KnownIp6, destination, 58, message, 255));
    }

    // ---- ARP ----

    [Theory]
    [InlineData(Craft.Broadcast)]
    [InlineData(Known)]
    public void Answers_a_request_broadcast_or_unicast(ulong destination) =>
        Assert.Equal(
            Craft.Ethernet(Asker, Known, 0x0806, Craft.Arp(2, Known, KnownIp, Asker, AskerIp)),
            Ask(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, KnownIp), destination)));

    [Fact]
    public void Answers_without_the_padding_of_the_request() =>
        Assert.Equal(42, Ask(Craft.Concat(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, KnownIp)), new byte[18]))!.Length);

    [Fact]
    public void Answers_a_probe_to_the_address_0() =>
        Assert.Equal(
            Craft.Ethernet(Asker, Known, 0x0806, Craft.Arp(2, Known, KnownIp, Asker, 0)),
            Ask(ArpFrame(Craft.Arp(1, Asker, 0, 0, KnownIp))));

    [Fact]
    public void Leaves_an_unknown_address_to_the_flood() => Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, UnknownIp))));

    [Fact]
    public void Lets_replies_pass() => Assert.Null(Ask(ArpFrame(Craft.Arp(2, Asker, AskerIp, Known, KnownIp), Known)));

    [Fact]
    public void Lets_announcements_pass_also_of_a_known_address() => Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, KnownIp, 0, KnownIp))));

    [Fact]
    public void Does_not_answer_a_station_about_itself()
    {
        // Or its own probe would tell it that its address is taken.
        Assert.Null(Ask(ArpFrame(Craft.Arp(1, Known, 0, 0, KnownIp), source: Known)));
        Assert.Null(Ask(ArpFrame(Craft.Arp(1, Known, 0, 0, KnownIp), source: Asker)));
        Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, 0, 0, KnownIp), source: Known)));
    }

    [Theory]
    [InlineData(0x7F000001u)]
    [InlineData(0xE0000001u)]
    public void Does_not_answer_for_loopback_or_multicast(uint target) => Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, target))));

    [Fact]
    public void Leaves_tagged_frames_alone_because_the_table_knows_no_VLANs()
    {
        Assert.Null(Ask(Craft.Tagged(Craft.Broadcast, Asker, [(0x8100, 5)], 0x0806, Craft.Arp(1, Asker, AskerIp, 0, KnownIp))));
        Assert.Null(Ask(Craft.Tagged(0x3333_FF00_0007, Asker, [(0x8100, 5)], 0x86DD, Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, SourceOption))));
    }

    [Fact]
    public void Does_not_answer_a_source_that_is_no_station()
    {
        foreach (var source in new[] { 0UL, Craft.Broadcast, 0x0100_0000_0001UL })
            Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, KnownIp), source: source)));
    }

    [Fact]
    public void Does_not_answer_a_request_cut_short()
    {
        var whole = ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, KnownIp));
        for (var length = 14; length < whole.Length; length++) Assert.Null(Ask(whole[..length]));
    }

    [Fact]
    public void Does_not_answer_any_more_once_the_entry_is_deleted()
    {
        var table = Table();
        table.Delete(InternetAddress.FromIPv4(KnownIp));
        Assert.Null(Ask(ArpFrame(Craft.Arp(1, Asker, AskerIp, 0, KnownIp)), table));
    }

    // ---- ND ----

    [Fact]
    public void Answers_a_solicitation_with_flags_S_and_O_to_its_source_option()
    {
        const ulong Option = 0x0200_0000_0033;
        var options = Craft.Concat([1, 1], Craft.Mac(Option));
        Assert.Equal(Advertisement(AskerIp6, Option, 0x60), Ask(NdFrame(Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, options))));
    }

    [Fact]
    public void Answers_a_unicast_solicitation_without_options_to_the_source_of_the_frame() =>
        Assert.Equal(Advertisement(AskerIp6, Asker, 0x60), Ask(NdFrame(Craft.Solicitation(AskerIp6, KnownIp6, KnownIp6, []), Known)));

    [Fact]
    public void Says_of_a_router_that_it_is_one() =>
        Assert.Equal(Advertisement(AskerIp6, Asker, 0xE0), Ask(NdFrame(Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, SourceOption)), Table(isRouter: true)));

    [Fact]
    public void Answers_duplicate_address_detection_to_all_nodes_without_S() =>
        Assert.Equal(
            Advertisement(Craft.Address6("ff02::1"), 0x3333_0000_0001, 0x20), Ask(NdFrame(Craft.Solicitation(new byte[16], SolicitedNode, KnownIp6, []))));

    [Fact]
    public void Does_not_tell_a_station_that_its_own_address_is_taken() =>
        Assert.Null(Ask(NdFrame(Craft.Solicitation(new byte[16], SolicitedNode, KnownIp6, []), source: Known)));

    [Fact]
    public void Leaves_an_unknown_target_to_the_flood() => Assert.Null(Ask(NdFrame(Craft.Solicitation(AskerIp6, SolicitedNode, UnknownIp6, SourceOption))));

    [Theory]
    [InlineData("01 00 020000000001")]
    [InlineData("01 02 020000000001")]
    [InlineData("01")]
    public void Does_not_answer_a_solicitation_with_broken_options(string options) =>
        Assert.Null(Ask(NdFrame(Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, Craft.Hex(options)))));

    [Fact]
    public void Does_not_answer_a_solicitation_from_beyond_the_link_or_with_a_wrong_checksum()
    {
        Assert.Null(Ask(NdFrame(Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, SourceOption, hopLimit: 64))));
        var damaged = Craft.Solicitation(AskerIp6, SolicitedNode, KnownIp6, SourceOption);
        damaged[42] ^= 1;
        Assert.Null(Ask(NdFrame(damaged)));
    }

    [Fact]
    public void Lets_advertisements_and_other_IPv6_pass()
    {
        Assert.Null(Ask(Advertisement(AskerIp6, Asker, 0x60)));
        Assert.Null(Ask(NdFrame(Craft.IPv6(AskerIp6, KnownIp6, 17, Craft.Udp(1, 2, [])))));
        Assert.Null(Ask(Craft.Ethernet(Known, Asker, 0x0800, Craft.IPv4(AskerIp, KnownIp, 17, Craft.Udp(1, 2, [])))));
    }
}
