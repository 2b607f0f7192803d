using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Sleeve.Control.Trust;

/// <summary>
/// What lets a host join, as k3s has it: <c>S10HASH::ID:SECRET</c>. HASH is the SHA-256 of the authority's certificate, so that whoever joins knows whom it talks to before it says the secret; ID names the
/// token for <c>sleeve token ls</c>; SECRET is 128 random bits. All in lower-case hexadecimal digits.
/// </summary>
/// <param name="AuthorityHash">64 digits.</param>
/// <param name="Id">8 digits.</param>
/// <param name="Secret">32 digits.</param>
internal sealed record JoinToken(string AuthorityHash, string Id, string Secret)
{
    /// <summary>What a token must be, for messages, which never show one.</summary>
    public const string Allowed = "a token as sleeve token prints it: S10…::…:…";

    /// <summary>Characters of a token.</summary>
    public const int Length = 3 + HashLength + 2 + IdLength + 1 + SecretLength;

    private const string Prefix = "S10";
    private const string HashEnd = "::";
    private const int HashLength = 64;
    private const int IdLength = 8;
    private const int SecretLength = 32;

    /// <summary>Makes a new one.</summary>
    public static JoinToken New(string authorityHash) =>
        new(authorityHash, RandomNumberGenerator.GetHexString(IdLength, lowercase: true), RandomNumberGenerator.GetHexString(SecretLength, lowercase: true));

    /// <summary>Reads one; false for anything that is not exactly one, but for white space around it.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out JoinToken? token)
    {
        token = null;
        var word = text?.Trim() ?? "";
        if (word.Length != Length || !word.StartsWith(Prefix, StringComparison.Ordinal)) return false;
        var (hash, rest) = (word.Substring(Prefix.Length, HashLength), word[(Prefix.Length + HashLength)..]);
        if (!rest.StartsWith(HashEnd, StringComparison.Ordinal) || rest[HashEnd.Length + IdLength] != ':') return false;
        var (id, secret) = (rest.Substring(HashEnd.Length, IdLength), rest[(HashEnd.Length + IdLength + 1)..]);
        if (!IsHex(hash) || !IsHex(id) || !IsHex(secret)) return false;
        token = new JoinToken(hash, id, secret);
        return true;
    }

    /// <summary>Whether it may be the ID of a token.</summary>
    public static bool IsId(string? text) => text is { Length: IdLength } && IsHex(text);

    private static bool IsHex(string digits) => digits.All(char.IsAsciiHexDigitLower);

    /// <summary>The whole token, for the one who is to join with it.</summary>
    public string Reveal() => $"{Prefix}{AuthorityHash}{HashEnd}{Id}:{Secret}";

    /// <summary>Without its secret.</summary>
    public override string ToString() => $"token {Id}";
}
