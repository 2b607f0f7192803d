using System.Net;

namespace Sleeve.Control.Api;

/// <summary>Where the API is served, and who may use it.</summary>
internal sealed record ApiOptions
{
    /// <summary>Mode of a socket if nothing else is said: its owner alone.</summary>
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Mode of a read-only socket if nothing else is said: everybody, who may read the kernel's tables too.</summary>
    public const UnixFileMode Everybody = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>Socket files; each serves everything.</summary>
    public required IReadOnlyList<string> Sockets { get; init; }

    /// <summary>Their mode.</summary>
    public UnixFileMode SocketMode { get; init; } = OwnerOnly;

    /// <summary>Their group: a name or a number; null leaves it.</summary>
    public string? SocketGroup { get; init; }

    /// <summary>Whether there is a read-only socket beside each.</summary>
    public bool ReadOnlySockets { get; init; }

    /// <summary>Mode of those.</summary>
    public UnixFileMode ReadOnlyMode { get; init; } = Everybody;

    /// <summary>Over TCP with TLS; null for not at all.</summary>
    public ApiNetworkOptions? Network { get; init; }
}

/// <summary>The API over TCP with mutual TLS.</summary>
/// <param name="Endpoint">Address and port.</param>
/// <param name="Certificate">PEM file: our certificate, and those between it and its root.</param>
/// <param name="Key">PEM file: its key, not encrypted.</param>
/// <param name="ClientAuthority">PEM file: the authorities whose certificates let a client in; no others do.</param>
/// <param name="StatusPage">Whether the status page is served there too.</param>
internal sealed record ApiNetworkOptions(IPEndPoint Endpoint, string Certificate, string Key, string ClientAuthority, bool StatusPage);
