using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// The records as JSON, which is how they stand in the store: members in snake_case, addresses, MACs and prefixes as text, a VNI as a number. Reading trusts nobody: whatever does not hold a legal record is a fault,
/// never an exception. Members that are not known are passed over, so that a newer version can add some.
/// </summary>
internal static class RecordJson
{
    /// <summary>Addresses of an endpoint, at most.</summary>
    public const int MaxAddresses = 16;

    /// <summary>Aliases of an endpoint, at most.</summary>
    public const int MaxAliases = 16;

    /// <summary>Characters of a note, at most.</summary>
    public const int MaxNoteLength = 255;

    /// <summary>Characters of a location and of a version, at most.</summary>
    public const int MaxLocationLength = 255;

    /// <summary>Writes a record; the same record gives the same text.</summary>
    /// <exception cref="NotSupportedException">Not one of the records of <see cref="RecordContext"/>.</exception>
    public static string Write<T>(T record) => JsonSerializer.Serialize(record, TypeOf<T>());

    /// <summary>Reads a record.</summary>
    /// <param name="text">Anything.</param>
    /// <param name="record">The record, all of it within its limits.</param>
    /// <param name="fault">Why it is none: one line that can be shown.</param>
    public static bool TryRead<T>(string? text, [NotNullWhen(true)] out T? record, [NotNullWhen(false)] out string? fault)
        where T : class
    {
        record = null;
        if (text is null || text.Length > StoreLimits.MaxValueBytes)
        {
            fault = text is null ? "there is no value" : string.Create(CultureInfo.InvariantCulture, $"{text.Length} characters; at most {StoreLimits.MaxValueBytes} are allowed");
            return false;
        }

        try
        {
            record = JsonSerializer.Deserialize(text, TypeOf<T>());
            fault = record is null ? "null is no record" : null;
        }
        catch (Exception failure) when (failure is JsonException or ArgumentException or InvalidOperationException or FormatException or NotSupportedException)
        {
            // The last of them: a record of a type with a member that the source generator does not take.
            fault = OnOneLine(failure.Message);
        }

        if (record is not null)
        {
            record = (T)Complete(record);
            fault = Check(record);
        }

        if (fault is not null) record = null;
        return fault is null && record is not null;
    }

    /// <summary>What is wrong with an endpoint besides its addresses' place in a network; null if nothing is.</summary>
    public static string? Check(EndpointRecord endpoint)
    {
        if (!Names.IsName(endpoint.Id)) return $"id {Shorten(endpoint.Id)}: must be {Names.Allowed}";
        if (!endpoint.Mac.IsValidSource) return $"mac {endpoint.Mac}: must be a unicast MAC";
        if (endpoint.Name.Length > 0 && !Names.IsName(endpoint.Name)) return $"name {Shorten(endpoint.Name)}: must be {Names.Allowed}";
        if (endpoint.Aliases.Count > MaxAliases) return Line($"aliases: {endpoint.Aliases.Count}; at most {MaxAliases} are allowed");
        foreach (var alias in endpoint.Aliases)
            if (!Names.IsName(alias)) return $"alias {Shorten(alias)}: must be {Names.Allowed}";
        if (endpoint.Addresses.Count > MaxAddresses) return Line($"addresses: {endpoint.Addresses.Count}; at most {MaxAddresses} are allowed");
        for (var i = 0; i < endpoint.Addresses.Count; i++)
        {
            if (!IsStation(endpoint.Addresses[i])) return $"address {endpoint.Addresses[i]}: must be a unicast address";
            for (var j = 0; j < i; j++)
                if (endpoint.Addresses[i] == endpoint.Addresses[j]) return $"address {endpoint.Addresses[i]}: stands there twice";
        }

        if (!IsStation(endpoint.Vtep)) return $"vtep {endpoint.Vtep}: must be a unicast address";
        return endpoint.Generation < 0 ? Line($"generation {endpoint.Generation}: must not be negative") : null;
    }

    /// <summary>Whether one host can have it, and others reach it without naming an interface.</summary>
    public static bool IsStation(InternetAddress address) => address is { IsMulticast: false, IsUnspecified: false, IsIPv4Broadcast: false, IsIPv6LinkLocal: false, IsLoopback: false };

    private static JsonTypeInfo<T> TypeOf<T>() =>
        RecordContext.Default.GetTypeInfo(typeof(T)) as JsonTypeInfo<T> ?? throw new NotSupportedException($"{typeof(T).Name} is not among the records of {nameof(RecordContext)}");

    // A member that is left out has its default, which the source generator would have be null.
    private static object Complete(object record) => record switch
    {
        PeerRecord peer => peer with { Version = peer.Version ?? "", Location = peer.Location ?? "" },
        NetworkRecord network => network with { Subnets = network.Subnets ?? [], Gateways = network.Gateways ?? [], Plan = network.Plan ?? "", Labels = Sorted(network.Labels) },
        MemberRecord member => member with { Subnets = member.Subnets ?? [] },
        EndpointRecord endpoint => endpoint with { Name = endpoint.Name ?? "", Aliases = endpoint.Aliases ?? [], Addresses = endpoint.Addresses ?? [] },
        AddressRecord address => address with { Note = address.Note ?? "" },
        _ => record,
    };

    private static SortedDictionary<string, string> Sorted(IReadOnlyDictionary<string, string>? labels)
    {
        var sorted = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in labels ?? new Dictionary<string, string>()) sorted[key] = value ?? "";
        return sorted;
    }

    private static string? Check(object record) => record switch
    {
        PeerRecord peer => Check(peer),
        NetworkRecord network => Check(network),
        MemberRecord member => Check(member),
        EndpointRecord endpoint => endpoint.Aliases.Any(static alias => alias is null) ? "aliases: null is no name" : Check(endpoint),
        AddressRecord address => Check(address),
        BlockRecord block => Names.IsName(block.Host) ? null : $"host {Shorten(block.Host)}: must be {Names.Allowed}",
        _ => null,
    };

    private static string? Check(PeerRecord peer)
    {
        if (!Names.IsName(peer.Name)) return $"name {Shorten(peer.Name)}: must be {Names.Allowed}";
        if (!IsStation(peer.Local)) return $"local {peer.Local}: must be a unicast address";
        if (peer.Port == 0) return "port 0: must be 1 to 65535";
        if (!IsShortText(peer.Version, MaxLocationLength)) return Line($"version: must be text of at most {MaxLocationLength} characters");
        if (!IsShortText(peer.Location, MaxLocationLength)) return Line($"location: must be text of at most {MaxLocationLength} characters");
        return peer.Generation < 0 ? Line($"generation {peer.Generation}: must not be negative") : null;
    }

    private static string? Check(NetworkRecord network)
    {
        if (network.Id is not { Length: 16 } || !network.Id.All(char.IsAsciiHexDigitLower)) return $"id {Shorten(network.Id)}: must be 16 lower-case hexadecimal digits";
        return NetworkRules.Errors(network).Concat(RoutedRules.HostErrors(network)).FirstOrDefault();
    }

    private static string? Check(MemberRecord member)
    {
        if (!IsStation(member.Vtep)) return $"vtep {member.Vtep}: must be a unicast address";
        if (member.Port == 0) return "port 0: must be 1 to 65535";
        if (member.Mac is { IsValidSource: false } mac) return $"mac {mac}: must be a unicast MAC";
        if (member.Subnets.Count > NetworkRules.MaxSubnets) return Line($"subnets: {member.Subnets.Count}; at most {NetworkRules.MaxSubnets} are allowed");
        foreach (var subnet in member.Subnets)
            if (!subnet.IsNetwork() || subnet.Length == 0 || subnet.Address.IsMulticast) return $"subnet {subnet}: must be ADDRESS/LENGTH with zero host bits";
        return null;
    }

    private static string? Check(AddressRecord address)
    {
        if (address.Host is null || (address.Host.Length > 0 && !Names.IsName(address.Host))) return $"host {Shorten(address.Host)}: must be empty, or {Names.Allowed}";
        if (address.Endpoint is null || (address.Endpoint.Length > 0 && !Names.IsName(address.Endpoint))) return $"endpoint {Shorten(address.Endpoint)}: must be empty, or {Names.Allowed}";
        if (address.Why is not (AddressRecord.OfEndpoint or AddressRecord.OfGateway or AddressRecord.OfReservation)) return $"why {Shorten(address.Why)}: must be endpoint, gateway or reserved";
        if (address.Why == AddressRecord.OfEndpoint && (address.Host.Length == 0 || address.Endpoint.Length == 0)) return "an endpoint's address: must name host and endpoint";
        return IsShortText(address.Note, MaxNoteLength) ? null : Line($"note: must be text of at most {MaxNoteLength} characters");
    }

    private static bool IsShortText(string text, int limit) => text.Length <= limit && NetworkRules.IsText(text);

    private static string Shorten(string? text) => text is null ? "(none)" : OnOneLine(text.Length <= 80 ? text : text[..80]);

    private static string OnOneLine(string text) => string.Concat(text.Take(300).Select(static c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));

    private static string Line(FormattableString line) => line.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Every record that stands in the store.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 8,
    Converters = [typeof(MacText), typeof(AddressText), typeof(PrefixText), typeof(VniNumber), typeof(ModeText)])]
[JsonSerializable(typeof(PeerRecord))]
[JsonSerializable(typeof(NetworkRecord))]
[JsonSerializable(typeof(MemberRecord))]
[JsonSerializable(typeof(EndpointRecord))]
[JsonSerializable(typeof(AddressRecord))]
[JsonSerializable(typeof(BlockRecord))]
internal sealed partial class RecordContext : JsonSerializerContext;

/// <summary>A value that stands as text.</summary>
internal abstract class ValueText<T> : JsonConverter<T>
{
    // The longest there is: an IPv6 prefix, /128 and all.
    private const int MaxLength = 49;

    /// <summary>What it must be, for the fault.</summary>
    protected abstract string Allowed { get; }

    /// <summary>Reads it.</summary>
    protected abstract bool TryParse(string text, out T value);

    /// <summary>Writes it.</summary>
    protected abstract string Format(T value);

    /// <inheritdoc/>
    public sealed override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String || reader.ValueSpan.Length > MaxLength) throw new JsonException($"must be {Allowed}");
        return reader.GetString() is { } text && TryParse(text, out var value) ? value : throw new JsonException($"must be {Allowed}");
    }

    /// <inheritdoc/>
    public sealed override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(Format(value));
}

/// <summary>A MAC as iproute2 prints it.</summary>
internal sealed class MacText : ValueText<MacAddress>
{
    /// <inheritdoc/>
    protected override string Allowed => "a MAC such as 02:00:00:00:00:01";

    /// <inheritdoc/>
    protected override bool TryParse(string text, out MacAddress value) => MacAddress.TryParse(text, out value);

    /// <inheritdoc/>
    protected override string Format(MacAddress value) => value.ToString();
}

/// <summary>An IPv4 or IPv6 address.</summary>
internal sealed class AddressText : ValueText<InternetAddress>
{
    /// <inheritdoc/>
    protected override string Allowed => "an IPv4 or IPv6 address";

    /// <inheritdoc/>
    protected override bool TryParse(string text, out InternetAddress value) => InternetAddress.TryParse(text, out value);

    /// <inheritdoc/>
    protected override string Format(InternetAddress value) => value.ToString();
}

/// <summary>ADDRESS/LENGTH.</summary>
internal sealed class PrefixText : ValueText<AddressPrefix>
{
    /// <inheritdoc/>
    protected override string Allowed => "ADDRESS/LENGTH";

    /// <inheritdoc/>
    protected override bool TryParse(string text, out AddressPrefix value) => AddressPrefix.TryParse(text, out value);

    /// <inheritdoc/>
    protected override string Format(AddressPrefix value) => value.ToString();
}

/// <summary>A mode as options name it.</summary>
internal sealed class ModeText : ValueText<NetworkMode>
{
    /// <inheritdoc/>
    protected override string Allowed => "bridged or routed";

    /// <inheritdoc/>
    protected override bool TryParse(string text, out NetworkMode value)
    {
        value = text == "routed" ? NetworkMode.Routed : NetworkMode.Bridged;
        return text is "bridged" or "routed";
    }

    /// <inheritdoc/>
    protected override string Format(NetworkMode value) => value == NetworkMode.Routed ? "routed" : "bridged";
}

/// <summary>A VNI as a number.</summary>
internal sealed class VniNumber : JsonConverter<Vni>
{
    /// <inheritdoc/>
    public override Vni Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetUInt32(out var value) && value <= Vni.MaxValue
            ? new Vni(value)
            : throw new JsonException($"must be a number up to {Vni.MaxValue.ToString(CultureInfo.InvariantCulture)}");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Vni value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Value);
}
