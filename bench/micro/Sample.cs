using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>Frames, addresses and segments that the benchmarks run on; stations are numbered, and so are VTEPs.</summary>
internal static class Sample
{
    internal const uint Vni = 100;
    internal const ushort Port = 4789;
    internal const ulong Local = 0x02AA_0000_0001;
    private const ulong FirstStation = 0x0200_0000_0000;
    private static readonly byte[] LocalAddress = [10, 1, 1, 1];

    /// <summary>Stations are scattered over all MACs, as those of a fabric of many vendors are.</summary>
    internal static MacAddress Station(int number) => MacAddress.FromValue(FirstStation | ((ulong)number * 2_654_435_761 & 0xFF_FFFF_FFFF));

    internal static InternetAddress Vtep(int number) => InternetAddress.FromIPv4(0x0A00_0000 + (uint)number);

    internal static Segment MakeSegment(bool proxy = false, bool learning = true) => new(
        new SegmentOptions { Vni = new Vni(Vni), Name = "bench", Proxy = proxy, Learning = learning, MaxAddress = 4 << 20 },
        new VtepAddress(Vtep(1), Port)) { DeviceMac = MacAddress.FromValue(0x02FF_0000_0001), Mtu = 1450 };

    /// <summary>A segment that has learned stations 0 to <paramref name="stations"/> − 1 behind <paramref name="vteps"/> VTEPs.</summary>
    internal static Segment MakeSegment(int stations, int vteps, bool proxy = false)
    {
        var segment = MakeSegment(proxy);
        for (var vtep = 0; vtep < vteps; vtep++)
            segment.Fdb.Append(MacAddress.Zero, new VtepAddress(Vtep(2 + vtep), Port), new Vni(Vni), EntryKind.Permanent, 0);
        for (var i = 0; i < stations; i++) segment.Fdb.Learn(Station(i), Vtep(2 + (i % vteps)), 0);
        return segment;
    }

    /// <summary>Numbers 0 to <paramref name="below"/> − 1 in a random order that is the same every time, as often as fits.</summary>
    internal static int[] Shuffled(int below, int count)
    {
        var random = new Random(1);
        var numbers = new int[count];
        for (var i = 0; i < count; i++) numbers[i] = random.Next(below);
        return numbers;
    }

    /// <summary>A UDP frame of <paramref name="length"/> bytes, its checksums right.</summary>
    internal static byte[] Udp(MacAddress destination, MacAddress source, int length, int sourcePort = 1234)
    {
        var udp = Craft.Udp(sourcePort, 5678, Craft.Fill(length - 42));
        byte[] there = [10, 1, 1, 2];
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(6), Craft.TransportChecksum(LocalAddress, there, 17, udp));
        return Craft.Ethernet(destination.Value, source.Value, 0x0800, Craft.IPv4(0x0A01_0101, 0x0A01_0102, 17, udp, fragment: 0x4000));
    }

    /// <summary>A TCP super-frame as a TAP hands it over, and its facts; with timestamps, and <paramref name="payload"/> bytes in segments.</summary>
    internal static (byte[] Frame, OffloadFacts Facts) TcpSuperFrame(MacAddress destination, MacAddress source, int payload, int segment)
    {
        var tcp = Craft.Tcp(1234, 5678, Craft.Fill(payload), options: Timestamps);
        tcp[13] = 0x10;
        return (Craft.Ethernet(destination.Value, source.Value, 0x0800, Craft.IPv4(0x0A01_0101, 0x0A01_0102, 6, tcp)),
            new OffloadFacts(true, 34, 16, SegmentKind.TcpIPv4, (ushort)segment, 66));
    }

    /// <summary>One segment of a TCP flow, its checksums right: what a peer's VTEP sends.</summary>
    internal static byte[] TcpSegment(MacAddress destination, MacAddress source, int index, int payload)
    {
        var tcp = Craft.Tcp(1234, 5678, Craft.Fill(payload), options: Timestamps);
        tcp[13] = 0x10;
        BinaryPrimitives.WriteUInt32BigEndian(tcp.AsSpan(4), 1000u + (uint)(index * payload));
        byte[] there = [10, 1, 1, 2];
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(16), Craft.TransportChecksum(LocalAddress, there, 6, tcp));
        var ip = Craft.IPv4(0x0A01_0101, 0x0A01_0102, 6, tcp, fragment: 0x4000);
        BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(4), (ushort)index);
        BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(10), 0);
        BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(10), Craft.NaiveChecksum(ip.AsSpan(0, 20)));
        return Craft.Ethernet(destination.Value, source.Value, 0x0800, ip);
    }

    private static readonly byte[] Timestamps = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
}
