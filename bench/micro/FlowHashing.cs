using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>The hash of the inner flow, which chooses the outer source port; headers are parsed already.</summary>
public class FlowHashing
{
    private const int Frames = 64;
    private static readonly byte[] Address1 = Craft.Address6("fd00::1");
    private static readonly byte[] Address2 = Craft.Address6("fd00::2");
    private readonly byte[] _udp4 = Sample.Udp(Sample.Station(1), Sample.Station(2), 64);
    private readonly byte[] _tcp6 = Craft.Ethernet(1, 2, 0x86DD, Craft.IPv6(Address1, Address2, 6, Craft.Tcp(1, 2, [])));
    private readonly byte[] _other = Craft.Ethernet(1, 2, 0x88B5, Craft.Fill(46));
    private InnerHeaders _udp4Headers;
    private InnerHeaders _tcp6Headers;
    private InnerHeaders _otherHeaders;

    [GlobalSetup]
    public void SetUp()
    {
        _ = InnerHeaders.TryParse(_udp4, out _udp4Headers);
        _ = InnerHeaders.TryParse(_tcp6, out _tcp6Headers);
        _ = InnerHeaders.TryParse(_other, out _otherHeaders);
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public uint UdpOverIPv4() => Hash(_udp4, _udp4Headers);

    [Benchmark(OperationsPerInvoke = Frames)]
    public uint TcpOverIPv6() => Hash(_tcp6, _tcp6Headers);

    [Benchmark(OperationsPerInvoke = Frames)]
    public uint NotIP() => Hash(_other, _otherHeaders);

    private static uint Hash(byte[] frame, in InnerHeaders headers)
    {
        var hash = 0u;
        for (var i = 0; i < Frames; i++) hash ^= FlowHash.Compute(frame, headers, key: (ulong)i);
        return hash;
    }
}
