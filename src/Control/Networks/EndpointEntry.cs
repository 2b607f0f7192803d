using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>How far an endpoint is.</summary>
internal enum EndpointState
{
    /// <summary>It is being attached: after a crash it is undone, since nobody was told that it was done.</summary>
    Attaching,

    /// <summary>It is attached.</summary>
    Attached,

    /// <summary>It is going: its wire is gone or goes at once, what it had in the store as soon as the store is there.</summary>
    Detaching,
}

/// <summary>What an endpoint was asked to be; all of it as text, as it was said.</summary>
/// <param name="Target">What it is attached to, see <see cref="WireTarget"/>.</param>
internal sealed record AttachRequest(string Target)
{
    /// <summary>Its addresses; none to have one chosen of each family.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>Its MAC; "" to have it chosen.</summary>
    public string Mac { get; init; } = "";

    /// <summary>Name of its interface; "" for the first of eth0, eth1 … that is free.</summary>
    public string Ifname { get; init; } = "";

    /// <summary>"auto": the network's gateways, where there is no default route yet; "none"; or an address that must become the default route.</summary>
    public string Gateway { get; init; } = "auto";

    /// <summary>Its name; "" without.</summary>
    public string Name { get; init; } = "";

    /// <summary>Other names.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Whether another asks for the same.</summary>
    public bool Equals(AttachRequest? other) => other is not null && Target == other.Target && Mac == other.Mac && Ifname == other.Ifname && Gateway == other.Gateway && Name == other.Name
        && Addresses.SequenceEqual(other.Addresses) && Aliases.SequenceEqual(other.Aliases);

    /// <inheritdoc/>
    public override int GetHashCode() => Target.GetHashCode(StringComparison.Ordinal);
}

/// <summary>An endpoint of this host, as the journal has it.</summary>
internal sealed record EndpointEntry
{
    /// <summary>What names of the near ends of wires begin with.</summary>
    public const string LinkPrefix = "slv";

    /// <summary>Its network, as a <see cref="NetworkRecord"/> in JSON: it is needed before the store can be asked.</summary>
    public required string Network { get; init; }

    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>How far it is.</summary>
    public EndpointState State { get; init; }

    /// <summary>What was asked for.</summary>
    public required AttachRequest Request { get; init; }

    /// <summary>Which namespace it is attached to (<see cref="IEndpointWires.IdentifyAsync"/>).</summary>
    public required string Identity { get; init; }

    /// <summary>Its record as it was published, in JSON; "" before that.</summary>
    public string Endpoint { get; init; } = "";

    /// <summary>Version that it was published in.</summary>
    public long Version { get; init; }

    /// <summary>Name of its interface; "" before it is wired.</summary>
    public string Ifname { get; init; } = "";

    /// <summary>Why it goes, where nobody asked for that; "" otherwise.</summary>
    public string Reason { get; init; } = "";

    /// <summary>The near end of its wire, or its TAP: the same whenever it is asked for, so that a crash can lose no wire.</summary>
    [JsonIgnore]
    public string Link => MachineTap.NameOf(Request.Target) ?? LinkOf(Record!, Id);

    /// <summary>The near end of a wire to a namespace.</summary>
    public static string LinkOf(NetworkRecord network, string id) =>
        $"{LinkPrefix}{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{network.Id}/{id}")).AsSpan(0, 6))}";

    /// <summary>As it is stored.</summary>
    public string Write() => JsonSerializer.Serialize(this, JournalJson.Default.EndpointEntry);

    /// <summary>Reads what was stored; null if it is damaged.</summary>
    public static EndpointEntry? Read(StoredEndpoint stored)
    {
        try
        {
            return JsonSerializer.Deserialize(stored.Json, JournalJson.Default.EndpointEntry) is { Id: var id } entry && id == stored.Id && entry.Record is not null ? entry : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Its network; null if what is stored of it is none.</summary>
    [JsonIgnore]
    public NetworkRecord? Record => RecordJson.TryRead<NetworkRecord>(Network, out var record, out _) ? record : null;

    /// <summary>Its record; null before it was published.</summary>
    [JsonIgnore]
    public EndpointRecord? Published => RecordJson.TryRead<EndpointRecord>(Endpoint, out var record, out _) ? record : null;
}

/// <summary>The journal's JSON, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true)]
[JsonSerializable(typeof(EndpointEntry))]
internal sealed partial class JournalJson : JsonSerializerContext;
