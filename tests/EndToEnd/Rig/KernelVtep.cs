using System.Net;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>The kernel's vxlan device, the outside judge.</summary>
public sealed class KernelVtep : Vtep
{
    internal KernelVtep(Host host, VtepOptions options)
        : base(host, options)
    {
        host.Run($"ip link add {Device} mtu {InnerMtu}{Word("address", options.Mac)}"
            + $" type vxlan id {options.Vni} local {host.Address} dstport {options.Port}"
            + (options.SourcePorts is { } ports ? $" srcport {ports.Min} {ports.Max}" : "")
            + Word("ageing", options.Ageing) + Word("maxaddress", options.MaxAddresses)
            + Flag("learning", options.Learning) + Flag("proxy", options.Proxy) + Flag("udpcsum", options.UdpChecksum)
            + Flag("udp6zerocsumtx", options.ZeroChecksum6Transmit) + Flag("udp6zerocsumrx", options.ZeroChecksum6Receive)
            + (options.Group is null ? "" : $" group {options.Group} dev {Host.UnderlayDevice}")
            + (options.Outer.Length > 0 ? $" {options.Outer}" : "")
            + (options.Misses ? " l2miss l3miss" : "")
            + (options.Gbp is null ? "" : " gbp"));
        foreach (var remote in options.Remotes) FdbDo("append", $"{Default} dev {Device} dst {remote}");
        foreach (var address in options.Addresses) host.Run($"ip addr add {address} dev {Device}");
        if (options.Bridge is not null) host.Run($"ip link set {Device} master {options.Bridge}");
        host.Run($"ip link set {Device} up");
    }

    /// <inheritdoc/>
    public override VtepKind Kind => VtepKind.Kernel;

    /// <inheritdoc/>
    public override IReadOnlyList<FdbEntry> Fdb() =>
        [.. FdbEntry.Read(Host.Run($"bridge -j fdb show dev {Device}")).Where(e => e.Destination is not null)];

    /// <inheritdoc/>
    public override IReadOnlyList<FdbEntry> ShowFdb() => Fdb();

    /// <inheritdoc/>
    public override CommandResult TryFdb(string verb, string words) => Host.Try($"bridge fdb {verb} {words}");

    /// <inheritdoc/>
    public override void FlushDynamic() => Host.Run($"bridge fdb flush dev {Device} self nopermanent nostatic");

    /// <inheritdoc/>
    public override void NeighbourAdd(IPAddress address, MacAddress mac) =>
        Host.Run($"ip neigh replace {address} lladdr {mac} dev {Device} nud permanent");

    /// <inheritdoc/>
    public override void NeighbourRemove(IPAddress address) => Host.Run($"ip neigh del {address} dev {Device}");

    /// <inheritdoc/>
    public override void Terminate() => Host.Run($"ip link del {Device}");

    private static string Word(string name, object? value) => value is null ? "" : $" {name} {value}";

    private static string Flag(string name, bool on) => on ? $" {name}" : $" no{name}";
}
