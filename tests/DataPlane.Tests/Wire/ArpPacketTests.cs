using FsCheck;
using FsCheck.Fluent;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 826.</summary>
public sealed class ArpPacketTests
{
    // 192.0.2.1 at 02:00:00:00:00:01 asks who has 192.0.2.2.
    private const string WhoHas = "0001 0800 06 04 0001 020000000001 c0000201 000000000000 c0000202";

    [Fact]
    public void Reads_a_request_of_RFC_826()
    {
        Assert.True(ArpPacket.TryParse(Craft.Hex(WhoHas), out var packet));
        Assert.Equal(ArpPacket.Request, packet.Operation);
        Assert.Equal(MacAddress.FromValue(0x0200_0000_0001), packet.SenderMac);
        Assert.Equal(InternetAddress.FromIPv4(0xC0000201), packet.SenderAddress);
        Assert.Equal(MacAddress.Zero, packet.TargetMac);
        Assert.Equal(InternetAddress.FromIPv4(0xC0000202), packet.TargetAddress);
        Assert.False(packet.IsGratuitous);
    }

    [Fact]
    public void Writes_a_reply_of_RFC_826_over_whatever_was_there()
    {
        var buffer = Enumerable.Repeat((byte)0xAA, 30).ToArray();
        ArpPacket.Write(
            buffer, ArpPacket.Reply, MacAddress.FromValue(0x0200_0000_0002), InternetAddress.FromIPv4(0xC0000202),
            MacAddress.FromValue(0x0200_0000_0001), InternetAddress.FromIPv4(0xC0000201));
        Assert.Equal(Craft.Hex("0001 0800 06 04 0002 020000000002 c0000202 020000000001 c0000201 aaaa"), buffer);
    }

    [Fact]
    public void An_announcement_asks_for_its_own_address()
    {
        Assert.True(ArpPacket.TryParse(Craft.Arp(1, 1, 0xC0000201, 0, 0xC0000201), out var packet));
        Assert.True(packet.IsGratuitous);
    }

    [Theory]
    [InlineData("0006 0800 06 04 0001")] // IEEE 802
    [InlineData("0001 86dd 06 04 0001")]
    [InlineData("0001 0800 08 04 0001")]
    [InlineData("0001 0800 06 10 0001")]
    public void Is_not_for_other_hardware_or_protocols(string start)
    {
        var bytes = Craft.Hex(WhoHas);
        Craft.Hex(start).CopyTo(bytes, 0);
        Assert.False(ArpPacket.TryParse(bytes, out _));
    }

    [Fact]
    public void Must_be_whole_and_may_be_padded()
    {
        var bytes = Craft.Hex(WhoHas);
        for (var length = 0; length < 28; length++) Assert.False(ArpPacket.TryParse(bytes.AsSpan(0, length), out _));
        Assert.True(ArpPacket.TryParse(Craft.Concat(bytes, new byte[18]), out _));
    }

    [Fact]
    public void Every_packet_survives_the_round_trip() =>
        Prop.ForAll(ArbMap.Default.ArbFor<ulong>(), ArbMap.Default.ArbFor<uint>(), (mac, ip) =>
        {
            var buffer = Enumerable.Repeat((byte)0xAA, 28).ToArray();
            var (a, b) = (MacAddress.FromValue(mac), MacAddress.FromValue(~mac));
            var (x, y) = (InternetAddress.FromIPv4(ip), InternetAddress.FromIPv4(~ip));
            ArpPacket.Write(buffer, (ushort)mac, a, x, b, y);
            return ArpPacket.TryParse(buffer, out var packet) && packet.Operation == (ushort)mac
                && packet.SenderMac == a && packet.TargetMac == b && packet.SenderAddress == x && packet.TargetAddress == y
                && buffer.AsSpan().SequenceEqual(Craft.Arp((ushort)mac, a.Value, ip, b.Value, ~ip));
        }).QuickCheckThrowOnFailure();
}
