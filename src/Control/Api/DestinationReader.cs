using Microsoft.AspNetCore.Http;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>Reads the destination of an FDB entry out of a request.</summary>
internal static class DestinationReader
{
    private const string Allowed = "an IPv4 or IPv6 unicast address, not link-local";

    /// <summary>Reads it.</summary>
    /// <param name="segment">Whose port and VNI count where none is said.</param>
    /// <param name="dst">Address of the VTEP; 0.0.0.0 and :: are legal: frames are dropped.</param>
    /// <param name="port">Its UDP port.</param>
    /// <param name="vni">The VNI towards it.</param>
    /// <param name="via">Name of an underlay interface.</param>
    /// <param name="mayBeGone">What is to be removed may name an interface that is gone, as a listing does.</param>
    /// <param name="destination">What was read.</param>
    /// <returns>Null, or why it cannot be.</returns>
    public static IResult? Read(Segment segment, string? dst, int? port, long? vni, string? via, bool mayBeGone, out EntryDestination destination)
    {
        destination = default;
        if (!InternetAddress.TryParse(dst, out var address) || (!address.IsUnspecified && !Words.UnicastAddress(dst, out _)))
            return Problem.BadValue("dst", dst, Allowed);
        if (port is < 1 or > ushort.MaxValue) return Problem.BadValue("port", $"{port}", "1 to 65535");
        if (vni is < 0 or > Vni.MaxValue) return Problem.BadValue("vni", $"{vni}", "0 to 16777215");
        var index = 0;
        if (via is not null)
        {
            if (!Words.LinkName(via, out _)) return Problem.BadValue("via", via, Words.LinkNameAllowed);
            using var links = new LinkNames();
            if ((links.IndexOf(via) ?? (mayBeGone ? LinkNames.IndexOfGone(via) : null)) is not { } known) return Problem.NoLink(via);
            index = known;
        }

        destination = new EntryDestination(
            new VtepAddress(address, (ushort)(port ?? segment.Self.Port)), vni is { } number ? new Vni((uint)number) : segment.Options.Vni, index);
        return null;
    }
}
