using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Networks and their addresses as commands ask for them: reads them in the words of the API, and shows them from the copy of the store, which is there also while the store is not.</summary>
/// <param name="store">The store.</param>
/// <param name="replica">The copy of it.</param>
/// <param name="networks">Makes and removes networks.</param>
internal sealed class NetworkDesk(IStore store, Replica replica, NetworkRegistry networks)
{
    private readonly Reservations _reservations = new(store, replica);

    /// <summary>Opens the etcd that is the store below another prefix; null where it is none.</summary>
    public Func<string, IStore>? Beside { get; init; }

    /// <summary>Fills in the hosts that run no Sleeve. Default: none.</summary>
    public Func<NetworkView, NetworkView> Complete { get; init; } = static view => view;

    /// <summary>Why what is shown may be old; null if it is not.</summary>
    public string? Fault => replica.Fault;

    /// <summary>All networks, by name.</summary>
    public IReadOnlyList<NetworkJson> List()
    {
        var view = replica.View;
        return [.. view.Networks.Where(static each => each.Value.Record is not null).OrderBy(static each => each.Key, StringComparer.Ordinal).Select(static each => Show(each.Value))];
    }

    /// <summary>A network with its hosts and endpoints; null if there is none.</summary>
    public NetworkJson? Find(string name)
    {
        if (replica.View.Networks.GetValueOrDefault(name) is not { Record: not null } stored) return null;
        var network = Complete(stored);
        return Show(network) with
        {
            MemberList = [.. network.Members.Values.Concat(network.Foreign.Values).OrderBy(static member => member.Host, StringComparer.Ordinal).Select(member => new NetworkMemberJson(member.Host, member.Value.Vtep.ToString(), member.Value.Port, member.Version)
            {
                By = !network.Foreign.ContainsKey(member.Host) ? null : member.Host.StartsWith(ForeignHosts.FlannelPrefix, StringComparison.Ordinal) ? "flannel" : "hand",
                Mac = member.Value.Mac?.ToString(),
                Subnets = member.Value.Subnets.Count == 0 ? null : [.. member.Value.Subnets.Select(static subnet => subnet.ToString())],
            })],
            EndpointList = [.. network.Endpoints.Values.OrderBy(static each => each.Host, StringComparer.Ordinal).ThenBy(static each => each.Value.Id, StringComparer.Ordinal).Select(static each =>
                new NetworkEndpointJson(each.Host, each.Value.Id, each.Value.Mac.ToString(), [.. each.Value.Addresses.Select(static address => address.ToString())], each.Value.Vtep.ToString(), each.Version)
                {
                    Name = each.Value.Name.Length == 0 ? null : each.Value.Name,
                    Aliases = each.Value.Aliases.Count == 0 ? null : each.Value.Aliases,
                })],
        };
    }

    /// <summary>Makes a network; one that is just as it is asked for is what was asked for.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="settings">What it is to be.</param>
    /// <param name="mustBeNew">Refuse if there is one.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">Not like that.</exception>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    public async Task<NetworkJson> PutAsync(string name, NetworkSettingsJson settings, bool mustBeNew, CancellationToken cancellation)
    {
        if (settings.Flannel is not null) settings = await FlannelDraft.ReadAsync(Beside, settings, cancellation);
        var draft = Read(name, settings);
        if (!mustBeNew && replica.View.Networks.GetValueOrDefault(name)?.Record is { } there && IsSame(there.Value, draft, settings)) return Show(replica.View.Networks[name]);
        var made = await networks.CreateAsync(draft, settings.Vni is null, cancellation);
        return Show(new NetworkView { Record = made });
    }

    /// <summary>Removes a network; one that is not there is no error.</summary>
    public Task RemoveAsync(string name, bool force, CancellationToken cancellation) => networks.RemoveAsync(name, force, cancellation);

    /// <summary>Has a network have these labels and no others.</summary>
    public async Task<NetworkJson> LabelAsync(string name, IReadOnlyDictionary<string, string> labels, CancellationToken cancellation)
    {
        var labelled = await networks.SetLabelsAsync(name, labels, cancellation);
        return Show((replica.View.Networks.GetValueOrDefault(name) ?? NetworkView.Nobody) with { Record = labelled });
    }

    /// <summary>Enters a host that runs no Sleeve into a routed network, or changes what is entered.</summary>
    public Task PutHostAsync(string network, string host, NetworkHostJson settings, CancellationToken cancellation) =>
        networks.SetHostAsync(network, host, ForeignHosts.Read(host, settings), cancellation);

    /// <summary>Takes it out; one that is not there is no error.</summary>
    public Task RemoveHostAsync(string network, string host, CancellationToken cancellation) => networks.SetHostAsync(network, host, null, cancellation);

    /// <summary>Keeps an address from being given out.</summary>
    public Task ReserveAsync(string network, InternetAddress address, string note, CancellationToken cancellation) => _reservations.ReserveAsync(network, address, note, cancellation);

    /// <summary>Ends that.</summary>
    public Task ReleaseAsync(string network, InternetAddress address, CancellationToken cancellation) => _reservations.ReleaseAsync(network, address, cancellation);

    /// <summary>The use of all pools.</summary>
    public IReadOnlyList<PoolJson> Pools() =>
        [.. replica.View.Networks.Values.Where(static network => network.Record is not null).OrderBy(static network => network.Record!.Value.Name, StringComparer.Ordinal).SelectMany(static network => PoolUse.Of(network, isDetailed: false))];

    /// <summary>The use of a network's pools, block by block; null if there is no such network.</summary>
    public IReadOnlyList<PoolJson>? PoolsOf(string name) =>
        replica.View.Networks.GetValueOrDefault(name) is { Record: not null } network ? [.. PoolUse.Of(network, isDetailed: true)] : null;

    private static NetworkJson Show(NetworkView network)
    {
        var record = network.Record!;
        var value = record.Value;
        return new NetworkJson(
            value.Name, value.Id, value.Vni.Value, [.. value.Subnets.Select(static subnet => subnet.ToString())], [.. value.Gateways.Select(static gateway => gateway.ToString())],
            value.Mode == NetworkMode.Routed ? "routed" : "bridged", record.Version, network.Members.Count, network.Endpoints.Count)
        {
            Mtu = value.Mtu == 0 ? null : value.Mtu,
            EncapPort = value.Port == 0 ? null : value.Port,
            Direct = value.Mode == NetworkMode.Routed ? value.IsDirect : null,
            Block = value.BlockLength == 0 ? null : value.BlockLength,
            Blocks = value.Plan.Length == 0 ? null : value.Plan,
            Internal = value.IsInternal ? true : null,
            Ranges = value.Ranges?.Select(static range => range.ToString()).ToArray(),
            Flannel = value.Flannel,
            Labels = value.Labels.Count == 0 ? null : value.Labels,
        };
    }

    // Nothing that was asked for is different; what was left out may be anything.
    private static bool IsSame(NetworkRecord there, NetworkRecord draft, NetworkSettingsJson settings) =>
        RecordJson.Write(there) == RecordJson.Write(draft with
        {
            Id = there.Id,
            Hosts = there.Hosts,
            Vni = settings.Vni is null ? there.Vni : draft.Vni,
            Gateways = draft.Gateways.Count == 0 ? there.Gateways : draft.Gateways,
            Labels = settings.Labels is null ? there.Labels : draft.Labels,
        });

    private static NetworkRecord Read(string name, NetworkSettingsJson settings)
    {
        var errors = new List<string>();
        if (settings.Vni is { } vni && vni is < 1 or > Vni.MaxValue) errors.Add(Line($"vni {settings.Vni}: must be 1 to {Vni.MaxValue}"));
        if (settings.EncapPort is < 1 or > 65535) errors.Add(Line($"encap_port {settings.EncapPort}: must be 1 to 65535"));
        if (settings.Mode is not (null or "bridged" or "routed")) errors.Add($"mode {Shorten(settings.Mode)}: must be bridged or routed");
        if (settings.Subnets?.Count > NetworkRules.MaxSubnets) errors.Add(Line($"subnets: {settings.Subnets.Count} given; at most {NetworkRules.MaxSubnets} are allowed"));
        var subnets = ReadAll<AddressPrefix>(settings.Subnets, "subnets", NetworkRules.SubnetAllowed, AddressPrefix.TryParse, errors);
        if (settings.Ranges?.Count > NetworkRules.MaxSubnets) errors.Add(Line($"ranges: {settings.Ranges.Count} given; at most {NetworkRules.MaxSubnets} are allowed"));
        var ranges = ReadAll<AddressPrefix>(settings.Ranges, "ranges", "ADDRESS/LENGTH within a subnet", AddressPrefix.TryParse, errors);
        var gateways = ReadAll<InternetAddress>(settings.Gateways, "gateways", "an address of a subnet", InternetAddress.TryParse, errors);
        foreach (var (key, value) in settings.Labels ?? new Dictionary<string, string>())
            if (value is null) errors.Add($"labels {Shorten(key)}: must have a value");
        if (settings.Mtu is < 0) errors.Add(Line($"mtu {settings.Mtu}: must be {NetworkRules.MinMtu} to {NetworkRules.MaxMtu}"));
        if (errors.Count > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        return new NetworkRecord(name, "", new Vni((uint)(settings.Vni ?? 0)))
        {
            Subnets = subnets,
            Gateways = gateways,
            Mtu = settings.Mtu ?? 0,
            Port = (ushort)(settings.EncapPort ?? 0),
            Mode = settings.Mode == "routed" ? NetworkMode.Routed : NetworkMode.Bridged,
            IsDirect = settings.Direct ?? false,
            BlockLength = settings.Block ?? 0,
            Plan = settings.Blocks ?? "",
            IsInternal = settings.Internal ?? false,
            Ranges = settings.Ranges is null ? null : ranges,
            Flannel = settings.Flannel,
            Labels = new SortedDictionary<string, string>((settings.Labels ?? new Dictionary<string, string>()).ToDictionary(), StringComparer.Ordinal),
        };
    }

    private delegate bool TryRead<T>(string? text, out T value);

    private static List<T> ReadAll<T>(IReadOnlyList<string>? texts, string key, string allowed, TryRead<T> read, List<string> errors)
    {
        var values = new List<T>();
        foreach (var text in texts ?? [])
        {
            if (read(text, out var value)) values.Add(value);
            else errors.Add($"{key} {Shorten(text)}: must be {allowed}");
        }

        return values;
    }

    private static string Shorten(string? text) => text is null ? "null" : text.Length <= 80 ? text : text[..80] + "…";

    private static string Line(FormattableString line) => line.ToString(CultureInfo.InvariantCulture);
}
