using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>The ARP and ND proxy: a request parsed, looked up among 1,000 neighbours and turned into its answer, the copy of the request included.</summary>
public class NeighbourAnswers
{
    private const int Frames = 64;
    private const uint Asked = 0x0A01_0001;
    private static readonly byte[] Asked6 = Craft.Address6("2001:db8::2");
    private readonly NeighbourTable _neighbours = new();
    private readonly byte[] _buffer = new byte[256];
    private readonly byte[] _request = Craft.Ethernet(Craft.Broadcast, Sample.Local, 0x0806, Craft.Arp(1, Sample.Local, 0x0A01_FFFF, 0, Asked));
    private readonly byte[] _solicitation = Craft.Ethernet(
        0x3333_FF00_0002, Sample.Local, 0x86DD, Craft.Solicitation(Craft.Address6("2001:db8::1"), Craft.Address6("ff02::1:ff00:2"), Asked6, []));

    [GlobalSetup]
    public void SetUp()
    {
        for (var i = 0; i < 1000; i++) _neighbours.Add(new Neighbour(InternetAddress.FromIPv4(Asked + (uint)i), Sample.Station(i + 1)));
        _neighbours.Add(new Neighbour(InternetAddress.ReadIPv6(Asked6), Sample.Station(1)));
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public int ArpReply() => Answer(_request);

    [Benchmark(OperationsPerInvoke = Frames)]
    public int NeighbourAdvertisement() => Answer(_solicitation);

    private int Answer(byte[] request)
    {
        var bytes = 0;
        for (var i = 0; i < Frames; i++)
        {
            request.CopyTo(_buffer, 0);
            _ = InnerHeaders.TryParse(_buffer.AsSpan(0, request.Length), out var headers);
            bytes += NeighbourProxy.TryAnswer(_buffer, request.Length, headers, _neighbours);
        }

        return bytes == 0 ? throw new InvalidOperationException("nothing was answered") : bytes;
    }
}
