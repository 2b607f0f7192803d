using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>What is known of a name.</summary>
internal enum NameOutcome
{
    /// <summary>It has what was asked for.</summary>
    Found,

    /// <summary>There is such a name, but without what was asked for: NOERROR without an answer (RFC 2308, section 2.2).</summary>
    NoData,

    /// <summary>There is no such name: NXDOMAIN.</summary>
    NoName,

    /// <summary>Everything of the name was asked for; what is answered says only that there is no such answer (RFC 8482).</summary>
    Minimal,

    /// <summary>It is not asked like this: transfers, other classes.</summary>
    Refused,

    /// <summary>It is none of the network's: others know.</summary>
    Elsewhere,
}

/// <summary>What is known of a name.</summary>
/// <param name="Outcome">Whether there is an answer.</param>
/// <param name="Zone">
/// Where in the name the zone begins that knows it, in bytes of the question: RFC 2308, section 3 has a negative answer carry its SOA. −1 for none: then it is kept by nobody.
/// </param>
internal readonly record struct NameAnswer(NameOutcome Outcome, int Zone = -1)
{
    /// <summary>The addresses that were asked for, none twice; those of hosts that are down are left out.</summary>
    public IReadOnlyList<InternetAddress> Addresses { get; init; } = [];

    /// <summary>The name of the address that was asked for, without the final dot; null if no name was asked for.</summary>
    public string? Pointer { get; init; }

    /// <summary>Whether the zone itself was asked for.</summary>
    public bool IsZone { get; init; }
}
