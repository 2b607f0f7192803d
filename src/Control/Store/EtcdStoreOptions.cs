using System.Net.Security;

namespace Sleeve.Control.Store;

/// <summary>Where an <see cref="EtcdStore"/> is, and how to get in.</summary>
/// <param name="Endpoints">http or https, host and port; at least one. They are tried in this order, from the last that answered on.</param>
internal sealed record EtcdStoreOptions(IReadOnlyList<Uri> Endpoints)
{
    /// <summary>What all keys begin with there; "" for nothing, as <c>StoreGateway</c> has it.</summary>
    public string Root { get; init; } = "";

    /// <summary>How long an answer may take, with all that is tried for it.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After how long a silence the member that a watch is on is asked whether it is still there.</summary>
    public TimeSpan Quiet { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>What TLS goes by: who is trusted, our own certificate; null where the endpoints are http.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }

    /// <summary>User of etcd's authentication; null without.</summary>
    public string? User { get; init; }

    /// <summary>File with the user's password, read whenever a token is asked for.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>A unix socket in place of the endpoints' addresses; for a store on this host.</summary>
    public string? Socket { get; init; }

    /// <summary>A header that every request has; null without.</summary>
    public (string Name, string Value)? Header { get; init; }

    /// <summary>Bytes of one answer, at most.</summary>
    public int MaxAnswerBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>Bytes of one line of a watch, at most.</summary>
    public int MaxLineBytes { get; init; } = 16 * 1024 * 1024;
}
