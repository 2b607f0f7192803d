using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Cli;
using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Docker;

/// <summary>What <c>docker network create</c> says to the driver: <c>-o KEY=VALUE</c>, --internal.</summary>
internal sealed record DriverOptions
{
    private const string Generic = "com.docker.network.generic";
    private const string InternalKey = "com.docker.network.internal";
    private const string OwnPrefix = "com.docker.";

    /// <summary>Name of the network in the cluster (-o network=NAME); null to take Docker's.</summary>
    public string? Network { get; private init; }

    /// <summary>Its VNI (-o vni=N); null to have it chosen.</summary>
    public uint? Vni { get; private init; }

    /// <summary>MTU of its endpoints in bytes (-o mtu=BYTES); 0 for what fits.</summary>
    public int Mtu { get; private init; }

    /// <summary>Whether containers are to have no way out (--internal).</summary>
    public bool IsInternal { get; private init; }

    /// <summary>Keys of Docker's own that mean nothing here.</summary>
    public IReadOnlyList<string> Ignored { get; private init; } = [];

    /// <summary>Reads them.</summary>
    /// <param name="options">As dockerd sends them; null for none.</param>
    /// <exception cref="CommandRefusedException">A key is unknown, or a value wrong.</exception>
    public static DriverOptions Read(JsonElement? options)
    {
        var (read, errors, ignored) = (new DriverOptions(), new List<string>(), new List<string>());
        if (options is not { ValueKind: JsonValueKind.Object } given) return read;
        if (given.TryGetProperty(InternalKey, out var isInternal)) read = read with { IsInternal = isInternal.ValueKind == JsonValueKind.True };
        if (given.TryGetProperty(Generic, out var generic) && generic.ValueKind == JsonValueKind.Object)
        {
            foreach (var option in generic.EnumerateObject())
            {
                var value = option.Value.ValueKind == JsonValueKind.String ? option.Value.GetString()! : option.Value.GetRawText();
                switch (option.Name)
                {
                    case "network":
                        if (Networks.Names.IsName(value)) read = read with { Network = value };
                        else errors.Add($"-o network={StoreChecks.Show(value)}: must be {Networks.Names.Allowed}");
                        break;
                    case "vni":
                        if (uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var vni) && vni is > 0 and <= DataPlane.Wire.Vni.MaxValue) read = read with { Vni = vni };
                        else errors.Add($"-o vni={StoreChecks.Show(value)}: must be 1 to {DataPlane.Wire.Vni.MaxValue}");
                        break;
                    case "mtu" or "com.docker.network.driver.mtu":
                        if (Words.Number(NetworkRules.MinMtu, NetworkRules.MaxMtu)(value, out var mtu)) read = read with { Mtu = mtu };
                        else errors.Add($"-o {option.Name}={StoreChecks.Show(value)}: must be {NetworkRules.MinMtu} to {NetworkRules.MaxMtu}");
                        break;
                    default:
                        if (option.Name.StartsWith(OwnPrefix, StringComparison.Ordinal)) ignored.Add(option.Name);
                        else errors.Add($"-o {StoreChecks.Show(option.Name)}: unknown; must be one of network, vni, mtu");
                        break;
                }
            }
        }

        return errors.Count == 0 ? read with { Ignored = ignored } : throw new CommandRefusedException(RefusalKind.Invalid, errors);
    }
}
