using Microsoft.Extensions.Logging;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane;

/// <summary>Every message of the data plane, by stable id. None is logged per frame.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning,
        "{Segment}: dropping datagrams from {Sender}, which is not a VTEP of vni {Vni}; to allow it: sleeve fdb append 00:00:00:00:00:00 dev {Segment} dst {Sender}, or start with --admit any")]
    internal static partial void StrangerDropped(ILogger logger, string segment, InternetAddress sender, Vni vni);

    [LoggerMessage(2, LogLevel.Critical, "a worker failed and frames no longer flow")]
    internal static partial void WorkerFailed(ILogger logger, Exception exception);

    [LoggerMessage(3, LogLevel.Information, "{Segment}: {Count} FDB entries aged out")]
    internal static partial void AgedOut(ILogger logger, string segment, int count);

    [LoggerMessage(4, LogLevel.Warning, "tx-offload is {Offload} now ({Reason})")]
    internal static partial void OffloadChanged(ILogger logger, string offload, string reason);

    [LoggerMessage(5, LogLevel.Warning, "{Segment}: {Frames} frames {What} (last {Station}); {Option} N sets the limit, off lifts it")]
    internal static partial void GuardMet(ILogger logger, string segment, long frames, string what, MacAddress station, string option);
}
