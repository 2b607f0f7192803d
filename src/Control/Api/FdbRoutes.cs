using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The FDB of a segment: <c>GET</c> shows, <c>POST …/add|append|replace</c> changes, <c>DELETE …/MAC?dst=&amp;port=&amp;vni=&amp;via=</c> removes an entry or one
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
        routes.MapDelete("/v1/segments/{dev}/fdb/{mac}", (string dev, string mac, string? dst, int? port, long? vni, string? via) =>
            Delete(state, dev, new FdbEntryJson(mac, null, dst, port, vni, null, null, null) { ViaIf = via }));
        routes.MapPost("/v1/segments/{dev}/fdb/flush", (string dev, bool? all) => state.TryFind(dev, out var found)
            ? Results.Json(new FlushJson(found.Segment.Fdb.Flush(all ?? false, Vtep.NowMilliseconds)), ApiJson.Default.FlushJson)
            : Problem.NoDevice(dev));
    }

    private static List<FdbEntryJson> Show(Segment segment)
    {
        using var links = new LinkNames();
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
                    entry.Kind switch { EntryKind.Permanent => "permanent", EntryKind.Static => "static", _ => "" })
                {
                    ViaIf = links.NameOf(remote.InterfaceIndex),
                });
            }
        }

        return rows;
    }

    private static IResult Change(
        VtepState state, string dev, FdbEntryJson body, Func<ForwardingTable, Func<MacAddress, VtepAddress, Vni, EntryKind, long, int, TableResult>> verb)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        var segment = found.Segment;
        if (!MacAddress.TryParse(body.Mac, out var mac)) return Problem.BadValue("mac", body.Mac, "six hexadecimal bytes with colons");
        // 0.0.0.0 and :: are legal: frames for the station are dropped.
        if (TryReadDestination(segment, body, mayBeGone: false, out var to) is { } problem) return problem;
        EntryKind? kind = body.State switch { null or "permanent" => EntryKind.Permanent, "static" => EntryKind.Static, "dynamic" or "" => EntryKind.Dynamic, _ => null };
        if (kind is not { } lifetime) return Problem.BadValue("state", body.State, "permanent, static or dynamic");
        return Problem.Of(verb(segment.Fdb)(mac, to.Address, to.Vni, lifetime, Vtep.NowMilliseconds, to.InterfaceIndex)) ?? Results.NoContent();
    }

    private static IResult Delete(VtepState state, string dev, FdbEntryJson what)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!MacAddress.TryParse(what.Mac, out var mac)) return Problem.BadValue("mac", what.Mac, "six hexadecimal bytes with colons");
        var fdb = found.Segment.Fdb;
        if (what.Dst is null) return Problem.Of(fdb.Delete(mac, null, found.Segment.Options.Vni, Vtep.NowMilliseconds)) ?? Results.NoContent();
        if (TryReadDestination(found.Segment, what, mayBeGone: true, out var to) is { } problem) return problem;
        return Problem.Of(fdb.Delete(mac, to.Address, to.Vni, Vtep.NowMilliseconds, to.InterfaceIndex)) ?? Results.NoContent();
    }

    // What is to be removed may name an interface that is gone, as Show does.
    private static IResult? TryReadDestination(Segment segment, FdbEntryJson body, bool mayBeGone, out Destination destination)
    {
        destination = default;
        var (dst, port, vniNumber) = (body.Dst, body.Port, body.Vni);
        const string Allowed = "an IPv4 or IPv6 unicast address, not link-local";
        if (!InternetAddress.TryParse(dst, out var address) || (!address.IsUnspecified && !Words.UnicastAddress(dst, out _)))
            return Problem.BadValue("dst", dst, Allowed);
        if (port is < 1 or > ushort.MaxValue) return Problem.BadValue("port", $"{port}", "1 to 65535");
        if (vniNumber is < 0 or > Vni.MaxValue) return Problem.BadValue("vni", $"{vniNumber}", "0 to 16777215");
        var index = 0;
        if (body.ViaIf is { } via)
        {
            if (!Words.LinkName(via, out _)) return Problem.BadValue("via", via, Words.LinkNameAllowed);
            using var links = new LinkNames();
            if ((links.IndexOf(via) ?? (mayBeGone ? LinkNames.IndexOfGone(via) : null)) is not { } known) return Problem.NoLink(via);
            index = known;
        }

        destination = new Destination(
            new VtepAddress(address, (ushort)(port ?? segment.Self.Port)), vniNumber is { } number ? new Vni((uint)number) : segment.Options.Vni, index);
        return null;
    }

    private readonly record struct Destination(VtepAddress Address, Vni Vni, int InterfaceIndex);
}
