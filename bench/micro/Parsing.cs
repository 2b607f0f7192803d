using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>Where the headers of an inner frame stand.</summary>
public class Parsing
{
    private const int Frames = 64;
    private static readonly byte[] Address1 = Craft.Address6("fd00::1");
    private static readonly byte[] Address2 = Craft.Address6("fd00::2");
    private readonly byte[] _udp4 = Sample.Udp(Sample.Station(1), Sample.Station(2), 64);
    private readonly byte[] _tagged = Craft.Tagged(1, 2, [(0x8100, 5)], 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, [])));
    private readonly byte[] _tcp6 = Craft.Ethernet(1, 2, 0x86DD, Craft.IPv6(Address1, Address2, 6, Craft.Tcp(1, 2, [])));
    private readonly byte[] _extended6 = Craft.Ethernet(1, 2, 0x86DD, Craft.IPv6(Address1, Address2, 0, [60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, .. Craft.Udp(1, 2, [])]));
    private readonly byte[] _arp = Craft.Ethernet(1, 2, 0x0806, Craft.Arp(1, 2, 3, 0, 4));

    [Benchmark(OperationsPerInvoke = Frames)]
    public int UdpOverIPv4() => Parse(_udp4);

    [Benchmark(OperationsPerInvoke = Frames)]
    public int UdpOverIPv4WithVlanTag() => Parse(_tagged);

    [Benchmark(OperationsPerInvoke = Frames)]
    public int TcpOverIPv6() => Parse(_tcp6);

    [Benchmark(OperationsPerInvoke = Frames)]
    public int UdpBehindTwoIPv6ExtensionHeaders() => Parse(_extended6);

    [Benchmark(OperationsPerInvoke = Frames)]
    public int Arp() => Parse(_arp);

    private static int Parse(byte[] frame)
    {
        var sum = 0;
        for (var i = 0; i < Frames; i++)
        {
            _ = InnerHeaders.TryParse(frame, out var headers);
            sum += headers.TransportOffset;
        }

        return sum;
    }
}
