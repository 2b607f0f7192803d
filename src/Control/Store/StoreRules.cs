using System.Text;
using System.Text.Json;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Store;

/// <summary>
/// What a host may write, by its name: the table of <see cref="ClusterKeys"/>. What it says of itself is its own; a claim belongs to whom its value names; what others claimed it may not change, and delete only when they give no
/// sign of life (<c>alive/</c>) any more. Reading is free. Asked with what stands in the store at the moment of the write, so that nothing comes between.
/// </summary>
internal static class StoreRules
{
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 8 };

    /// <summary>Why a host may not do it; null if it may.</summary>
    /// <param name="host">Its name, as its certificate says.</param>
    /// <param name="writes">What it wants to write.</param>
    /// <param name="read">An entry as it stands.</param>
    /// <param name="ownerOf">Who made a lease; null if there is none.</param>
    public static string? Refuse(string host, IReadOnlyList<StoreWrite> writes, Func<string, StoreEntry?> read, Func<long, string?> ownerOf)
    {
        if (!Names.IsName(host)) return "no host of this name may write";
        foreach (var write in writes)
        {
            if (write is { Value: not null, Lease: not 0 } && ownerOf(write.Lease) is { } owner && owner != host) return $"{host} may not put {StoreChecks.Show(write.Key)} under a lease of another host";
            if (Refuse(host, write, read) is { } refusal) return refusal;
        }

        return null;
    }

    private static string? Refuse(string host, StoreWrite write, Func<string, StoreEntry?> read)
    {
        var key = write.Key.Split('/');
        // Names have no slash, so how many parts a key has says what it is.
        if (!key.Skip(1).All(IsPart)) return Unknown(host, write.Key);
        return key switch
        {
            ["networks", _] or ["vnis", _] => null,
            ["audits", _] => NeedsLease(write),
            ["alive", var owner] => owner == host ? NeedsLease(write) : $"{host} may not write the sign of life of {owner}",
            ["peers", var owner] => OfHost(host, owner, write, read),
            ["hosts", var owner, "networks", _] => OfHost(host, owner, write, read),
            ["hosts", var owner, "endpoints", _, _] => OfHost(host, owner, write, read),
            ["hosts", var owner, "audits", _] => OfHost(host, owner, write, read) ?? NeedsLease(write),
            ["addresses", _, _] => OfClaim(host, write, read, HostOfRecord),
            ["blocks", _, _] => OfClaim(host, write, read, HostOfRecord),
            ["macs", _, _] => OfClaim(host, write, read, HostOfMac),
            _ => Unknown(host, write.Key),
        };
    }

    // Names, and addresses, MACs and blocks: none has anything else.
    private static bool IsPart(string part) => part is { Length: > 0 and <= Names.MaxLength } && part.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':');

    private static string Unknown(string host, string key) => $"{host} may not write {StoreChecks.Show(key)}: no key of a cluster is called that";

    private static string? NeedsLease(StoreWrite write) => write is { Value: not null, Lease: 0 } ? $"{StoreChecks.Show(write.Key)} must be put under a lease" : null;

    private static string? OfHost(string host, string owner, StoreWrite write, Func<string, StoreEntry?> read)
    {
        if (owner == host) return null;
        return write.Value is not null ? $"{host} may not write {write.Key}, which is {owner}'s" : MayDeleteOf(host, owner, write.Key, read);
    }

    private static string? MayDeleteOf(string host, string owner, string key, Func<string, StoreEntry?> read) =>
        Names.IsName(owner) && read(ClusterKeys.AliveOf(owner)) is not null ? $"{host} may not delete {key}, which is {owner}'s: that host gives a sign of life" : null;

    private static string? OfClaim(string host, StoreWrite write, Func<string, StoreEntry?> read, Func<string, string?> hostOf)
    {
        // "" is nobody: a reservation of the whole network, which is any host's. What cannot be read is nobody's either, so that it can be cleared away.
        var before = read(write.Key) is { } entry ? hostOf(entry.Value) ?? "" : "";
        if (write.Value is null) return before.Length == 0 || before == host ? null : MayDeleteOf(host, before, write.Key, read);
        if (before.Length > 0 && before != host) return $"{host} may not change {write.Key}, which is {before}'s";
        return hostOf(write.Value) switch
        {
            null => $"{host} may not write {write.Key}: its value does not say whose it is",
            "" when hostOf == HostOfMac => $"{host} may not write {write.Key}: its value does not say whose it is",
            "" => null,
            var now => now == host ? null : $"{host} may not write {write.Key} for {StoreChecks.Show(now)}",
        };
    }

    // "HOST/ID".
    private static string? HostOfMac(string value) => value.Split('/') is [var host, var id] && Names.IsName(host) && Names.IsName(id) ? host : null;

    // The "host" of an object, which must be there once: of two, programs would choose differently.
    private static string? HostOfRecord(string value)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(value), Strict);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return null;
            string? host = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                // However it is written: programs may not care about the case.
                var isHost = string.Equals(reader.GetString(), "host", StringComparison.OrdinalIgnoreCase);
                reader.Read();
                if (!isHost)
                {
                    reader.Skip();
                    continue;
                }

                if (host is not null || reader.TokenType != JsonTokenType.String) return null;
                host = reader.GetString();
            }

            return host is null || host.Length == 0 || Names.IsName(host) ? reader.Read() ? null : host : null;
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
