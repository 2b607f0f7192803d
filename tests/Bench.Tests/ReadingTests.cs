using Sleeve.Bench.EndToEnd.Load;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Workloads;

namespace Sleeve.Bench.Tests;

/// <summary>What others print, read: literals as they were printed.</summary>
public sealed class ReadingTests
{
    [Fact]
    public void CPU_of_a_process_is_its_user_and_system_time_whatever_its_name_holds() => Assert.Equal(
        1.5 + 0.25, Cpu.ParseProcess("42 (a) b (c) S 1 42 42 0 -1 4194560 1000 0 0 0 150 25 7 8 20 0 3 0 100 1000000 500 18446744073709551615"));

    [Fact]
    public void CPU_of_the_machine_leaves_out_idle_and_disk_waits_and_counts_guests_once() =>
        Assert.Equal((100 + 1 + 200 + 5 + 6 + 7) / 100.0, Cpu.ParseMachine("cpu  100 1 200 10000 3000 5 6 7 50 50"));

    [Fact]
    public void Memory_is_read_in_MiB()
    {
        var fields = Memory.Parse("55d0c0c0a000-7ffd4b5f2000 ---p 00000000 00:00 0    [rollup]\nRss:               10240 kB\nPss:\t 1536 kB\nOdd line\n");
        Assert.Equal((10, 1.5), (fields["Rss"], fields["Pss"]));
        Assert.Equal(2, fields.Count);
    }

    [Fact]
    public void Percentiles_of_sockperf_are_read()
    {
        var percentiles = LatencyWorkload.Parse("""
            sockperf: Summary: Round trip is 22.671 usec
            sockperf: ---> <MAX> observation = 1183.160
            sockperf: ---> percentile 99.999 = 1183.160
            sockperf: ---> percentile 99.900 =  101.252
            sockperf: ---> percentile 50.000 =   20.480
            """);
        Assert.Equal((101.252, 20.48), (percentiles["99.900"], percentiles["50.000"]));
    }

    [Theory]
    [InlineData("""{"start":{},"end":{"sum_sent":{"bytes":9,"bits_per_second":9},"sum_received":{"bytes":1000,"bits_per_second":8e9}}}""", 8e9, 1000)]
    [InlineData("""{"start":{},"end":{},"error":"unable to connect to server"}""", 0, 0)]
    [InlineData("", 0, 0)]
    [InlineData("{\"start\":", 0, 0)]
    public void What_iperf_received_is_read_and_a_broken_run_is_nothing(string json, double bits, double bytes) => Assert.Equal((bits, bytes), TcpWorkload.Parse(json));

    [Fact]
    public void Datagrams_are_counted_by_bytes_whether_they_came_one_by_one_or_as_super_packets()
    {
        const int Outer = 42, Payload = 114;
        Assert.Equal(100, WireCount.Datagrams(100, 100 * (Outer + Payload), Payload));
        Assert.Equal(100, WireCount.Datagrams(4, (4 * Outer) + (100 * Payload), Payload));
    }

    [Fact]
    public void What_a_generator_says_is_read_back()
    {
        var console = Console.Out;
        using var said = new StringWriter();
        Console.SetOut(said);
        try
        {
            LoadWords.Say("received", 12_345_678, 0.5, 1e-7);
        }
        finally
        {
            Console.SetOut(console);
        }

        Assert.Equal([12_345_678, 0.5, 1e-7], LoadWords.Read(said.ToString().Trim()));
    }
}
