using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>Whole packets of the underlay, taken apart as a VTEP's socket would be told of them.</summary>
public class OuterDatagramTests
{
    private const ulong Router = 0x0200_0000_00AA;
    private const ulong Own = 0x0200_0000_00BB;
    private const ushort Port = 4789;

    private static readonly byte[] Payload = Craft.Vxlan(100, Craft.Fill(60));
    private static readonly (int, int)[] OneTag = [(0x8100, 7)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void IPv4_is_read_behind_tags_and_padding_too(bool isTagged)
    {
        var packet = Craft.IPv4(0x0A00_0002, 0x0A00_0001, 17, Craft.Udp(50_000, Port, Payload));
        packet[1] = 0xBB;
        byte[] frame = [.. isTagged ? Craft.Tagged(Own, Router, OneTag, 0x0800, packet) : Craft.Ethernet(Own, Router, 0x0800, packet), 0xEE, 0xEE];
        Assert.True(OuterDatagram.TryParse(frame, Port, out var datagram));
        Assert.Equal(("10.0.0.2", 50_000, 0xBB), (datagram.Sender.ToString(), datagram.SourcePort, datagram.TypeOfService));
        Assert.True(datagram.Payload.SequenceEqual(Payload));
    }

    [Fact]
    public void IPv6_is_read()
    {
        var packet = Craft.IPv6(Craft.Address6("2001:db8::2"), Craft.Address6("2001:db8::1"), 17, Craft.Udp(50_000, Port, Payload));
        (packet[0], packet[1]) = (0x60 | 0x0B, 0xB0);
        Assert.True(OuterDatagram.TryParse(Craft.Ethernet(Own, Router, 0x86DD, packet), Port, out var datagram));
        Assert.Equal(("2001:db8::2", 0xBB), (datagram.Sender.ToString(), datagram.TypeOfService));
        Assert.True(datagram.Payload.SequenceEqual(Payload));
    }

    [Fact]
    public void Other_ports_protocols_fragments_and_what_is_cut_off_are_none()
    {
        var udp = Craft.Udp(50_000, Port, Payload);
        var whole = Craft.Ethernet(Own, Router, 0x0800, Craft.IPv4(1, 2, 17, udp));
        for (var length = 0; length < whole.Length; length++) Assert.False(OuterDatagram.TryParse(whole.AsSpan(0, length), Port, out _));
        Assert.False(OuterDatagram.TryParse(whole, Port + 1, out _));
        Assert.False(OuterDatagram.TryParse(Craft.Ethernet(Own, Router, 0x0800, Craft.IPv4(1, 2, 6, udp)), Port, out _));
        Assert.False(OuterDatagram.TryParse(Craft.Ethernet(Own, Router, 0x0800, Craft.IPv4(1, 2, 17, udp, fragment: 0x2000)), Port, out _));
        Assert.False(OuterDatagram.TryParse(Craft.Ethernet(Own, Router, 0x0800, Craft.IPv4(1, 2, 17, udp[..7])), Port, out _));
        foreach (var length in (ReadOnlySpan<int>)[0, 7, udp.Length + 1])
        {
            var wrong = (byte[])udp.Clone();
            (wrong[4], wrong[5]) = ((byte)(length >> 8), (byte)length);
            Assert.False(OuterDatagram.TryParse(Craft.Ethernet(Own, Router, 0x0800, Craft.IPv4(1, 2, 17, wrong)), Port, out _));
        }
    }
}
