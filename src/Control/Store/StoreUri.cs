using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Store;

/// <summary>Where a cluster's etcd is: <c>etcd://HOST[:PORT][,HOST[:PORT]…][/PREFIX]</c>, or <c>etcds://…</c> over TLS. An IPv6 address stands in brackets.</summary>
/// <param name="Endpoints">http or https, host and port.</param>
/// <param name="Root">What all keys begin with; ends with a slash.</param>
internal sealed record StoreUri(IReadOnlyList<Uri> Endpoints, string Root)
{
    /// <summary>What it must be, for messages.</summary>
    public const string Allowed = "etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX], or etcds:// for TLS; up to 16 hosts";

    private const int DefaultPort = 2379;
    private const int MaxEndpoints = 16;
    private const int MaxLength = 4096;
    private const int MaxRootBytes = 256;

    /// <summary>Whether it is TLS.</summary>
    public bool IsTls => Endpoints[0].Scheme == Uri.UriSchemeHttps;

    /// <summary>Reads one.</summary>
    /// <param name="text">As it was given.</param>
    /// <param name="fault">What is wrong with it, to follow its name; no secret stands in it.</param>
    /// <returns>Null if it is wrong.</returns>
    public static StoreUri? Parse(string text, out string? fault)
    {
        fault = $"must be {Allowed}";
        if (text.Length > MaxLength) return null;
        var scheme = text.StartsWith("etcd://", StringComparison.Ordinal) ? "http" : text.StartsWith("etcds://", StringComparison.Ordinal) ? "https" : null;
        if (scheme is null) return null;
        var rest = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var (hosts, path) = slash < 0 ? (rest, "") : (rest[..slash], rest[slash..]);
        // Before anything else is said about it: whatever stands there is not repeated.
        if (hosts.Contains('@', StringComparison.Ordinal))
        {
            fault = "must have no user or password in it, which everybody could read: say --store-user NAME and --store-password-file FILE";
            return null;
        }

        var names = hosts.Split(',');
        if (names.Length > MaxEndpoints) return null;
        var endpoints = new List<Uri>();
        foreach (var name in names)
        {
            if (Endpoint(scheme, name) is not { } endpoint)
            {
                fault = $"\"{StoreChecks.Show(name)}\" is no host and port: {fault}";
                return null;
            }

            if (!endpoints.Contains(endpoint)) endpoints.Add(endpoint);
        }

        var root = path.Trim('/');
        if (root.Length == 0)
        {
            fault = null;
            return new StoreUri(endpoints, ClusterKeys.DefaultRoot);
        }

        if (!StoreChecks.IsKey(root) || StoreChecks.Bytes(root).Length > MaxRootBytes || root.AsSpan().ContainsAny("?#"))
        {
            fault = $"the prefix \"{StoreChecks.Show(root)}\" must be at most {MaxRootBytes} bytes without control characters, ? and #";
            return null;
        }

        fault = null;
        return new StoreUri(endpoints, $"/{root}/");
    }

    private static Uri? Endpoint(string scheme, string text)
    {
        var (host, port) = (text, DefaultPort.ToString(CultureInfo.InvariantCulture));
        var colon = text.LastIndexOf(':');
        if (colon >= 0 && !text.EndsWith(']')) (host, port) = (text[..colon], text[(colon + 1)..]);
        if (!ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0) return null;
        var isAddress = host is ['[', .. var inner, ']'] && IPAddress.TryParse(inner, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6;
        return isAddress || Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4 ? new Uri($"{scheme}://{host}:{number}") : null;
    }
}
