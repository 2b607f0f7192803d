using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Cli;

/// <summary>The settings of <c>sleeve up</c> that are about path MTUs.</summary>
internal static class PathMtuSettings
{
    private static readonly Setting TimeToLive = new(
        "--pmtu-ttl", "SECONDS", "Forget a path MTU that routers told of after this long. [600]", "1 to 86400 (seconds)");
    private static readonly Setting Probe = new(
        "--pmtu-probe", "SECONDS", "Measure the path to each remote this often. [off]", "off or 5 to 86400 (seconds)");
    /// <summary>What a segment has of its own.</summary>
    public static readonly Setting SegmentSize = new(
        "--mss-clamp", "BYTES", "Lower the segment size that TCP connections agree on: to what the path takes, or to a number. [off]",
        $"off, auto or {SegmentOptions.LeastMss} to 65495 (bytes)");

    /// <summary>Those that all segments of a VTEP share.</summary>
    public static IReadOnlyList<Setting> OfVtep { get; } = [TimeToLive, Probe];

    /// <summary>Reads how path MTUs are kept.</summary>
    public static PathMtuOptions Read(SettingReader reader) => new()
    {
        TimeToLiveSeconds = reader.Read(TimeToLive, Words.Number(1, 86_400), PathMtuOptions.DefaultTimeToLive),
        ProbeSeconds = reader.Read(Probe, ReadInterval, 0),
    };

    /// <summary>Reads <see cref="SegmentOptions.MssClamp"/>.</summary>
    public static int ReadSegmentSize(SettingReader reader) => reader.Read(SegmentSize, ReadSegmentSize, 0);

    private static bool ReadInterval(string text, out int value)
    {
        value = 0;
        return text == "off" || Words.Number(5, 86_400)(text, out value);
    }

    private static bool ReadSegmentSize(string text, out int value)
    {
        value = text == "auto" ? SegmentOptions.MssClampAuto : 0;
        return text is "off" or "auto" || Words.Number(SegmentOptions.LeastMss, 65_495)(text, out value);
    }
}
