using System.Diagnostics;
using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;

namespace Sleeve.Bench.EndToEnd.Load;

/// <summary>
/// <c>wire-count</c>: counts datagrams on a device's receiving side, by its byte counter: a super-packet that the sender left to be cut counts as one
/// frame there, but its bytes are all of its datagrams' but the repeated outer headers.
/// </summary>
internal static class WireCount
{
    private const int OuterHeaders = 14 + 20 + 8;

    /// <summary>Runs it; prints one line, "counted DATAGRAMS SECONDS CPU-OF-PROCESSES CPU-OF-MACHINE".</summary>
    /// <param name="words">Device, UDP payload of every datagram, seconds to count, and the processes whose CPU is read.</param>
    public static int Run(LoadWords words)
    {
        var device = words.Text(0);
        int payload = words.Number(1), milliseconds = (int)(words.Fraction(2) * 1000);
        int[] processes = [.. words.From(3).Select(word => int.Parse(word, CultureInfo.InvariantCulture))];
        var (frames, bytes) = Read(device);
        var before = Cpu.Read(processes);
        var clock = Stopwatch.StartNew();
        Thread.Sleep(milliseconds);
        var elapsed = clock.Elapsed.TotalSeconds;
        var used = Cpu.Read(processes) - before;
        var (framesAfter, bytesAfter) = Read(device);
        LoadWords.Say("counted", Datagrams(framesAfter - frames, bytesAfter - bytes, payload), elapsed, used.Processes, used.Machine);
        return 0;
    }

    /// <summary>Datagrams in so many frames and bytes of a wire that carries nothing else.</summary>
    internal static double Datagrams(long frames, long bytes, int payload) => Math.Max(0, (double)(bytes - (frames * OuterHeaders)) / payload);

    private static (long Frames, long Bytes) Read(string device) => (Number(device, "rx_packets"), Number(device, "rx_bytes"));

    private static long Number(string device, string counter) =>
        long.Parse(File.ReadAllText($"/sys/class/net/{device}/statistics/{counter}").Trim(), CultureInfo.InvariantCulture);
}
