using FsCheck;
using FsCheck.Fluent;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 7348, section 5.</summary>
public sealed class VxlanHeaderTests
{
    [Fact]
    public void Writes_the_header_of_RFC_7348_section_5_over_whatever_was_there()
    {
        byte[] buffer = [0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA];
        new VxlanHeader(new Vni(0x123456)).Write(buffer);
        Assert.Equal([0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0, 0xAA], buffer);
    }

    [Fact]
    public void Reads_flag_and_VNI()
    {
        Assert.True(VxlanHeader.TryParse(Craft.Hex("08 000000 123456 00"), out var header));
        Assert.True(header.HasVni);
        Assert.False(header.HasReservedBits);
        Assert.Equal(new Vni(0x123456), header.Vni);
    }

    [Theory]
    [InlineData("08 000000 000064 00", 0, false, false)]
    [InlineData("88 00002A 000064 00", 42, false, false)]
    [InlineData("88 400001 000064 00", 1, true, false)]
    [InlineData("88 080001 000064 00", 1, false, true)]
    [InlineData("88 48FFFF 000064 00", 65535, true, true)]
    public void Writes_and_reads_the_group_policy_of_draft_smith_vxlan_group_policy(string bytes, ushort group, bool dontLearn, bool applied)
    {
        var policy = new GroupPolicy(group, dontLearn, applied);
        var buffer = new byte[VxlanHeader.Size];
        new VxlanHeader(new Vni(100), policy).Write(buffer);
        Assert.Equal(Craft.Hex(bytes), buffer);
        Assert.True(VxlanHeader.TryParse(buffer, out var header));
        Assert.Equal(policy, header.Policy);
        Assert.False(header.HasReservedBitsBesidePolicy);
    }

    [Fact]
    public void A_group_counts_only_with_its_flag_and_other_reserved_bits_stay_reserved()
    {
        Assert.True(VxlanHeader.TryParse(Craft.Hex("08 48002A 000064 00"), out var unflagged));
        Assert.Equal(default, unflagged.Policy);
        Assert.True(VxlanHeader.TryParse(Craft.Hex("8C 00002A 000064 00"), out var other));
        Assert.True(other.HasReservedBitsBesidePolicy);
        Assert.True(VxlanHeader.TryParse(Craft.Hex("88 00002A 000064 01"), out var last));
        Assert.True(last.HasReservedBitsBesidePolicy);
    }

    [Theory]
    [InlineData("00 000000 000064 00")]
    [InlineData("F7 000000 000064 00")]
    [InlineData("80 000000 000064 00")]
    [InlineData("00 FFFFFF 000064 FF")]
    public void Says_that_the_I_flag_is_missing(string bytes)
    {
        Assert.True(VxlanHeader.TryParse(Craft.Hex(bytes), out var header));
        Assert.False(header.HasVni);
    }

    [Fact]
    public void Each_of_the_39_reserved_bits_is_noticed_and_changes_nothing_else()
    {
        var reserved = 0;
        for (var bit = 0; bit < 64; bit++)
        {
            var isVni = bit is >= 32 and < 56;
            if (bit == 4 || isVni) continue;
            var bytes = Craft.Hex("08 000000 000064 00");
            bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
            Assert.True(VxlanHeader.TryParse(bytes, out var header));
            Assert.True(header.HasReservedBits);
            Assert.True(header.HasVni);
            Assert.Equal(new Vni(100), header.Vni);
            reserved++;
        }

        Assert.Equal(39, reserved);
    }

    [Fact]
    public void Needs_eight_bytes()
    {
        for (var length = 0; length < 8; length++) Assert.False(VxlanHeader.TryParse(new byte[length], out _));
        Assert.True(VxlanHeader.TryParse(new byte[8], out _));
        Assert.True(VxlanHeader.TryParse(new byte[9], out _));
    }

    [Fact]
    public void Every_VNI_survives_the_round_trip() =>
        Prop.ForAll(Gen.Choose(0, (int)Vni.MaxValue).ToArbitrary(), number =>
        {
            var buffer = new byte[8];
            new VxlanHeader(new Vni((uint)number)).Write(buffer);
            return VxlanHeader.TryParse(buffer, out var header) && header.HasVni && !header.HasReservedBits && header.Vni.Value == number;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_VNI_has_24_bits()
    {
        Assert.Equal(0u, new Vni(0).Value);
        Assert.Equal(16777215u, new Vni(16777215).Value);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Vni(16777216));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Vni(uint.MaxValue));
        Assert.Equal("16777215", new Vni(16777215).ToString());
    }

    [Fact]
    public void The_overhead_is_50_bytes_over_IPv4_and_70_over_IPv6()
    {
        // Outer IP, UDP, VXLAN, inner Ethernet.
        Assert.Equal(20 + 8 + 8 + 14, Overhead.For(InternetAddress.AnyIPv4));
        Assert.Equal(40 + 8 + 8 + 14, Overhead.For(InternetAddress.AnyIPv6));
    }

    [Fact]
    public void A_VTEP_address_reads_as_people_write_it()
    {
        Assert.True(InternetAddress.TryParse("10.0.0.2", out var v4));
        Assert.True(InternetAddress.TryParse("2001:db8::2", out var v6));
        Assert.Equal("10.0.0.2:4789", new VtepAddress(v4, VtepAddress.DefaultPort).ToString());
        Assert.Equal("[2001:db8::2]:4789", new VtepAddress(v6, 4789).ToString());
    }
}
