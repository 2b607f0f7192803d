using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What flannel's own configuration says (key <c>config</c> below its prefix, by default /coreos.com/network).</summary>
/// <param name="Network">The pool that hosts get their subnets from.</param>
/// <param name="SubnetLength">Bits of a host's subnet.</param>
/// <param name="Vni">VNI of the vxlan backend; flannel's default is 1.</param>
/// <param name="Port">UDP port; 0 leaves it to the kernel, whose default is 8472.</param>
/// <param name="IsDirect">Hosts on one layer 2 send without encapsulation (DirectRouting).</param>
internal sealed record FlannelConfig(AddressPrefix Network, int SubnetLength, Vni Vni, ushort Port, bool IsDirect);

/// <summary>A host as flannel knows it (key <c>subnets/10.244.1.0-24</c>).</summary>
/// <param name="Subnet">Its subnet, from the key.</param>
/// <param name="Vtep">Address of its VTEP.</param>
/// <param name="Mac">MAC of its vxlan device.</param>
internal sealed record FlannelLease(AddressPrefix Subnet, InternetAddress Vtep, MacAddress Mac);

/// <summary>
/// Reads and writes the keys by which flannel hosts find each other (github.com/flannel-io/flannel, Documentation/configuration.md; backend vxlan), so that a routed network has flannel's kernel hosts as members. What
/// stands in them is hostile until it is read: a fault, never an exception.
/// </summary>
internal static class FlannelKeys
{
    /// <summary>What flannel's keys begin with if nothing else is said there.</summary>
    public const string DefaultRoot = "/coreos.com/network/";

    /// <summary>Its configuration.</summary>
    public const string Config = "config";

    /// <summary>Prefix of the hosts.</summary>
    public const string Subnets = "subnets/";

    private const int MaxBytes = 16 * 1024;
    private const int MaxFaultLength = 300;

    /// <summary>The key of a subnet: a dash stands for the slash.</summary>
    public static string Key(AddressPrefix subnet) => string.Create(CultureInfo.InvariantCulture, $"{Subnets}{subnet.Address}-{subnet.Length}");

    /// <summary>Reads the configuration.</summary>
    public static bool TryReadConfig(string text, out FlannelConfig config, out string? fault)
    {
        config = null!;
        if (!TryParse(text, FlannelJson.Default.FlannelConfigJson, out var json, out fault)) return false;
        if (!AddressPrefix.TryParse(json.Network, out var network) || !network.Address.IsIPv4 || network != network.Network()) return Fail($"Network {json.Network}: must be an IPv4 prefix", out fault);
        if (json.Backend?.Type is not "vxlan") return Fail($"Backend.Type {json.Backend?.Type}: must be vxlan", out fault);
        var length = json.SubnetLen ?? (network.Length < 24 ? 24 : network.Length + 1);
        if (length <= network.Length || length > 30) return Fail($"SubnetLen {length}: must be above that of the network and at most 30", out fault);
        if (json.Backend.Vni is < 0 or > Vni.MaxValue) return Fail($"Backend.VNI {json.Backend.Vni}: must be 0 to {Vni.MaxValue}", out fault);
        if (json.Backend.Port is < 0 or > ushort.MaxValue) return Fail($"Backend.Port {json.Backend.Port}: must be 0 to 65535", out fault);
        config = new FlannelConfig(network, length, new Vni((uint)(json.Backend.Vni ?? 1)), (ushort)(json.Backend.Port ?? 0), json.Backend.DirectRouting ?? false);
        return true;
    }

    /// <summary>Reads a host; the key is without the prefix.</summary>
    public static bool TryReadLease(string key, string text, out FlannelLease lease, out string? fault)
    {
        lease = null!;
        if (!key.StartsWith(Subnets, StringComparison.Ordinal)) return Fail($"{key}: is no subnet", out fault);
        // An IPv6 subnet follows behind an ampersand; its overlay has a vxlan device of its own.
        var name = key[Subnets.Length..].Split('&')[0].Replace('-', '/');
        if (!AddressPrefix.TryParse(name, out var subnet) || !subnet.Address.IsIPv4 || subnet != subnet.Network() || subnet.Length > 30) return Fail($"{key}: is no IPv4 subnet", out fault);
        if (!TryParse(text, FlannelJson.Default.FlannelLeaseJson, out var json, out fault)) return false;
        if (json.BackendType is not "vxlan") return Fail($"BackendType {json.BackendType}: must be vxlan", out fault);
        if (!InternetAddress.TryParse(json.PublicIP, out var vtep) || !vtep.IsIPv4) return Fail($"PublicIP {json.PublicIP}: must be an IPv4 address", out fault);
        if (!MacAddress.TryParse(json.BackendData?.VtepMAC, out var mac) || !mac.IsValidSource) return Fail($"VtepMAC {json.BackendData?.VtepMAC}: must be the MAC of a station", out fault);
        lease = new FlannelLease(subnet, vtep, mac);
        return true;
    }

    /// <summary>Writes a host, as flannel's own hosts read it.</summary>
    public static string WriteLease(FlannelLease lease, Vni vni) =>
        JsonSerializer.Serialize(new FlannelLeaseJson(lease.Vtep.ToString(), "vxlan", new FlannelBackendJson(vni.Value, lease.Mac.ToString())), FlannelJson.Default.FlannelLeaseJson);

    private static bool TryParse<T>(string text, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, out T value, out string? fault)
        where T : class
    {
        value = null!;
        fault = null;
        if (text.Length > MaxBytes) return Fail($"is longer than {MaxBytes} characters", out fault);
        try
        {
            value = JsonSerializer.Deserialize(text, type)!;
        }
        catch (JsonException failure)
        {
            return Fail($"is no JSON of flannel's: {failure.Message}", out fault);
        }

        return value is not null || Fail("is null", out fault);
    }

    // Shown on terminals and in logs, whatever stands in the key.
    private static bool Fail(string why, out string? fault)
    {
        fault = string.Concat(why.Take(MaxFaultLength).Select(static c => char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029' ? '?' : c));
        return false;
    }
}

/// <summary>JSON of flannel's configuration.</summary>
internal sealed record FlannelConfigJson(string? Network, int? SubnetLen, FlannelConfigBackendJson? Backend);

/// <summary>Its backend.</summary>
internal sealed record FlannelConfigBackendJson(string? Type, [property: JsonPropertyName("VNI")] long? Vni, int? Port, bool? DirectRouting = null);

/// <summary>JSON of a host of flannel's.</summary>
internal sealed record FlannelLeaseJson(string? PublicIP, string? BackendType, FlannelBackendJson? BackendData);

/// <summary>Its backend's part.</summary>
internal sealed record FlannelBackendJson([property: JsonPropertyName("VNI")] long? Vni, string? VtepMAC);

/// <summary>Source-generated: nothing is reflected.</summary>
[JsonSerializable(typeof(FlannelConfigJson))]
[JsonSerializable(typeof(FlannelLeaseJson))]
internal sealed partial class FlannelJson : JsonSerializerContext;
