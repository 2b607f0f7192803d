using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>MACs for endpoints that were given none: locally administered (IEEE 802-2014, section 8.4), and the same for the same address, so that neighbours' caches hold over a restart of a container.</summary>
internal static class DerivedMac
{
    private const ulong OfIPv4 = 0x0242UL << 32;
    private const ulong OfOther = 0x0246UL << 32;

    /// <summary>Makes one.</summary>
    /// <param name="address">The endpoint's first; an IPv4 address stands in the MAC: 10.0.0.2 is 02:42:0a:00:00:02, as docker has it.</param>
    /// <param name="network">Id of the network.</param>
    /// <param name="host">The host.</param>
    /// <param name="endpoint">The endpoint, by which it is made if there is no address.</param>
    /// <param name="salt">0; counted up as long as the MAC is taken.</param>
    public static MacAddress Of(InternetAddress? address, string network, string host, string endpoint, int salt)
    {
        if (address is { IsIPv4: true } four && salt == 0) return MacAddress.FromValue(OfIPv4 | four.IPv4Value);
        var hash = StableHash.Of($"{network}/{address?.ToString() ?? $"{host}/{endpoint}"}", salt);
        return MacAddress.FromValue(OfOther | (uint)(hash >> 32));
    }
}
