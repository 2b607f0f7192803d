using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>The arithmetic of a pool: how a subnet is cut into blocks, and which of its addresses may be given out.</summary>
internal static class AddressPool
{
    /// <summary>Bits of an IPv6 block's prefix, unless the subnet is longer: 65,536 addresses.</summary>
    public const int BlockLengthIPv6 = 112;

    // 256 addresses: so many a host looks through without noticing, and a /16 is enough for 256 hosts.
    private const int MinBlockLengthIPv4 = 24;
    private const int MaxBlockLengthIPv4 = 30;

    /// <summary>Bits of the prefix of a subnet's blocks.</summary>
    public static int BlockLength(NetworkRecord network, AddressPrefix subnet)
    {
        if (subnet.Address.IsIPv4)
        {
            if (network.BlockLength != 0) return Math.Max(network.BlockLength, subnet.Length);
            // Half of what is left for the hosts, half for their addresses: /16 has 256 blocks of 256, /24 has 16 of 16.
            return Math.Max(subnet.Length, Math.Clamp(subnet.Length + (subnet.HostBits() / 2), MinBlockLengthIPv4, MaxBlockLengthIPv4));
        }

        return Math.Max(BlockLengthIPv6, subnet.Length + (subnet.Length >= BlockLengthIPv6 ? subnet.HostBits() / 2 : 0));
    }

    /// <summary>Whether an address of a subnet may be given out: not the network's and, of IPv4, not the broadcast address.</summary>
    /// <remarks>The first of IPv6 is the routers' anycast address (RFC 4291, section 2.6.1).</remarks>
    public static bool IsUsable(AddressPrefix subnet, InternetAddress address)
    {
        if (!subnet.Contains(address)) return false;
        var number = address.ToNumber();
        return number != subnet.First() && !(subnet.Address.IsIPv4 && number == subnet.Last());
    }

    /// <summary>How many addresses of a block may be given out: all but those that <see cref="IsUsable"/> says no to.</summary>
    public static UInt128 UsableIn(AddressPrefix subnet, AddressPrefix block)
    {
        var count = block.Count();
        if (block.First() == subnet.First()) count--;
        if (subnet.Address.IsIPv4 && block.Last() == subnet.Last()) count--;
        return count;
    }

    /// <summary>The block of a subnet that an address lies in.</summary>
    public static AddressPrefix BlockOf(InternetAddress address, int blockLength) => new AddressPrefix(address, blockLength).Network();

    /// <summary>The first address that may be given out: the gateway if nobody says otherwise.</summary>
    public static InternetAddress DefaultGateway(AddressPrefix subnet) => PrefixArithmetic.FromNumber(subnet.First() + 1, subnet.Address.IsIPv4);
}
