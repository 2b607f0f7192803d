using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>What commands say of networks that are shared with hosts that run no Sleeve.</summary>
internal static class FlannelDraft
{
    /// <summary>Has flannel's configuration say what a network is to be.</summary>
    /// <param name="beside">Opens the cluster's etcd below another prefix; null where the store is none.</param>
    /// <param name="settings">As they were given, with <see cref="NetworkSettingsJson.Flannel"/>.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">Something else was said of what flannel says, or it says nothing that can be done.</exception>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    public static async Task<NetworkSettingsJson> ReadAsync(Func<string, IStore>? beside, NetworkSettingsJson settings, CancellationToken cancellation)
    {
        var root = settings.Flannel!;
        if (!RoutedRules.IsFlannelRoot(root)) throw new CommandRefusedException(RefusalKind.Invalid, [$"flannel: must be {RoutedRules.FlannelAllowed}"]);
        if (settings is not { Vni: null, Subnets: null, Gateways: null, EncapPort: null, Block: null, Blocks: null, Direct: null, Internal: null, Ranges: null, Mode: null or "routed" })
            throw new CommandRefusedException(RefusalKind.Invalid, [$"flannel {root}: says vni, subnet, encap_port, mode, direct and block itself; leave them out"]);
        if (beside is null) throw new CommandRefusedException(RefusalKind.Conflict, [$"flannel {root}: its keys are in etcd, and the store of this daemon is none; start it with store: etcd://..."]);
        await using var store = beside($"/{root.Trim('/')}/");
        var entry = (await store.RangeAsync(FlannelKeys.Config, cancellation)).Entries.FirstOrDefault(static entry => entry.Key == FlannelKeys.Config)
            ?? throw new CommandRefusedException(RefusalKind.Impossible, [$"flannel {root}: there is no /{root.Trim('/')}/{FlannelKeys.Config} in {store.Place}"]);
        if (!FlannelKeys.TryReadConfig(entry.Value, out var config, out var fault)) throw new CommandRefusedException(RefusalKind.Impossible, [$"flannel {root}: its {FlannelKeys.Config} cannot be used: {fault}"]);
        return settings with
        {
            Flannel = $"/{root.Trim('/')}",
            Vni = config.Vni.Value,
            Subnets = [config.Network.ToString()],
            // The kernel's own, which flannel leaves it to.
            EncapPort = config.Port == 0 ? KernelPort : config.Port,
            Mode = "routed",
            Direct = config.IsDirect,
            Block = config.SubnetLength,
        };
    }

    private const int KernelPort = 8472;
}
