using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Forwarding;

public sealed class NeighbourTableTests
{
    private static readonly Neighbour Known = new(Address(7), Mac(7));

    [Fact]
    public void Adds_replaces_and_deletes_as_ip_neigh_does()
    {
        var table = new NeighbourTable();
        Assert.Equal(TableResult.NotFound, table.Delete(Known.Address));
        Assert.Equal(TableResult.Done, table.Add(Known));
        Assert.Equal(TableResult.Exists, table.Add(Known with { Mac = Mac(8) }));
        Assert.True(table.TryGet(Known.Address, out var found));
        Assert.Equal(Known, found);
        Assert.Equal(TableResult.Done, table.Replace(Known with { Mac = Mac(8), IsRouter = true }));
        Assert.Equal(new Neighbour(Known.Address, Mac(8), true), Assert.Single(table.Snapshot()));
        Assert.Equal(TableResult.Done, table.Delete(Known.Address));
        Assert.False(table.TryGet(Known.Address, out _));
        Assert.Equal(0, table.Count);
        Assert.Equal(TableResult.Done, table.Replace(Known));
    }

    [Fact]
    public void An_IPv4_address_and_an_IPv6_one_are_two_neighbours()
    {
        var table = new NeighbourTable();
        table.Add(Known);
        table.Add(new Neighbour(Address("2001:db8::7"), Mac(7)));
        Assert.Equal(2, table.Count);
    }

    [Theory]
    [InlineData("0.0.0.0", 1)]
    [InlineData("::", 1)]
    [InlineData("224.0.0.1", 1)]
    [InlineData("ff02::1", 1)]
    [InlineData("10.0.0.1", 0)]
    [InlineData("10.0.0.1", 0x0100_0000_0000)]
    [InlineData("10.0.0.1", 0xFFFF_FFFF_FFFF)]
    public void Refuses_what_no_station_can_have(string address, ulong mac)
    {
        var table = new NeighbourTable();
        var neighbour = new Neighbour(Address(address), MacAddress.FromValue(mac));
        Assert.Equal(TableResult.Invalid, table.Add(neighbour));
        Assert.Equal(TableResult.Invalid, table.Replace(neighbour));
        Assert.Equal(0, table.Count);
    }
}
