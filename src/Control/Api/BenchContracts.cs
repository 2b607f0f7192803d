namespace Sleeve.Control.Api;

/// <summary>What <c>sleeve bench</c> found.</summary>
/// <param name="Dev">The TAP of the segment.</param>
/// <param name="Remote">Address of the VTEP.</param>
/// <param name="Verdict">In one sentence, or two.</param>
/// <param name="RoundTrip">Where the round trip of a small packet between two stations goes.</param>
/// <param name="Local">What this host takes for each frame, and why something of it is not known.</param>
/// <param name="Wire">What was measured of the path.</param>
internal sealed record BenchReportJson(string Dev, string Remote, string Verdict, IReadOnlyList<ShareJson> RoundTrip, LocalCostsJson Local, WireResultJson Wire);

/// <summary>A part of a round trip.</summary>
/// <param name="Part">"tap", "pipeline", "socket", "far end" or "wire".</param>
/// <param name="Us">Microseconds.</param>
/// <param name="Percent">Of the whole.</param>
internal sealed record ShareJson(string Part, double Us, double Percent);

/// <summary>What a full-sized frame takes on this host, nanoseconds of one core; null for what could not be measured.</summary>
/// <param name="TapReadNs">To read it from a TAP.</param>
/// <param name="TapWriteNs">To write it to one, the host's stack included.</param>
/// <param name="PipelineOutNs">From TAP to socket.</param>
/// <param name="PipelineInNs">From socket to TAP.</param>
/// <param name="SocketSendNs">To send it, the kernel's stack on loopback included.</param>
/// <param name="SocketReceiveNs">To receive it.</param>
/// <param name="Problem">Why something could not be measured.</param>
internal sealed record LocalCostsJson(double? TapReadNs, double? TapWriteNs, double PipelineOutNs, double PipelineInNs, double? SocketSendNs, double? SocketReceiveNs, string? Problem);
