using System.Net;

namespace Sleeve.Control.Store;

/// <summary>What to do about a request that failed.</summary>
internal enum EtcdFaultKind
{
    /// <summary>Nobody listens there.</summary>
    Unreachable,

    /// <summary>It was certainly not done, but may be later or elsewhere: no leader, too many requests.</summary>
    NotNow,

    /// <summary>Nobody knows whether it was done.</summary>
    Unknown,

    /// <summary>It will never be done.</summary>
    Refused,

    /// <summary>The token that came with it counts no more.</summary>
    Token,

    /// <summary>There is no such lease.</summary>
    NoLease,

    /// <summary>Of a revision that is not kept any more, or is not yet.</summary>
    NoRevision,

    /// <summary>The answer is larger than is allowed.</summary>
    TooLarge,
}

/// <summary>A request failed at one member; never leaves <see cref="EtcdStore"/>.</summary>
/// <param name="kind">What to do about it.</param>
/// <param name="message">Why; one phrase.</param>
/// <param name="inner">What it came of.</param>
internal sealed class EtcdFault(EtcdFaultKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    private const int InvalidArgument = 3;
    private const int NotFound = 5;
    private const int PermissionDenied = 7;
    private const int ResourceExhausted = 8;
    private const int OutOfRange = 11;
    private const int Unavailable = 14;
    private const int Unauthenticated = 16;

    /// <summary>What to do about it.</summary>
    public EtcdFaultKind Kind { get; } = kind;

    /// <summary>What an error that was answered means (gRPC status codes; etcd's own texts, api/v3rpc/rpctypes/error.go).</summary>
    public static EtcdFault Of(EtcdError? error, HttpStatusCode status, Uri endpoint)
    {
        var text = error?.Message;
        // A member that has just started takes connections before it has its gateway.
        if (string.IsNullOrEmpty(text)) return new EtcdFault(status == HttpStatusCode.NotFound ? EtcdFaultKind.NotNow : EtcdFaultKind.Unknown, $"{endpoint.Authority}: HTTP {(int)status}: is it etcd 3.4 or newer?");
        bool Says(string phrase) => text.Contains(phrase, StringComparison.OrdinalIgnoreCase);
        var kind = (error!.Code ?? error.GrpcCode ?? 0) switch
        {
            _ when Says("invalid auth token") || Says("revision of auth store is old") || Says("user name is empty") => EtcdFaultKind.Token,
            InvalidArgument or PermissionDenied or Unauthenticated => EtcdFaultKind.Refused,
            NotFound when Says("lease") => EtcdFaultKind.NoLease,
            OutOfRange when Says("revision") => EtcdFaultKind.NoRevision,
            ResourceExhausted => Says("too many requests") ? EtcdFaultKind.NotNow : EtcdFaultKind.Refused,
            // "leader changed", which comes of reads, and all time-outs leave it open.
            Unavailable when Says("no leader") => EtcdFaultKind.NotNow,
            _ => EtcdFaultKind.Unknown,
        };
        return new EtcdFault(kind, $"{endpoint.Authority}: {Brief(text)}");
    }

    /// <summary>A text of somebody else's for a message of ours: one line, and short.</summary>
    public static string Brief(string text) => string.Concat(text.Take(200).Select(static c => char.IsControl(c) || char.IsSurrogate(c) ? ' ' : c));
}
