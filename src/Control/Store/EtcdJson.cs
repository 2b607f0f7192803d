using System.Text.Json.Serialization;

namespace Sleeve.Control.Store;

/// <summary>
/// What goes to and comes from etcd v3's JSON gateway (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/): bytes are base64, 64-bit numbers strings, and what is zero is left out. Only what is used of it.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.WriteAsString, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(EtcdRangeRequest))]
[JsonSerializable(typeof(EtcdRange))]
[JsonSerializable(typeof(EtcdTransactionRequest))]
[JsonSerializable(typeof(EtcdTransaction))]
[JsonSerializable(typeof(EtcdWatchRequest))]
[JsonSerializable(typeof(EtcdWatchLine))]
[JsonSerializable(typeof(EtcdLeaseRequest))]
[JsonSerializable(typeof(EtcdLease))]
[JsonSerializable(typeof(EtcdLeaseLine))]
[JsonSerializable(typeof(EtcdLoginRequest))]
[JsonSerializable(typeof(EtcdLogin))]
[JsonSerializable(typeof(EtcdError))]
internal sealed partial class EtcdJson : JsonSerializerContext;

/// <summary>Which cluster and member answered, and at which revision. Of an embedded store the "member" is the run of its daemon.</summary>
internal sealed record EtcdHeader(ulong ClusterId, ulong MemberId, long Revision, ulong RaftTerm);

/// <summary>An answer that has a header.</summary>
internal interface IEtcdAnswer
{
    /// <summary>The header.</summary>
    EtcdHeader? Header { get; }
}

/// <summary>An entry.</summary>
internal sealed record EtcdEntry(byte[]? Key, byte[]? Value, long CreateRevision, long ModRevision, long Version, long Lease);

/// <summary><c>/v3/kv/range</c>.</summary>
internal sealed record EtcdRangeRequest(byte[]? Key)
{
    public byte[]? RangeEnd { get; init; }

    public long? Limit { get; init; }

    public long? Revision { get; init; }

    public bool? CountOnly { get; init; }

    public bool? KeysOnly { get; init; }

    public string? SortTarget { get; init; }

    public string? SortOrder { get; init; }
}

/// <summary>Its answer.</summary>
internal sealed record EtcdRange(EtcdHeader? Header, EtcdEntry[]? Kvs, bool? More, long? Count) : IEtcdAnswer;

/// <summary><c>/v3/kv/txn</c>.</summary>
internal sealed record EtcdTransactionRequest(EtcdCompare[]? Compare, EtcdOperation[]? Success, EtcdOperation[]? Failure);

/// <summary>A condition: <c>MOD</c> or <c>VALUE</c> that is <c>EQUAL</c>.</summary>
internal sealed record EtcdCompare(string? Result, string? Target, byte[]? Key, long? ModRevision, byte[]? Value);

/// <summary>One of the three.</summary>
internal sealed record EtcdOperation
{
    public EtcdPut? RequestPut { get; init; }

    public EtcdRangeRequest? RequestDeleteRange { get; init; }

    public EtcdRangeRequest? RequestRange { get; init; }
}

/// <summary>Puts an entry.</summary>
internal sealed record EtcdPut(byte[]? Key, byte[]? Value, long? Lease);

/// <summary>The answer to a transaction.</summary>
internal sealed record EtcdTransaction(EtcdHeader? Header, bool? Succeeded, EtcdOutcome[]? Responses) : IEtcdAnswer;

/// <summary>What an operation answers, as far as it is of interest.</summary>
internal sealed record EtcdOutcome(EtcdRange? ResponseRange);

/// <summary><c>/v3/watch</c>.</summary>
internal sealed record EtcdWatchRequest(EtcdWatchCreate? CreateRequest);

/// <summary>A watch to begin.</summary>
internal sealed record EtcdWatchCreate(byte[]? Key, byte[]? RangeEnd, long? StartRevision, bool? ProgressNotify, bool? Fragment);

/// <summary>One line of a watch.</summary>
internal sealed record EtcdWatchLine(EtcdWatch? Result, EtcdError? Error);

/// <summary>What happened.</summary>
internal sealed record EtcdWatch(EtcdHeader? Header, bool? Created, bool? Canceled, string? CancelReason, long? CompactRevision, bool? Fragment, EtcdEvent[]? Events) : IEtcdAnswer;

/// <summary>A change; no type means PUT.</summary>
internal sealed record EtcdEvent(string? Type, EtcdEntry? Kv);

/// <summary><c>/v3/lease/grant</c>, <c>keepalive</c> and <c>revoke</c>.</summary>
internal sealed record EtcdLeaseRequest
{
    [JsonPropertyName("TTL")]
    public long? Ttl { get; init; }

    [JsonPropertyName("ID")]
    public long? Id { get; init; }
}

/// <summary>Their answer; no TTL means that there is no such lease.</summary>
internal sealed record EtcdLease : IEtcdAnswer
{
    public EtcdHeader? Header { get; init; }

    [JsonPropertyName("ID")]
    public long? Id { get; init; }

    [JsonPropertyName("TTL")]
    public long? Ttl { get; init; }
}

/// <summary>A line of <c>keepalive</c>, which is a stream.</summary>
internal sealed record EtcdLeaseLine(EtcdLease? Result, EtcdError? Error) : IEtcdAnswer
{
    [JsonIgnore]
    public EtcdHeader? Header => Result?.Header;
}

/// <summary><c>/v3/auth/authenticate</c>.</summary>
internal sealed record EtcdLoginRequest(string? Name, string? Password)
{
    /// <summary>Without the password.</summary>
    public override string ToString() => $"{Name}";
}

/// <summary>Its answer.</summary>
internal sealed record EtcdLogin(EtcdHeader? Header, string? Token) : IEtcdAnswer
{
    /// <summary>Without the token.</summary>
    public override string ToString() => "token";
}

/// <summary>Why not: a gRPC status code and a message. In a stream the code has another name.</summary>
internal sealed record EtcdError(int? Code, int? GrpcCode, string? Message);
