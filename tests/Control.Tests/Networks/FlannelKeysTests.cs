using Sleeve.Control.Networks;

namespace Sleeve.Control.Tests.Networks;

/// <summary>Flannel's keys in etcd, as its hosts write them.</summary>
public sealed class FlannelKeysTests
{
    private const string Lease = """{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}}""";

    [Fact]
    public void A_host_of_flannels_is_read()
    {
        Assert.True(FlannelKeys.TryReadLease("subnets/10.244.7.0-24", Lease, out var lease, out var fault), fault);
        Assert.Equal(("10.244.7.0/24", "192.0.2.7", "02:00:00:00:00:07"), ($"{lease.Subnet}", $"{lease.Vtep}", $"{lease.Mac}"));
        Assert.Equal("subnets/10.244.7.0-24", FlannelKeys.Key(lease.Subnet));
        Assert.True(FlannelKeys.TryReadLease(FlannelKeys.Key(lease.Subnet), FlannelKeys.WriteLease(lease, new DataPlane.Wire.Vni(1)), out var again, out fault), fault);
        Assert.Equal(lease, again);
    }

    [Fact]
    public void Its_configuration_is_read_with_flannels_defaults()
    {
        Assert.True(FlannelKeys.TryReadConfig("""{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}""", out var config, out var fault), fault);
        Assert.Equal(("10.244.0.0/16", 24, 1u, (ushort)0), ($"{config.Network}", config.SubnetLength, config.Vni.Value, config.Port));
        Assert.True(FlannelKeys.TryReadConfig("""{"Network":"10.0.0.0/8","SubnetLen":20,"SubnetMin":"10.10.0.0","Backend":{"Type":"vxlan","VNI":7,"Port":8472,"DirectRouting":true}}""", out config, out fault), fault);
        Assert.Equal((20, 7u, (ushort)8472), (config.SubnetLength, config.Vni.Value, config.Port));
    }

    [Theory]
    [InlineData("subnets/10.244.7.0-24", "")]
    [InlineData("subnets/10.244.7.0-24", "null")]
    [InlineData("subnets/10.244.7.0-24", "[]")]
    [InlineData("subnets/10.244.7.0-24", "{}")]
    [InlineData("subnets/10.244.7.1-24", Lease)]
    [InlineData("subnets/10.244.7.0-33", Lease)]
    [InlineData("subnets/x", Lease)]
    [InlineData("config", Lease)]
    [InlineData("subnets/10.244.7.0-24", """{"PublicIP":"192.0.2.7","BackendType":"host-gw","BackendData":{"VtepMAC":"02:00:00:00:00:07"}}""")]
    [InlineData("subnets/10.244.7.0-24", """{"PublicIP":"192.0.2.7","BackendType":"vxlan","BackendData":{"VtepMAC":"ff:ff:ff:ff:ff:ff"}}""")]
    [InlineData("subnets/10.244.7.0-24", """{"PublicIP":"192.0.2","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:07"}}""")]
    [InlineData("subnets/10.244.7.0-24", """{"PublicIP":7,"BackendType":"vxlan"}""")]
    public void What_is_no_host_of_flannels_is_a_fault(string key, string text)
    {
        Assert.False(FlannelKeys.TryReadLease(key, text, out _, out var fault));
        Assert.NotNull(fault);
    }

    [Theory]
    [InlineData("""{"Network":"10.244.0.1/16","Backend":{"Type":"vxlan"}}""")]
    [InlineData("""{"Network":"10.244.0.0/16","Backend":{"Type":"udp"}}""")]
    [InlineData("""{"Network":"10.244.0.0/16"}""")]
    [InlineData("""{"Network":"10.244.0.0/16","SubnetLen":16,"Backend":{"Type":"vxlan"}}""")]
    [InlineData("""{"Network":"10.244.0.0/16","SubnetLen":31,"Backend":{"Type":"vxlan"}}""")]
    [InlineData("""{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan","VNI":16777216}}""")]
    [InlineData("""{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan","Port":65536}}""")]
    [InlineData("""{"Network":7}""")]
    public void What_is_no_configuration_of_flannels_is_a_fault(string text)
    {
        Assert.False(FlannelKeys.TryReadConfig(text, out _, out var fault));
        Assert.NotNull(fault);
    }
}
