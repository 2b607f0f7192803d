using FsCheck;
using FsCheck.Fluent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Wire;

public sealed class MacAddressTests
{
    [Fact]
    public void Reads_and_writes_in_the_order_of_the_wire()
    {
        var mac = MacAddress.Read([0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
        Assert.Equal(0x0211_2233_4455UL, mac.Value);
        Assert.Equal("02:11:22:33:44:55", mac.ToString());
        byte[] buffer = [0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA];
        mac.Write(buffer);
        Assert.Equal([0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0xAA], buffer);
    }

    [Theory]
    [InlineData("02:11:22:33:44:55", 0x0211_2233_4455UL)]
    [InlineData("02-11-22-33-44-55", 0x0211_2233_4455UL)]
    [InlineData("2:1:a:B:c:0", 0x0201_0A0B_0C00UL)]
    [InlineData("ff:FF:fF:Ff:ff:ff", 0xFFFF_FFFF_FFFFUL)]
    [InlineData("0:0:0:0:0:0", 0UL)]
    public void Takes_what_iproute2_takes(string text, ulong value)
    {
        Assert.True(MacAddress.TryParse(text, out var mac));
        Assert.Equal(value, mac.Value);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(":")]
    [InlineData(":::::")]
    [InlineData("02:11:22:33:44")]
    [InlineData("02:11:22:33:44:55:66")]
    [InlineData("02:11:22:33:44:")]
    [InlineData(":02:11:22:33:44")]
    [InlineData("02:11:22:33:44:555")]
    [InlineData("02:11:22:33:44:5g")]
    [InlineData("02:11:22:33:44:+5")]
    [InlineData("02:11:22:33:44:-5")]
    [InlineData("02:11:22-33:44:55")]
    [InlineData(" 2:11:22:33:44:55")]
    [InlineData("02:11:22:33:44: 5")]
    [InlineData("02:11:22:33:44:5 ")]
    [InlineData("02:11:22:33:44:5\0")]
    [InlineData("0x2:1:2:3:4:5")]
    [InlineData("021122334455")]
    [InlineData("0211.2233.4455")]
    [InlineData("02:11:22:33:44:055")]
    public void Refuses_anything_else_and_leaves_nothing_half_read(string? text)
    {
        Assert.False(MacAddress.TryParse(text, out var mac));
        Assert.Equal(MacAddress.Zero, mac);
    }

    [Theory]
    [InlineData(0UL, false, true, false, false)]
    [InlineData(0x0200_0000_0001UL, false, false, false, true)]
    [InlineData(0x0100_5E00_0001UL, true, false, false, false)]
    [InlineData(0x3333_0000_0001UL, true, false, false, false)]
    [InlineData(0xFFFF_FFFF_FFFFUL, true, false, true, false)]
    [InlineData(0x0000_0000_0001UL, false, false, false, true)]
    [InlineData(0xFE00_0000_0000UL, false, false, false, true)]
    public void Knows_group_zero_broadcast_and_what_a_station_may_send_from(ulong value, bool isGroup, bool isZero, bool isBroadcast, bool isValidSource)
    {
        var mac = MacAddress.FromValue(value);
        Assert.Equal(isGroup, mac.IsGroup);
        Assert.Equal(isZero, mac.IsZero);
        Assert.Equal(isBroadcast, mac.IsBroadcast);
        Assert.Equal(isValidSource, mac.IsValidSource);
    }

    [Fact]
    public void Takes_the_low_48_bits_of_a_number() => Assert.Equal(MacAddress.Broadcast, MacAddress.FromValue(ulong.MaxValue));

    [Fact]
    public void Every_address_survives_text_and_wire() =>
        Prop.ForAll(ArbMap.Default.ArbFor<ulong>(), number =>
        {
            var mac = MacAddress.FromValue(number);
            var buffer = new byte[6];
            mac.Write(buffer);
            return MacAddress.TryParse(mac.ToString(), out var parsed) && parsed == mac && MacAddress.Read(buffer) == mac
                && MacAddress.TryParse(mac.ToString().Replace(':', '-').ToUpperInvariant(), out parsed) && parsed == mac;
        }).QuickCheckThrowOnFailure();
}
