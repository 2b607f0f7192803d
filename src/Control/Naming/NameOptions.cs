using Sleeve.Control.Networks;

namespace Sleeve.Control.Naming;

/// <summary>How names are served; the same on all hosts.</summary>
internal sealed record NameOptions
{
    /// <summary>What <see cref="IsDomain"/> takes.</summary>
    public const string DomainAllowed = "1 to 63 of a-z 0-9 - and dots between its labels, such as sleeve or cluster.internal";

    /// <summary>Seconds that an answer may be kept, at most.</summary>
    public const int MaxTtlSeconds = 5;

    /// <summary>The domain below which full names stand (NAME.NETWORK.DOMAIN), in lower case and without a final dot; such names never leave the host.</summary>
    public string Domain { get; init; } = "sleeve";

    /// <summary>Seconds that an answer, or that there is none, may be kept: 1 to <see cref="MaxTtlSeconds"/>. A name that is gone here is gone at the client after so long.</summary>
    public int TtlSeconds { get; init; } = 1;

    /// <summary>Questions a second that one client may ask in the long run; what is more is dropped without an answer.</summary>
    public int ClientRate { get; init; } = 2000;

    /// <summary>Questions that one client may ask at once after a silence.</summary>
    public int ClientBurst { get; init; } = 4000;

    /// <summary>Questions of one client that other resolvers are being asked at a time; to what is more the answer is SERVFAIL at once.</summary>
    public int ClientInFlight { get; init; } = 256;

    /// <summary>Questions of all clients of this host that other resolvers are being asked at a time.</summary>
    public int InFlight { get; init; } = 2048;

    /// <summary>Milliseconds that one resolver is waited for before the next is asked.</summary>
    public int ResolverMilliseconds { get; init; } = 1500;

    /// <summary>Connections that a network's server has at a time.</summary>
    public int Connections { get; init; } = 128;

    /// <summary>Those of one client.</summary>
    public int ClientConnections { get; init; } = 16;

    /// <summary>Milliseconds that a connection may say nothing, or take over one question.</summary>
    public int ConnectionMilliseconds { get; init; } = 10_000;

    /// <summary>UDP and TCP port.</summary>
    public ushort Port { get; init; } = 53;

    /// <summary>Whether it may be the domain.</summary>
    public static bool IsDomain(string? text) =>
        text is not null && Names.IsName(text) && text.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.')
        && text.Split('.').All(static label => label.Length > 0 && label[0] != '-' && label[^1] != '-');
}
