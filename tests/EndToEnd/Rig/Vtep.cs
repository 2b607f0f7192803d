using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A VTEP on a host of the lab, whichever implementation. Its FDB is spoken to in the words of bridge(8), which both understand.</summary>
public abstract class Vtep : IDisposable
{
    /// <summary>Names device and addresses; the implementation makes it.</summary>
    protected Vtep(Host host, VtepOptions options)
    {
        (Host, Options) = (host, options);
        Device = options.Device ?? NameOf(host, options.Vni);
    }

    /// <summary>The all-zeros MAC, key of the replication list.</summary>
    public const string Default = "00:00:00:00:00:00";

    /// <summary>Where it runs.</summary>
    public Host Host { get; }

    /// <summary>What it was made with.</summary>
    public VtepOptions Options { get; }

    /// <summary>The overlay device.</summary>
    public string Device { get; }

    /// <summary>Which implementation.</summary>
    public abstract VtepKind Kind { get; }

    /// <summary>Makes one and waits until frames flow.</summary>
    public static Vtep Start(VtepKind kind, Host host, VtepOptions? options = null) => host.Lab.Own<Vtep>(kind == VtepKind.Kernel
        ? new KernelVtep(host, options ?? new VtepOptions())
        : new SleeveVtep(host, options ?? new VtepOptions()));

    /// <summary>Makes one per segment on a host, all on one UDP port; in the case of Sleeve they are one process.</summary>
    public static IReadOnlyList<Vtep> StartSegments(VtepKind kind, Host host, IReadOnlyList<int> segments, VtepOptions? options = null)
    {
        options ??= new VtepOptions();
        if (kind == VtepKind.Kernel) return [.. segments.Select(vni => Start(kind, host, options with { Vni = vni }))];
        var process = SleeveVtep.StartProcess(host, options, [.. segments.Select(vni => $"{NameOf(host, vni)}:{vni}")]);
        return [.. segments.Select(vni => host.Lab.Own<Vtep>(new SleeveVtep(host, options with { Vni = vni }, process)))];
    }

    /// <summary>A place for raw frames on the device.</summary>
    public RawPort OpenPort() => Host.Lab.Own(new RawPort(Host, Device));

    /// <summary>The whole table, read the quick way.</summary>
    public abstract IReadOnlyList<FdbEntry> Fdb();

    /// <summary>The whole table as its command prints it.</summary>
    public abstract IReadOnlyList<FdbEntry> ShowFdb();

    /// <summary>`fdb add|append|replace|del` with words as bridge(8); whatever comes of it.</summary>
    public abstract CommandResult TryFdb(string verb, string words);

    /// <summary>`fdb add|append|replace|del` with words as bridge(8), which must succeed.</summary>
    public void FdbDo(string verb, string words) => TryFdb(verb, words).Ok();

    /// <summary>Removes the dynamic entries.</summary>
    public abstract void FlushDynamic();

    /// <summary>Adds a permanent neighbour for the proxy; the host's own stack is another matter unless the kernel is both.</summary>
    public abstract void NeighbourAdd(IPAddress address, MacAddress mac);

    /// <summary>Removes a neighbour of the proxy.</summary>
    public abstract void NeighbourRemove(IPAddress address);

    /// <summary>Ends it as its user would.</summary>
    public abstract void Terminate();

    /// <summary>The destinations of a MAC.</summary>
    public IReadOnlyList<FdbEntry> FdbOf(MacAddress mac) => [.. Fdb().Where(e => e.Mac == mac.ToString())];

    /// <summary>Waits until a MAC leads to exactly this host.</summary>
    public void WaitUntilLearned(MacAddress mac, IPAddress at) => Wait.Until(
        () => FdbOf(mac) is [var entry] && entry.Destination == at.ToString(), $"{mac} at {at} in the FDB of {Host.Name}", pollMilliseconds: 50);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Devices have names of their own on every host, as their control sockets share one folder.</summary>
    protected static string NameOf(Host host, int vni) => $"vx{vni}-{host.Name}";

    /// <summary>MTU left by the underlay: 50 bytes less for IPv4, 70 for IPv6.</summary>
    protected int InnerMtu => Options.Mtu ?? (Host.Lab.Family == AddressFamily.InterNetwork ? 1450 : 1430);

    /// <summary>Frees what it holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
