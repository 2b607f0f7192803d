using System.Text.Json.Serialization;

namespace Sleeve.Control.Trust;

/// <summary>What a host sends to join.</summary>
/// <param name="Id">Of its token.</param>
/// <param name="Secret">Of its token.</param>
/// <param name="Name">What it wants to be called.</param>
/// <param name="Request">Its signing request (PKCS #10, RFC 2986) in base64; only the key in it counts.</param>
internal sealed record JoinRequestJson(string? Id, string? Secret, string? Name, string? Request);

/// <summary>What it gets.</summary>
/// <param name="Certificate">Its certificate, PEM.</param>
/// <param name="Server">Name of the host that serves the store.</param>
internal sealed record JoinAnswerJson(string? Certificate, string? Server);

/// <summary>What a host sends for a certificate in the place of one that ends soon; it comes over a channel that the old one opened.</summary>
/// <param name="Request">As in <see cref="JoinRequestJson"/>.</param>
internal sealed record RenewRequestJson(string? Request);

/// <summary>Why not.</summary>
/// <param name="Code">For programs: one of those of <see cref="JoinFault"/>.</param>
/// <param name="Detail">For people.</param>
internal sealed record JoinProblemJson(string? Code, string? Detail);

/// <summary>A token as it is kept: its secret is not.</summary>
/// <param name="Id">Its name.</param>
/// <param name="SecretHash">SHA-256 of its secret, hexadecimal.</param>
/// <param name="Made">When, by this host's clock.</param>
/// <param name="Ends">Until when it lets anybody join, by this host's clock.</param>
/// <param name="UsesLeft">How many may still join with it; null: any number.</param>
/// <param name="Used">How many did.</param>
internal sealed record KeptToken(string Id, string SecretHash, DateTimeOffset Made, DateTimeOffset Ends, int? UsesLeft, int Used);

/// <summary>A certificate that the authority gave out.</summary>
/// <param name="Host">To whom.</param>
/// <param name="Serial">Its number, hexadecimal.</param>
/// <param name="Key">SHA-256 of the public key, hexadecimal.</param>
/// <param name="Ends">Until when it is good.</param>
internal sealed record IssuedCertificate(string Host, string Serial, string Key, DateTimeOffset Ends);

/// <summary>Where this host belongs to.</summary>
/// <param name="Server">HOST:PORT of the host that serves the store.</param>
/// <param name="ServerName">What that one is called.</param>
/// <param name="Name">What this one is called there.</param>
/// <param name="Since">When it joined, by its own clock.</param>
internal sealed record JoinedCluster(string Server, string ServerName, string Name, DateTimeOffset Since);

/// <summary>What crosses the channel between hosts, and what is kept, serialised without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 8)]
[JsonSerializable(typeof(JoinRequestJson))]
[JsonSerializable(typeof(JoinAnswerJson))]
[JsonSerializable(typeof(RenewRequestJson))]
[JsonSerializable(typeof(JoinProblemJson))]
[JsonSerializable(typeof(List<KeptToken>))]
[JsonSerializable(typeof(List<IssuedCertificate>))]
[JsonSerializable(typeof(JoinedCluster))]
internal sealed partial class TrustJson : JsonSerializerContext;
