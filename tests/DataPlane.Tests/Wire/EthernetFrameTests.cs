using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>IEEE 802.3, 802.1Q, 802.1ad.</summary>
public sealed class EthernetFrameTests
{
    private const ulong A = 0x0200_0000_000A;
    private const ulong B = 0x0200_0000_000B;

    [Fact]
    public void Reads_addresses_type_and_payload()
    {
        Assert.True(EthernetFrame.TryParse(Craft.Hex("020000000001 020000000002 88b5 0102"), out var frame));
        Assert.Equal(MacAddress.FromValue(0x0200_0000_0001), frame.Destination);
        Assert.Equal(MacAddress.FromValue(0x0200_0000_0002), frame.Source);
        Assert.Equal(0x88B5, frame.Type);
        Assert.False(frame.IsTagged);
        Assert.Equal([1, 2], frame.Payload.ToArray());
    }

    [Fact]
    public void Needs_fourteen_bytes_and_no_payload()
    {
        var bytes = Craft.Ethernet(A, B, 0x88B5, []);
        for (var length = 0; length < 14; length++) Assert.False(EthernetFrame.TryParse(bytes.AsSpan(0, length), out _));
        Assert.True(EthernetFrame.TryParse(bytes, out var frame));
        Assert.True(frame.Payload.IsEmpty);
    }

    [Fact]
    public void Takes_an_802_3_length_for_a_type_below_0600()
    {
        Assert.True(EthernetFrame.TryParse(Craft.Ethernet(A, B, 3, [0x42, 0x42, 3]), out var frame));
        Assert.True(frame.Type < EtherType.FirstType);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Looks_past_up_to_four_tags_of_either_kind(int count)
    {
        var tags = Enumerable.Range(0, count).Select(i => (i % 2 == 0 ? 0x88A8 : 0x8100, i)).ToArray();
        Assert.True(EthernetFrame.TryParse(Craft.Tagged(A, B, tags, 0x0800, [9]), out var frame));
        Assert.Equal(0x0800, frame.Type);
        Assert.Equal(14 + (4 * count), frame.PayloadOffset);
        Assert.True(frame.IsTagged);
        Assert.Equal([9], frame.Payload.ToArray());
    }

    [Fact]
    public void A_fifth_tag_is_payload_of_unknown_type()
    {
        Assert.True(EthernetFrame.TryParse(Craft.Tagged(A, B, [.. Enumerable.Repeat((0x8100, 1), 5)], 0x0800, new byte[60]), out var frame));
        Assert.Equal(EtherType.Vlan, frame.Type);
        Assert.Equal(14 + 16, frame.PayloadOffset);
    }

    [Fact]
    public void A_priority_tag_is_a_tag()
    {
        Assert.True(EthernetFrame.TryParse(Craft.Tagged(A, B, [(0x8100, 0xE000)], 0x0806, []), out var frame));
        Assert.Equal(EtherType.Arp, frame.Type);
    }

    [Fact]
    public void A_tag_cut_short_is_an_unknown_type()
    {
        var whole = Craft.Tagged(A, B, [(0x8100, 5)], 0x0800, []);
        for (var length = 14; length < 18; length++)
        {
            Assert.True(EthernetFrame.TryParse(whole.AsSpan(0, length), out var cut));
            Assert.Equal(EtherType.Vlan, cut.Type);
            Assert.False(cut.IsTagged);
        }

        Assert.True(EthernetFrame.TryParse(whole, out var frame));
        Assert.Equal(EtherType.IPv4, frame.Type);
    }
}
