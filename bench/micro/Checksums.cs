using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.Micro;

/// <summary>The Internet checksum: a small frame, a full one, a super-frame. The cost is that of one sum.</summary>
public class Checksums
{
    private byte[] _bytes = [];

    [Params(64, 1500, 65_000)]
    public int Bytes { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _bytes = new byte[Bytes];
        new Random(1).NextBytes(_bytes);
    }

    [Benchmark]
    public ulong Add() => InternetChecksum.Add(0, _bytes);
}
