using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Wire;

public sealed class InternetAddressTests
{
    [Theory]
    [InlineData("0.0.0.0", "00000000")]
    [InlineData("255.255.255.255", "FFFFFFFF")]
    [InlineData("192.0.2.1", "C0000201")]
    [InlineData("::", "00000000000000000000000000000000")]
    [InlineData("2001:db8::1", "20010DB8000000000000000000000001")]
    [InlineData("ff02::1:ff00:2", "FF0200000000000000000001FF000002")]
    public void Reads_text_and_writes_the_wire_and_back(string text, string bytes)
    {
        Assert.True(InternetAddress.TryParse(text, out var address));
        var wire = Convert.FromHexString(bytes);
        Assert.Equal(wire.Length, address.Size);
        Assert.Equal(wire.Length == 4, address.IsIPv4);
        var buffer = Enumerable.Repeat((byte)0xAA, 17).ToArray();
        address.Write(buffer);
        Assert.Equal(wire, buffer[..wire.Length]);
        Assert.All(buffer[wire.Length..], b => Assert.Equal(0xAA, b));
        Assert.Equal(address, wire.Length == 4 ? InternetAddress.ReadIPv4(wire) : InternetAddress.ReadIPv6(wire));
        Assert.Equal(text, address.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("10.1")]
    [InlineData("10.0.1")]
    [InlineData("10.0.0.256")]
    [InlineData("10.0.0.1.2")]
    [InlineData("10.0.0.01")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("2130706433")]
    [InlineData(" 10.0.0.1")]
    [InlineData("10.0.0.1 ")]
    [InlineData("10.0.0.1/24")]
    [InlineData("2001:db8::1/64")]
    [InlineData("2001:db8::1 ")]
    [InlineData(" 2001:db8::1")]
    [InlineData("fe80::1%eth0")]
    [InlineData("fe80::1%1")]
    [InlineData("[2001:db8::1]")]
    [InlineData("[2001:db8::1]:4789")]
    [InlineData("2001:db8::1::2")]
    [InlineData("2001:db8:1:2:3:4:5:6:7")]
    [InlineData("2001:db8::12345")]
    [InlineData("::ffff:10.0.0.01")]
    [InlineData("64:ff9b::010.0.0.1")]
    [InlineData("host")]
    public void Refuses_what_is_no_address_or_more_than_one(string? text) => Assert.False(InternetAddress.TryParse(text, out _));

    [Fact]
    public void The_longest_text_is_read_and_one_character_more_is_not()
    {
        const string Longest = "0000:0000:0000:0000:0000:ffff:192.168.158.190";
        Assert.Equal(45, Longest.Length);
        Assert.True(InternetAddress.TryParse(Longest, out var address));
        Assert.True(address.IsIPv4);
        Assert.False(InternetAddress.TryParse("0" + Longest, out _));
    }

    [Theory]
    [InlineData("0.0.0.0", "U")]
    [InlineData("::", "U")]
    [InlineData("224.0.0.0", "M")]
    [InlineData("239.255.255.255", "M")]
    [InlineData("223.255.255.255", "")]
    [InlineData("240.0.0.0", "")]
    [InlineData("ff00::", "M")]
    [InlineData("ff05::1", "M")]
    [InlineData("fe80::1", "L")]
    [InlineData("febf::1", "L")]
    [InlineData("fec0::1", "")]
    [InlineData("127.0.0.1", "O")]
    [InlineData("127.255.255.255", "O")]
    [InlineData("128.0.0.1", "")]
    [InlineData("::1", "O")]
    [InlineData("::2", "")]
    [InlineData("255.255.255.255", "B")]
    public void Knows_the_special_ranges_at_their_edges(string text, string expected)
    {
        Assert.True(InternetAddress.TryParse(text, out var address));
        var actual = (address.IsUnspecified ? "U" : "") + (address.IsMulticast ? "M" : "") + (address.IsIPv6LinkLocal ? "L" : "")
            + (address.IsLoopback ? "O" : "") + (address.IsIPv4Broadcast ? "B" : "");
        Assert.Equal(expected, actual);
    }

    [Fact]
    public void The_two_unspecified_addresses_differ_and_the_default_is_IPv6()
    {
        Assert.NotEqual(InternetAddress.AnyIPv4, InternetAddress.AnyIPv6);
        Assert.Equal(default, InternetAddress.AnyIPv6);
        Assert.False(default(InternetAddress).IsIPv4);
    }

    [Fact]
    public void Every_address_survives_text_wire_and_the_type_of_the_BCL() =>
        Prop.ForAll(Gen.Choose(0, 255).ArrayOf(16).ToArbitrary(), numbers =>
        {
            var bytes = numbers.Select(number => (byte)number).ToArray();
            foreach (var address in new[] { InternetAddress.ReadIPv6(bytes), InternetAddress.ReadIPv4(bytes) })
            {
                var buffer = new byte[16];
                address.Write(buffer);
                var back = address.IsIPv4 ? InternetAddress.ReadIPv4(buffer) : InternetAddress.ReadIPv6(buffer);
                if (back != address || back.GetHashCode() != address.GetHashCode()) return false;
                if (!InternetAddress.TryParse(address.ToString(), out var parsed) || parsed != address) return false;
                if (InternetAddress.FromIPAddress(address.ToIPAddress()) != address) return false;
                if (address.ToString() != new IPAddress(buffer[..address.Size]).ToString()) return false;
            }

            return true;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Writes_IPv4_in_its_mapped_form_when_asked_to()
    {
        var buffer = Enumerable.Repeat((byte)0xAA, 16).ToArray();
        InternetAddress.FromIPv4(0xC0000201).WriteMapped(buffer);
        Assert.Equal(Convert.FromHexString("00000000000000000000FFFFC0000201"), buffer);
    }
}
