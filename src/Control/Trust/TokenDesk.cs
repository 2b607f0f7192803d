using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sleeve.Control.Host;

namespace Sleeve.Control.Trust;

/// <summary>What became of a token that somebody came with.</summary>
internal enum TokenVerdict
{
    /// <summary>It lets in.</summary>
    Good,

    /// <summary>There is no such token, or its secret is another.</summary>
    Unknown,

    /// <summary>It has ended, or was used as often as it may be.</summary>
    Expired,
}

/// <summary>The tokens that let hosts join. Secrets are not kept, only their hashes. Any thread.</summary>
internal sealed class TokenDesk
{
    /// <summary>Tokens, at most.</summary>
    public const int MaxTokens = 1000;

    /// <summary>How long a token lasts if nothing else is said.</summary>
    public static readonly TimeSpan DefaultLifetime = TimeSpan.FromHours(1);

    /// <summary>How long at most.</summary>
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(365);

    private const string FileName = "tokens.json";

    // What has ended is told as such for a while.
    private static readonly TimeSpan Remembered = TimeSpan.FromDays(7);
    private static readonly byte[] NoHash = SHA256.HashData(RandomNumberGenerator.GetBytes(32));

    private readonly TrustFolder _folder;
    private readonly Lock _access = new();
    private List<KeptToken> _tokens;

    /// <summary>Reads those that there are.</summary>
    /// <exception cref="HostException">They are damaged.</exception>
    public TokenDesk(TrustFolder folder)
    {
        _folder = folder;
        try
        {
            _tokens = folder.Read(FileName) is { } text ? JsonSerializer.Deserialize(text, TrustJson.Default.ListKeptToken) ?? [] : [];
            if (!_tokens.TrueForAll(static token => token is { Id: not null, SecretHash.Length: 2 * SHA256.HashSizeInBytes } && token.SecretHash.All(char.IsAsciiHexDigit)))
                throw new JsonException("a token without the hash of its secret");
        }
        catch (JsonException failure)
        {
            throw new HostException($"{folder.PathOf(FileName)}: is damaged: {failure.Message}; remove it, and make new tokens");
        }
    }

    /// <summary>The tokens, oldest first; those that have ended too for a week.</summary>
    public IReadOnlyList<KeptToken> All
    {
        get
        {
            lock (_access) return _tokens;
        }
    }

    /// <summary>Makes a token.</summary>
    /// <param name="authorityHash">Of whom it vouches for.</param>
    /// <param name="lifetime">How long it lasts.</param>
    /// <param name="uses">How many may join with it; null for any number.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="HostException">It cannot be kept, or there are too many.</exception>
    public JoinToken Make(string authorityHash, TimeSpan lifetime, int? uses, DateTimeOffset now)
    {
        var token = JoinToken.New(authorityHash);
        lock (_access)
        {
            List<KeptToken> kept = [.. _tokens.Where(each => each.Ends + Remembered > now), new KeptToken(token.Id, Convert.ToHexStringLower(HashOf(token.Secret)), now, now + lifetime, uses, 0)];
            if (kept.Count > MaxTokens) throw new HostException($"there are {MaxTokens} tokens, which is the most there can be: sleeve token rm ID removes one");
            Keep(kept);
        }

        return token;
    }

    /// <summary>Removes a token; those who joined with it stay.</summary>
    /// <returns>False if there is none of that name.</returns>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public bool Remove(string id)
    {
        lock (_access)
        {
            if (!_tokens.Exists(token => token.Id == id)) return false;
            Keep([.. _tokens.Where(token => token.Id != id)]);
            return true;
        }
    }

    /// <summary>Whether somebody who comes with this may join; takes as long whatever is wrong.</summary>
    public TokenVerdict Judge(string? id, string? secret, DateTimeOffset now)
    {
        lock (_access)
        {
            var token = _tokens.Find(each => each.Id == id);
            var isRight = CryptographicOperations.FixedTimeEquals(token is null ? NoHash : Convert.FromHexString(token.SecretHash), HashOf(secret ?? ""));
            if (token is null || !isRight) return TokenVerdict.Unknown;
            return token.Ends > now && token.UsesLeft is not <= 0 ? TokenVerdict.Good : TokenVerdict.Expired;
        }
    }

    /// <summary>Notes that one joined with it.</summary>
    /// <returns>False if somebody else was faster with its last use.</returns>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public bool TryUse(string id, DateTimeOffset now)
    {
        lock (_access)
        {
            if (_tokens.Find(each => each.Id == id) is not { } token || token.Ends <= now || token.UsesLeft is <= 0) return false;
            Keep([.. _tokens.Select(each => each.Id == id ? each with { UsesLeft = each.UsesLeft - 1, Used = each.Used + 1 } : each)]);
            return true;
        }
    }

    private static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    private void Keep(List<KeptToken> tokens)
    {
        _folder.Write(FileName, JsonSerializer.Serialize(tokens, TrustJson.Default.ListKeptToken));
        _tokens = tokens;
    }
}
