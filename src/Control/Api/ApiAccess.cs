using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Api;

/// <summary>What may be done over a connection: a property of the socket it came by.</summary>
/// <param name="MayChange">False on a read-only socket: GET, HEAD, and what changes nothing (<see cref="ChangesNothing"/>).</param>
/// <param name="StatusPage">Whether the status page is served.</param>
internal sealed record ApiAccess(bool MayChange, bool StatusPage)
{
    /// <summary>A POST that may be asked for on a read-only socket: metadata of a route.</summary>
    public sealed record ChangesNothing;

    /// <summary>A GET that may not: metadata of a route.</summary>
    public sealed record NotReadOnly(string Reason);

    /// <summary>Has every connection of a listener carry it.</summary>
    public void AddTo(ListenOptions listener) => listener.Use(next => connection =>
    {
        connection.Features.Set(this);
        return next(connection);
    });

    /// <summary>Refuses what the connection may not; null if it may.</summary>
    public static IResult? Refuse(HttpContext context)
    {
        var isReading = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        // A browser shows its certificate for any page that sends a form here; it says which page that was.
        if (!isReading && context.Request.Headers.Origin is [var origin, ..] && !IsOwn(origin, context.Request))
            return Problem.ReadOnly($"Origin {origin}: a page of another site may change nothing here");
        if (context.Features.Get<ApiAccess>() is not { MayChange: false }) return null;
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<NotReadOnly>() is { } except) return Problem.ReadOnly(except.Reason);
        if (isReading || metadata?.GetMetadata<ChangesNothing>() is not null) return null;
        return Problem.ReadOnly($"{context.Request.Method} {context.Request.Path}: this socket is read-only; changes go to the one without -ro in its name");
    }

    private static bool IsOwn(string? origin, HttpRequest request) => origin == $"{request.Scheme}://{request.Host}";

    /// <summary>Who is at the other end, for a log line: the user and process of a unix socket (SO_PEERCRED, unix(7)), the address and subject of TLS.</summary>
    public static string PeerOf(HttpContext context)
    {
        if (context.Connection.ClientCertificate is { } certificate) return $"{context.Connection.RemoteIpAddress} ({certificate.Subject})";
        if (context.Features.Get<IConnectionSocketFeature>()?.Socket is not { AddressFamily: AddressFamily.Unix } socket) return $"{context.Connection.RemoteIpAddress}";
        Span<byte> bytes = stackalloc byte[Marshal.SizeOf<LibC.ucred>()];
        try
        {
            socket.GetRawSocketOption(LibC.SOL_SOCKET, LibC.SO_PEERCRED, bytes);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            return "somebody who left";
        }

        var peer = MemoryMarshal.Read<LibC.ucred>(bytes);
        return $"uid {peer.uid} pid {peer.pid}";
    }
}
