using System.Text.Json;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cni;

/// <summary>An interface of a result.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Mac">Its MAC; "" if it is not known.</param>
/// <param name="Sandbox">Path of its namespace; "" for the host's.</param>
/// <param name="Mtu">Its MTU in bytes; 0 if it is not known.</param>
internal sealed record CniInterface(string Name, string Mac, string Sandbox, int Mtu);

/// <summary>An address of a result.</summary>
/// <param name="Prefix">The address, with the length of its network.</param>
/// <param name="Gateway">Its router; null for none.</param>
/// <param name="Interface">Number of its interface in the result; null if it is not said.</param>
internal sealed record CniAddress(AddressPrefix Prefix, InternetAddress? Gateway, int? Interface);

/// <summary>A route of a result.</summary>
/// <param name="Destination">Where to.</param>
/// <param name="Gateway">By which router; null for that of the address of its family.</param>
internal sealed record CniRoute(AddressPrefix Destination, InternetAddress? Gateway);

/// <summary>What a plugin answers to ADD, and what comes in as prevResult and from IPAM plugins (specification, section "ADD Success").</summary>
internal sealed record CniResult
{
    private const string AddressAllowed = "an address with the length of its network, such as 10.1.0.2/24";
    private const string RouterAllowed = "an IPv4 or IPv6 address";

    /// <summary>The interfaces.</summary>
    public IReadOnlyList<CniInterface> Interfaces { get; init; } = [];

    /// <summary>The addresses.</summary>
    public IReadOnlyList<CniAddress> Addresses { get; init; } = [];

    /// <summary>The routes.</summary>
    public IReadOnlyList<CniRoute> Routes { get; init; } = [];

    /// <summary>What it says about names.</summary>
    public CniDns Dns { get; init; } = new();

    /// <summary>Reads prevResult; null if there is none.</summary>
    /// <exception cref="CniFault">It is wrong.</exception>
    public static CniResult? ReadPrevious(JsonElement root) => new CniNode(root, "").Object("prevResult") is { } node ? Read(node) : null;

    /// <summary>Reads a result.</summary>
    /// <exception cref="CniFault">It is wrong.</exception>
    public static CniResult Read(CniNode node)
    {
        var interfaces = new List<CniInterface>();
        foreach (var each in node.Objects("interfaces"))
            interfaces.Add(new CniInterface(each.Text("name") ?? "", each.Text("mac") ?? "", each.Text("sandbox") ?? "", (int)(each.Number("mtu", 0, int.MaxValue) ?? 0)));
        var addresses = new List<CniAddress>();
        foreach (var each in node.Objects("ips"))
        {
            var text = each.Text("address") ?? throw each.Missing("address", AddressAllowed);
            if (!text.Contains('/', StringComparison.Ordinal) || !AddressPrefix.TryParse(text, out var prefix)) throw each.Wrong("address", text, AddressAllowed);
            addresses.Add(new CniAddress(prefix, Router(each, "gateway"), (int?)each.Number("interface", -1, int.MaxValue)));
        }

        var routes = new List<CniRoute>();
        foreach (var each in node.Objects("routes"))
        {
            var text = each.Text("dst") ?? throw each.Missing("dst", AddressAllowed);
            if (!AddressPrefix.TryParse(text, out var prefix)) throw each.Wrong("dst", text, AddressAllowed);
            routes.Add(new CniRoute(prefix, Router(each, "gw")));
        }

        return new CniResult { Interfaces = interfaces, Addresses = addresses, Routes = routes, Dns = CniDns.Read(node.Object("dns")) ?? new CniDns() };
    }

    private static InternetAddress? Router(CniNode node, string key)
    {
        if (node.Text(key) is not { Length: > 0 } text) return null;
        return InternetAddress.TryParse(text, out var address) ? address : throw node.Wrong(key, text, RouterAllowed);
    }

    /// <summary>This, and what another plugin of the chain has added before.</summary>
    public CniResult After(CniResult? before)
    {
        if (before is null) return this;
        var shift = before.Interfaces.Count;
        return new CniResult
        {
            Interfaces = [.. before.Interfaces, .. Interfaces],
            Addresses = [.. before.Addresses, .. Addresses.Select(address => address with { Interface = address.Interface + shift })],
            Routes = [.. before.Routes, .. Routes],
            Dns = before.Dns.IsEmpty ? Dns : before.Dns,
        };
    }

    /// <summary>The result as it is answered in a version.</summary>
    public byte[] Write(string version)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion", version);
            WriteInterfaces(json, version);
            WriteAddresses(json, version);
            WriteRoutes(json);
            WriteDns(json);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private void WriteInterfaces(Utf8JsonWriter json, string version)
    {
        if (Interfaces.Count == 0) return;
        json.WriteStartArray("interfaces");
        foreach (var each in Interfaces)
        {
            json.WriteStartObject();
            json.WriteString("name", each.Name);
            if (each.Mac.Length > 0) json.WriteString("mac", each.Mac);
            if (each.Mtu > 0 && CniVersions.IsAtLeast(version, "1.1.0")) json.WriteNumber("mtu", each.Mtu);
            if (each.Sandbox.Length > 0) json.WriteString("sandbox", each.Sandbox);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteAddresses(Utf8JsonWriter json, string version)
    {
        if (Addresses.Count == 0) return;
        json.WriteStartArray("ips");
        foreach (var each in Addresses)
        {
            json.WriteStartObject();
            // Went with 1.0.0.
            if (!CniVersions.IsAtLeast(version, "1.0.0")) json.WriteString("version", each.Prefix.Address.IsIPv4 ? "4" : "6");
            if (each.Interface is { } number) json.WriteNumber("interface", number);
            json.WriteString("address", each.Prefix.ToString());
            if (each.Gateway is { } gateway) json.WriteString("gateway", gateway.ToString());
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteRoutes(Utf8JsonWriter json)
    {
        if (Routes.Count == 0) return;
        json.WriteStartArray("routes");
        foreach (var each in Routes)
        {
            json.WriteStartObject();
            json.WriteString("dst", each.Destination.ToString());
            if (each.Gateway is { } gateway) json.WriteString("gw", gateway.ToString());
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteDns(Utf8JsonWriter json)
    {
        json.WriteStartObject("dns");
        WriteTexts(json, "nameservers", Dns.Nameservers);
        if (Dns.Domain.Length > 0) json.WriteString("domain", Dns.Domain);
        WriteTexts(json, "search", Dns.Search);
        WriteTexts(json, "options", Dns.Options);
        json.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter json, string key, IReadOnlyList<string> texts)
    {
        if (texts.Count == 0) return;
        json.WriteStartArray(key);
        foreach (var text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
    }
}
