using Microsoft.AspNetCore.Http;
using Sleeve.Control.Daemon;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Api;

/// <summary>
/// Errors as the routes answer them (RFC 9457): the kernel's words for what the kernel would refuse, then what it was about, and a type for programs.
/// </summary>
internal static class Problem
{
    /// <summary>What every type begins with. Nothing is to be fetched there; docs/api.md lists them.</summary>
    public const string TypePrefix = "urn:sleeve:problem:";

    /// <summary>The media type.</summary>
    public const string MediaType = "application/problem+json";

    /// <summary>Every type, without its prefix.</summary>
    public static IReadOnlyList<string> Types { get; } =
        ["bad-value", "bad-request", "no-device", "no-interface", "no-entry", "no-resource", "exists", "not-supported", "wrong-family", "full", "busy", "store-away", "read-only", "too-large", "impossible", "internal"];

    /// <summary>A value that cannot be read: names the key, the value and what is allowed.</summary>
    public static IResult BadValue(string key, string? value, string allowed) =>
        Of(StatusCodes.Status400BadRequest, "bad-value", "Invalid argument", value is null ? $"{key}: missing; it must be {allowed}" : $"{key} {Shorten(value)}: must be {allowed}");

    /// <summary>No such device here.</summary>
    public static IResult NoDevice(string device) => Of(StatusCodes.Status404NotFound, "no-device", "No such device", $"dev {Shorten(device)}: has no segment in this VTEP");

    /// <summary>No such underlay interface.</summary>
    public static IResult NoLink(string name) => Of(StatusCodes.Status404NotFound, "no-interface", "No such device", $"via {name}: there is no such interface (ip link show)");

    /// <summary>No such network.</summary>
    public static IResult NoNetwork(string name) => Of(StatusCodes.Status404NotFound, "no-entry", "No such file or directory", $"network {Shorten(name)}: there is none (sleeve net ls)");

    /// <summary>This process shares nothing with other hosts.</summary>
    public static IResult NoCluster(string what) =>
        Of(StatusCodes.Status422UnprocessableEntity, "not-supported", "Operation not supported", $"{what}: this VTEP shares no networks with other hosts; sleeve daemon with a store does");

    /// <summary>The store that hosts share does not answer.</summary>
    public static IResult StoreAway(string reason) => Of(StatusCodes.Status503ServiceUnavailable, "store-away", "Resource temporarily unavailable", reason);

    /// <summary>No such entry.</summary>
    public static IResult NoEntry(string what) => Of(StatusCodes.Status404NotFound, "no-entry", "No such file or directory", what);

    /// <summary>Not now.</summary>
    public static IResult Busy(string reason) => Of(StatusCodes.Status409Conflict, "busy", "Device or resource busy", reason);

    /// <summary>Too many want it at once; later it works.</summary>
    public static IResult TooMany(string reason) => Of(StatusCodes.Status503ServiceUnavailable, "busy", "Device or resource busy", reason);

    /// <summary>Not by this socket.</summary>
    public static IResult ReadOnly(string reason) => Of(StatusCodes.Status403Forbidden, "read-only", "Read-only file system", reason);

    /// <summary>What a table answered; null if it was done.</summary>
    public static IResult? Of(TableResult result) => result switch
    {
        TableResult.Done => null,
        TableResult.Exists => Of(StatusCodes.Status409Conflict, "exists", "File exists"),
        TableResult.NotFound => Of(StatusCodes.Status404NotFound, "no-entry", "No such file or directory"),
        TableResult.NotSupported => Of(StatusCodes.Status422UnprocessableEntity, "not-supported", "Operation not supported"),
        TableResult.Full => Of(StatusCodes.Status507InsufficientStorage, "full", "No space left on device"),
        TableResult.WrongFamily => Of(StatusCodes.Status422UnprocessableEntity, "wrong-family", "Address family not supported by protocol"),
        _ => Of(StatusCodes.Status400BadRequest, "bad-value", "Invalid argument"),
    };

    /// <summary>What something answered that shall be no different if it is asked for twice: that nothing was there to remove is done.</summary>
    public static IResult Idempotent(TableResult result) => (result == TableResult.NotFound ? null : Of(result)) ?? Results.NoContent();

    /// <summary>Settings of a segment that are refused; every reason.</summary>
    public static IResult BadSettings(IReadOnlyList<string> errors) => Of(StatusCodes.Status400BadRequest, "bad-value", "Invalid argument", string.Join("; ", errors));

    /// <summary>Why the daemon did not do it.</summary>
    public static IResult Of(CommandRefusedException refusal) => refusal.Kind switch
    {
        RefusalKind.Invalid => BadSettings(refusal.Errors),
        RefusalKind.Conflict => Of(StatusCodes.Status409Conflict, "exists", "File exists", string.Join("; ", refusal.Errors)),
        _ => Impossible(string.Join("; ", refusal.Errors)),
    };

    /// <summary>The host does not let it be done.</summary>
    public static IResult Impossible(string reason) => Of(StatusCodes.Status422UnprocessableEntity, "impossible", "Operation not permitted", reason);

    private static IResult Of(int status, string type, string title, string? detail = null) =>
        Results.Json(new ProblemJson(title, status, detail) { Type = TypePrefix + type }, ApiJson.Default.ProblemJson, MediaType, status);

    // What somebody sent comes back no longer than one can read.
    private static string Shorten(string value) => value.Length <= MaxEcho ? value : value[..MaxEcho] + "…";

    private const int MaxEcho = 200;
}
