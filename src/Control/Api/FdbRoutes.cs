using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Cli;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The FDB of a segment: <c>GET</c> shows, <c>POST …/add|append|replace</c> changes, <c>DELETE …/MAC?dst=&amp;port=&amp;vni=</c> removes an entry or one
/// destination, <c>POST …/flush?all=</c> removes dynamic (or all) entries.
/// </summary>
internal static class FdbRoutes
{
    private static readonly string[] Self = ["self"];

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/segments/{dev}/fdb", (string dev) =>
            state.TryFind(dev, out var found) ? Results.Json(Show(found.Segment), ApiJson.Default.IReadOnlyListFdbEntryJson) : Problem.NoDevice(dev));
        routes.MapPost("/v1/segments/{dev}/fdb/add", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Add));
        routes.MapPost("/v1/segments/{dev}/fdb/append", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Append));
        routes.MapPost("/v1/segments/{dev}/fdb/replace", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Replace));
        routes.MapDelete("/v1/segments/{dev}/fdb/{mac}", (string dev, string mac, string? dst, int? port, long? vni) => Delete(state, dev, mac, dst, port, vni));
        routes.MapPost("/v1/segments/{dev}/fdb/flush", (string dev, bool? all) => state.TryFind(dev, out var found)
            ? Results.Json(new FlushJson(found.Segment.Fdb.Flush(all ?? false, Vtep.NowMilliseconds)), ApiJson.Default.FlushJson)
            : Problem.NoDevice(dev));
    }

    private static List<FdbEntryJson> Show(Segment segment)
    {
        var rows = new List<FdbEntryJson>();
        foreach (var entry in segment.Fdb.Snapshot(Vtep.NowMilliseconds))
        {
            foreach (var remote in entry.Destinations.Remotes)
            {
                rows.Add(new FdbEntryJson(
                    entry.Mac.ToString(),
                    null,
                    remote.Address.Address.ToString(),
                    remote.Address.Port == segment.Self.Port ? null : remote.Address.Port,
                    remote.Vni == segment.Options.Vni ? null : remote.Vni.Value,
                    entry.Kind == EntryKind.Dynamic ? entry.IdleMilliseconds / 1000 : null,
                    Self,
                    entry.Kind switch { EntryKind.Permanent => "permanent", EntryKind.Static => "static", _ => "" }));
            }
        }

        return rows;
    }

    private static IResult Change(
        VtepState state, string dev, FdbEntryJson body, Func<ForwardingTable, Func<MacAddress, VtepAddress, Vni, EntryKind, long, TableResult>> verb)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        var segment = found.Segment;
        if (!MacAddress.TryParse(body.Mac, out var mac)) return Problem.BadValue("mac", body.Mac, "six hexadecimal bytes with colons");
        // 0.0.0.0 and :: are legal: frames for the station are dropped.
        if (TryReadDestination(segment, body.Dst, body.Port, body.Vni, out var destination, out var vni) is { } problem) return problem;
        EntryKind? kind = body.State switch { null or "permanent" => EntryKind.Permanent, "static" => EntryKind.Static, "dynamic" or "" => EntryKind.Dynamic, _ => null };
        if (kind is not { } lifetime) return Problem.BadValue("state", body.State, "permanent, static or dynamic");
        return Problem.Of(verb(segment.Fdb)(mac, destination, vni, lifetime, Vtep.NowMilliseconds)) ?? Results.NoContent();
    }

    private static IResult Delete(VtepState state, string dev, string macText, string? dst, int? udpPort, long? vniNumber)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!MacAddress.TryParse(macText, out var mac)) return Problem.BadValue("mac", macText, "six hexadecimal bytes with colons");
        VtepAddress? destination = null;
        var vni = found.Segment.Options.Vni;
        if (dst is not null)
        {
            if (TryReadDestination(found.Segment, dst, udpPort, vniNumber, out var read, out vni) is { } problem) return problem;
            destination = read;
        }

        return Problem.Of(found.Segment.Fdb.Delete(mac, destination, vni, Vtep.NowMilliseconds)) ?? Results.NoContent();
    }

    private static IResult? TryReadDestination(
        Segment segment, string? dst, int? port, long? vniNumber, out VtepAddress destination, out Vni vni)
    {
        destination = default;
        vni = segment.Options.Vni;
        const string Allowed = "an IPv4 or IPv6 unicast address, not link-local";
        if (!InternetAddress.TryParse(dst, out var address) || (!address.IsUnspecified && !Words.UnicastAddress(dst, out _)))
            return Problem.BadValue("dst", dst, Allowed);
        if (port is < 1 or > ushort.MaxValue) return Problem.BadValue("port", $"{port}", "1 to 65535");
        if (vniNumber is < 0 or > Vni.MaxValue) return Problem.BadValue("vni", $"{vniNumber}", "0 to 16777215");
        destination = new VtepAddress(address, (ushort)(port ?? segment.Self.Port));
        if (vniNumber is { } number) vni = new Vni((uint)number);
        return null;
    }
}
