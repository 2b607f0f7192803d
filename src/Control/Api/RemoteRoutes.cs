using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The replication list of a segment: the VTEPs that get a copy of broadcast, unknown and multicast frames. <c>GET</c> and <c>PUT …/remotes</c> are the whole list,
/// <c>PUT</c> and <c>DELETE …/remotes/IP?port=&amp;vni=&amp;via=</c> one VTEP of it. It is the FDB entry of 00:00:00:00:00:00, without the segment's multicast group, which stays.
/// </summary>
internal static class RemoteRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        // What is made out of the list there is must not be made twice at once.
        var changes = new Lock();
        routes.MapGet("/v1/segments/{dev}/remotes", (string dev) => state.TryFind(dev, out var found)
                ? Results.Json(Show(found.Segment), ApiJson.Default.IReadOnlyListRemoteAddressJson)
                : Problem.NoDevice(dev))
            .Describe("listRemotes", "The replication list of a segment").Answers<IReadOnlyList<RemoteAddressJson>>(404);
        routes.MapPut("/v1/segments/{dev}/remotes", (string dev, IReadOnlyList<RemoteAddressJson> body) => Put(state, changes, dev, body)).WithMetadata(new BodyLimit())
            .Describe("putRemotes", "Make the replication list be this", "What is in both lists is not touched. [] empties it. Done twice it is as done once.").AnswersNothing(400, 403, 404, 413, 422, 507);
        routes.MapPut("/v1/segments/{dev}/remotes/{ip}", (string dev, string ip, int? port, long? vni, string? via) =>
                ChangeOne(state, changes, dev, new RemoteAddressJson(ip, port, vni) { ViaIf = via }, isRemoval: false))
            .Describe("putRemote", "Have a VTEP in the replication list", "204 too if it is there already.").AnswersNothing(400, 403, 404, 422, 507);
        routes.MapDelete("/v1/segments/{dev}/remotes/{ip}", (string dev, string ip, int? port, long? vni, string? via) =>
                ChangeOne(state, changes, dev, new RemoteAddressJson(ip, port, vni) { ViaIf = via }, isRemoval: true))
            .Describe("deleteRemote", "Have a VTEP in the replication list no more", "204 too if it was not there.").AnswersNothing(400, 403, 404);
    }

    private static List<RemoteAddressJson> Show(Segment segment)
    {
        using var links = new LinkNames();
        return [.. segment.Fdb.Default.Remotes.Where(static remote => !remote.Address.Address.IsMulticast).Select(remote => new RemoteAddressJson(
            remote.Address.Address.ToString(),
            remote.Address.Port == segment.Self.Port ? null : remote.Address.Port,
            remote.Vni == segment.Options.Vni ? null : remote.Vni.Value) { ViaIf = links.NameOf(remote.InterfaceIndex) })];
    }

    private static IResult Put(VtepState state, Lock changes, string dev, IReadOnlyList<RemoteAddressJson> body)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (body.Count > ReplicationList.MaxRemotes) return Problem.BadValue("remotes", $"{body.Count} of them", $"at most {ReplicationList.MaxRemotes}");
        var wanted = new List<EntryDestination>(body.Count);
        var seen = new HashSet<EntryDestination>();
        foreach (var remote in body)
        {
            if (remote is null) return Problem.BadValue("remotes", "null", "a list of objects with dst");
            if (Read(found.Segment, remote, out var destination) is { } problem) return problem;
            if (!seen.Add(destination)) return Problem.BadValue("remotes", remote.Dst, "there only once with one port, vni and via");
            wanted.Add(destination);
        }

        lock (changes)
        {
            var fdb = found.Segment.Fdb;
            return Problem.Of(fdb.Set(MacAddress.Zero, [.. Groups(fdb), .. wanted], EntryKind.Permanent, Vtep.NowMilliseconds)) ?? Results.NoContent();
        }
    }

    private static IResult ChangeOne(VtepState state, Lock changes, string dev, RemoteAddressJson what, bool isRemoval)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (DestinationReader.Read(found.Segment, what.Dst, what.Port, what.Vni, what.ViaIf, mayBeGone: isRemoval, out var destination) is { } problem) return problem;
        var (address, vni, index) = destination;
        var fdb = found.Segment.Fdb;
        lock (changes)
        {
            return isRemoval
                ? Problem.Idempotent(fdb.Delete(MacAddress.Zero, address, vni, Vtep.NowMilliseconds, index))
                : Problem.Of(fdb.Append(MacAddress.Zero, address, vni, EntryKind.Permanent, Vtep.NowMilliseconds, index)) ?? Results.NoContent();
        }
    }

    // An interface that is gone may stand there, as in the listing, if it is in the list already.
    private static IResult? Read(Segment segment, RemoteAddressJson remote, out EntryDestination destination)
    {
        if (DestinationReader.Read(segment, remote.Dst, remote.Port, remote.Vni, remote.ViaIf, mayBeGone: false, out destination) is not { } problem) return null;
        if (remote.ViaIf is null || DestinationReader.Read(segment, remote.Dst, remote.Port, remote.Vni, remote.ViaIf, mayBeGone: true, out destination) is not null) return problem;
        var gone = destination;
        return segment.Fdb.Default.Remotes.Any(known => known.Address == gone.Address && known.Vni == gone.Vni && known.InterfaceIndex == gone.InterfaceIndex) ? null : problem;
    }

    // Which group a segment is in is said when it is made.
    private static IEnumerable<EntryDestination> Groups(ForwardingTable fdb) =>
        fdb.Default.Remotes.Where(static remote => remote.Address.Address.IsMulticast).Select(static remote => new EntryDestination(remote.Address, remote.Vni, remote.InterfaceIndex));

    // As many as a list may have, with everything said of each.
    private sealed class BodyLimit : IRequestSizeLimitMetadata
    {
        public long? MaxRequestBodySize => 512 * 1024;
    }
}
