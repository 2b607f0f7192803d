using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// A hash of the inner flow, the entropy of the outer UDP source port (RFC 7348, section 5). For IP: addresses, protocol and ports, found
/// past VLAN tags; for fragments addresses and protocol only, so that all fragments of a datagram take one path; for anything else MACs and
/// type. Pure: one flow has one value for the life of a key. Directions differ.
/// </summary>
public static class FlowHash
{
    private const ulong Multiplier1 = 0x9E37_79B9_7F4A_7C15UL;
    private const ulong Multiplier2 = 0xD6E8_FEB8_6659_FD93UL;

    /// <summary>Hashes the flow of a frame.</summary>
    /// <param name="frame">The whole frame.</param>
    /// <param name="headers">What <see cref="InnerHeaders.TryParse"/> found in that frame.</param>
    /// <param name="key">A secret per process, so that nobody outside can aim at one port.</param>
    public static uint Compute(ReadOnlySpan<byte> frame, in InnerHeaders headers, ulong key)
    {
        if (!headers.IsIPv4 && !headers.IsIPv6)
            return Finish(Mix(Mix(key, headers.Source.Value), headers.Destination.Value ^ ((ulong)headers.EtherType << 48)));

        var hash = Mix(key, headers.Protocol);
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(headers.Addresses(frame))) hash = Mix(hash, word);
        if (HasPorts(headers.Protocol) && headers.TransportOffset != 0 && headers.TransportLength >= 4)
            hash = Mix(hash, BinaryPrimitives.ReadUInt32BigEndian(frame[headers.TransportOffset..]));
        return Finish(hash);
    }

    private static bool HasPorts(byte protocol) =>
        protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp or IpProtocol.Dccp or IpProtocol.UdpLite;

    private static ulong Mix(ulong hash, ulong word)
    {
        hash = (hash ^ word) * Multiplier1;
        return hash ^ (hash >> 32);
    }

    private static uint Finish(ulong hash)
    {
        hash = (hash ^ (hash >> 29)) * Multiplier2;
        return (uint)(hash >> 32);
    }
}
