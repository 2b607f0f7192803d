using Microsoft.AspNetCore.Http;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Trust;

/// <summary>Why a host may not join: what it is told.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Code">For programs.</param>
/// <param name="Detail">For people: one line, what to do next included.</param>
internal sealed record JoinFault(int Status, string Code, string Detail);

/// <summary>Decides who may join and what is signed. Knows nothing of connections; everything it is given is hostile. Any thread.</summary>
/// <param name="trust">With an authority.</param>
/// <param name="isElsewhere">Whether a name is that of a host which is alive and joined in another way; asked last.</param>
internal sealed class JoinDesk(TrustStore trust, Func<string, bool> isElsewhere)
{
    private readonly Lock _access = new();

    /// <summary>Lets a host join.</summary>
    /// <param name="asked">What it sent; null if that was nothing.</param>
    /// <param name="now">The time, by this host's clock, which alone counts.</param>
    /// <returns>What it gets, or why nothing.</returns>
    public (JoinAnswerJson? Answer, JoinFault? Fault) Join(JoinRequestJson? asked, DateTimeOffset now)
    {
        if (trust.Authority is not { } authority) return (null, new JoinFault(StatusCodes.Status503ServiceUnavailable, "unavailable", "this host takes in nobody"));
        if (asked is null) return (null, new JoinFault(StatusCodes.Status400BadRequest, "bad-request", "the body must be a request to join"));
        // Whoever has no token learns nothing else.
        switch (trust.Tokens.Judge(asked.Id, asked.Secret, now))
        {
            case TokenVerdict.Unknown: return (null, WrongToken);
            case TokenVerdict.Expired: return (null, EndedToken);
        }

        if (!Names.IsName(asked.Name)) return (null, new JoinFault(StatusCodes.Status400BadRequest, "bad-name", $"name: must be {Names.Allowed}"));
        if (Certificates.ReadRequest(asked.Request) is not { } key) return (null, BadRequest);
        try
        {
            // Two that come at once with one name: the second has to see the first.
            lock (_access)
            {
                if (authority.IsTaken(asked.Name!, Certificates.KeyOf(key), now) || isElsewhere(asked.Name!))
                {
                    return (null, new JoinFault(StatusCodes.Status409Conflict, "name-taken",
                        $"name {asked.Name}: another host has it; join with --name and another one, or sleeve peer forget {asked.Name} if that host is gone or lost its state"));
                }

                if (!trust.Tokens.TryUse(asked.Id!, now)) return (null, EndedToken);
                using var made = authority.Issue(asked.Name!, key, isServer: false, now);
                return (new JoinAnswerJson(made.ExportCertificatePem(), trust.Certificate is { } own ? Certificates.HostOf(own) : null), null);
            }
        }
        catch (HostException failure)
        {
            return (null, new JoinFault(StatusCodes.Status503ServiceUnavailable, "unavailable", failure.Message));
        }
    }

    /// <summary>Signs another certificate for a host that has one which counts.</summary>
    /// <param name="host">Who asks, by that.</param>
    /// <param name="asked">What it sent; null if that was nothing.</param>
    /// <param name="now">The time.</param>
    public (JoinAnswerJson? Answer, JoinFault? Fault) Renew(string host, RenewRequestJson? asked, DateTimeOffset now)
    {
        if (trust.Authority is not { } authority || Certificates.ReadRequest(asked?.Request) is not { } key) return (null, BadRequest);
        try
        {
            using var made = authority.Issue(host, key, isServer: false, now);
            return (new JoinAnswerJson(made.ExportCertificatePem(), null), null);
        }
        catch (HostException failure)
        {
            return (null, new JoinFault(StatusCodes.Status503ServiceUnavailable, "unavailable", failure.Message));
        }
    }

    private static JoinFault WrongToken { get; } = new(StatusCodes.Status403Forbidden, "wrong-token", "the token is not one of this host's (any more): sleeve token prints a new one there");

    private static JoinFault EndedToken { get; } =
        new(StatusCodes.Status403Forbidden, "ended-token", "the token has ended, or was used as often as it may be: sleeve token prints a new one on the host that serves the cluster");

    private static JoinFault BadRequest { get; } =
        new(StatusCodes.Status400BadRequest, "bad-request", $"request: must be a signing request (PKCS #10) in base64 with a key of the curve P-256, of at most {Certificates.MaxRequestBytes} bytes");
}
