namespace Sleeve.Control.Api;

/// <summary>A host of the cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="State">"self"; "up", "down", "held" (back, but it flapped) or "unknown" (its VTEP never answered) by its data path; "-" if no network is shared, so that nobody asks.</param>
/// <param name="Alive">Whether it gives a sign of life to the store.</param>
internal sealed record PeerJson(string Name, string State, bool Alive)
{
    /// <summary>Address of its VTEP; left out of one that says nothing of itself.</summary>
    public string? Local { get; init; }

    /// <summary>UDP port of its VTEP.</summary>
    public int? Port { get; init; }

    /// <summary>Why it is in its state.</summary>
    public string? Reason { get; init; }

    /// <summary>Seconds since that changed last.</summary>
    public long? ChangedSeconds { get; init; }

    /// <summary>Round trip of hellos over the data path, microseconds.</summary>
    public long? RttMicroseconds { get; init; }

    /// <summary>Share of its last hundred hellos that did not arrive, percent.</summary>
    public double? LossPercent { get; init; }

    /// <summary>How often it went down.</summary>
    public int? Flaps { get; init; }

    /// <summary>Hellos that came of it.</summary>
    public long? HellosReceived { get; init; }

    /// <summary>Hellos to it that could not be sent.</summary>
    public long? HellosNotSent { get; init; }

    /// <summary>Whether it takes no new endpoints.</summary>
    public bool Draining { get; init; }

    /// <summary>The version of Sleeve that it runs.</summary>
    public string? Version { get; init; }

    /// <summary>Counts its starts.</summary>
    public long? Generation { get; init; }

    /// <summary>Where it stands.</summary>
    public string? Location { get; init; }

    /// <summary>When it joined, by its own clock.</summary>
    public DateTimeOffset? Since { get; init; }
}

/// <summary>What is to be of a host.</summary>
/// <param name="Draining">Whether it takes no new endpoints.</param>
internal sealed record PeerDrainJson(bool Draining);

/// <summary>What was removed with a host.</summary>
/// <param name="Removed">Keys of the store.</param>
internal sealed record PeerForgottenJson(int Removed)
{
    /// <summary>What is left to be done so that it stays forgotten; null for nothing.</summary>
    public string? Note { get; init; }
}

/// <summary>A token that is to be made.</summary>
/// <param name="Seconds">How long it lasts; 3600 if it is left out.</param>
/// <param name="Uses">How many may join with it; any number if it is left out.</param>
internal sealed record TokenRequestJson(int? Seconds, int? Uses);

/// <summary>A token that was made.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Token">The token itself: a secret, shown this once.</param>
/// <param name="Ends">Until when it lets anybody join.</param>
/// <param name="Command">What to type on the host that is to join.</param>
internal sealed record MadeTokenJson(string Id, string Token, DateTimeOffset Ends, string Command);

/// <summary>A token, without its secret.</summary>
/// <param name="Id">Its name.</param>
/// <param name="State">"good", "ended" or "used-up".</param>
/// <param name="Made">When.</param>
/// <param name="Ends">Until when it lets anybody join.</param>
/// <param name="Used">How many joined with it.</param>
/// <param name="UsesLeft">How many still may; left out for any number.</param>
internal sealed record TokenJson(string Id, string State, DateTimeOffset Made, DateTimeOffset Ends, int Used, int? UsesLeft);

/// <summary>A cluster that is to be joined.</summary>
/// <param name="Server">The host that serves it: HOST or HOST:PORT.</param>
/// <param name="Token">A token of it.</param>
/// <param name="Name">What this host is to be called; left out: as it is called.</param>
internal sealed record ClusterJoinJson(string? Server, string? Token, string? Name);

/// <summary>A line about joining as it goes on: one of its members is there.</summary>
internal sealed record JoinLineJson
{
    /// <summary>What is done now.</summary>
    public string? Step { get; init; }

    /// <summary>It is done: the host that serves the cluster.</summary>
    public string? Joined { get; init; }

    /// <summary>With <see cref="Joined"/>: what this host is called there.</summary>
    public string? Name { get; init; }

    /// <summary>Why it cannot be done; nothing is changed then.</summary>
    public string? Error { get; init; }
}

/// <summary>That the cluster is to be left.</summary>
/// <param name="Force">Also if it cannot be told.</param>
internal sealed record ClusterLeaveJson(bool Force);
