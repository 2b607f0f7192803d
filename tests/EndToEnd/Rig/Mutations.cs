using System.Net;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Datagrams that a VTEP must survive: random bytes, and good ones with a few bytes changed, cut or added. One seed, one sequence.</summary>
public static class Mutations
{
    private static readonly IPAddress One = IPAddress.Parse("192.168.77.1");
    private static readonly IPAddress Other = IPAddress.Parse("192.168.77.2");
    private static readonly IPAddress One6 = IPAddress.Parse("fd77::1");
    private static readonly IPAddress Other6 = IPAddress.Parse("fd77::2");

    /// <summary>The next one. Frames inside have source MACs of 02:00:00:ff:xx:xx, as far as a mutation leaves them.</summary>
    public static byte[] Next(Random random)
    {
        if (random.Next(8) == 0)
        {
            var noise = new byte[random.Next(0, 200)];
            random.NextBytes(noise);
            return noise;
        }

        var datagram = Frames.Vxlan(random.Next(4) == 0 ? random.Next(1 << 24) : 100, Frame(random));
        for (var changes = random.Next(0, 6); changes > 0; changes--)
        {
            // Most bytes that decide anything stand in the first hundred.
            var at = random.Next(Math.Min(datagram.Length, random.Next(2) == 0 ? 100 : datagram.Length));
            datagram[at] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => (byte)(datagram[at] ^ (1 << random.Next(8))), _ => 0xFF };
        }

        return random.Next(6) switch
        {
            0 => datagram[..random.Next(datagram.Length)],
            1 => [.. datagram, .. new byte[random.Next(64)]],
            _ => datagram,
        };
    }

    private static byte[] Frame(Random random)
    {
        var from = Frames.Mac(0xFF0000 + random.Next(0x10000));
        var to = random.Next(2) == 0 ? MacAddress.Broadcast : Frames.Mac(random.Next(0x10000));
        var payload = new byte[random.Next(random.Next(10) == 0 ? 1400 : 64)];
        random.NextBytes(payload);
        return random.Next(7) switch
        {
            0 => Frames.Ethernet(to, from, Frames.Experimental, payload),
            1 => Frames.ArpRequest(from, One, Other),
            2 => Frames.UdpFrame(to, from, One, Other, 1000, 2000, payload),
            3 => Frames.UdpFrame(to, from, One6, Other6, 1000, 2000, payload),
            4 => Frames.Ethernet(to, from, Frames.IPv4, Frames.Ipv4Packet(One, Other, 6, [.. new byte[12], 0x50, 0x10, .. payload])),
            5 => Frames.Ethernet(to, from, Frames.IPv6, Frames.Ipv6Packet(One6, IPAddress.Parse("ff02::1:ff00:2"), 58, [135, 0, .. payload], 255)),
            _ => Frames.Tag(Frames.UdpFrame(to, from, One, Other, 1, 4789, payload), 0x8100, (ushort)random.Next(0x10000)),
        };
    }
}
