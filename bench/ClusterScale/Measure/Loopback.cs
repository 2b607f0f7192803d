using System.Globalization;

namespace Sleeve.Bench.ClusterScale.Measure;

/// <summary>What went over the loopback device of this network namespace, in which nobody but the bench is: with TLS, TCP and IP, in both directions.</summary>
/// <param name="Bytes">Bytes.</param>
/// <param name="Packets">Packets; large ones are not cut on a loopback device.</param>
internal readonly record struct Loopback(long Bytes, long Packets)
{
    /// <summary>Reads the counters.</summary>
    public static Loopback Read() => Parse(File.ReadAllText("/proc/net/dev"));

    /// <summary>Finds them in /proc/net/dev.</summary>
    internal static Loopback Parse(string text)
    {
        var line = text.Split('\n').Select(static each => each.Trim()).First(static each => each.StartsWith("lo:", StringComparison.Ordinal));
        var fields = line["lo:".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new Loopback(long.Parse(fields[0], CultureInfo.InvariantCulture), long.Parse(fields[1], CultureInfo.InvariantCulture));
    }

    /// <summary>What came since.</summary>
    public static Loopback operator -(Loopback after, Loopback before) => new(after.Bytes - before.Bytes, after.Packets - before.Packets);
}
