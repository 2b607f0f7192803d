using Microsoft.AspNetCore.Http;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Api;

/// <summary>Errors as the routes answer them: the kernel's words for what the kernel would refuse, then what it was about.</summary>
internal static class Problem
{
    /// <summary>A value that cannot be read: names the key, the value and what is allowed.</summary>
    public static IResult BadValue(string key, string? value, string allowed) =>
        Of(StatusCodes.Status400BadRequest, "Invalid argument", value is null ? $"{key}: missing; it must be {allowed}" : $"{key} {value}: must be {allowed}");

    /// <summary>No such device here.</summary>
    public static IResult NoDevice(string device) => Of(StatusCodes.Status404NotFound, "No such device", $"dev {device}: has no segment in this VTEP");

    /// <summary>No such underlay interface.</summary>
    public static IResult NoLink(string name) => Of(StatusCodes.Status404NotFound, "No such device", $"via {name}: there is no such interface (ip link show)");

    /// <summary>Not now.</summary>
    public static IResult Busy(string reason) => Of(StatusCodes.Status409Conflict, "Device or resource busy", reason);

    /// <summary>What a table answered; null if it was done.</summary>
    public static IResult? Of(TableResult result) => result switch
    {
        TableResult.Done => null,
        TableResult.Exists => Of(StatusCodes.Status409Conflict, "File exists"),
        TableResult.NotFound => Of(StatusCodes.Status404NotFound, "No such file or directory"),
        TableResult.NotSupported => Of(StatusCodes.Status422UnprocessableEntity, "Operation not supported"),
        TableResult.Full => Of(StatusCodes.Status507InsufficientStorage, "No space left on device"),
        TableResult.WrongFamily => Of(StatusCodes.Status422UnprocessableEntity, "Address family not supported by protocol"),
        _ => Of(StatusCodes.Status400BadRequest, "Invalid argument"),
    };

    private static IResult Of(int status, string title, string? detail = null) =>
        Results.Json(new ProblemJson(title, status, detail), ApiJson.Default.ProblemJson, "application/problem+json", status);
}
