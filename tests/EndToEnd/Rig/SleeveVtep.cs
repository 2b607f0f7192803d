using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A VTEP run by `sleeve up` in the foreground of a process of its own.</summary>
public sealed class SleeveVtep : Vtep
{
    private readonly bool _sharesProcess;
    private bool _hasEnded;

    internal SleeveVtep(Host host, VtepOptions options)
        : base(host, options) => Process = StartProcess(host, options, [Device, "--vni", $"{options.Vni}"]);

    internal SleeveVtep(Host host, VtepOptions options, BackgroundProcess process)
        : base(host, options) => (Process, _sharesProcess) = (process, true);

    /// <inheritdoc/>
    public override VtepKind Kind => VtepKind.Sleeve;

    /// <summary>The running program.</summary>
    public BackgroundProcess Process { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<FdbEntry> Fdb() => FdbEntry.Read(ControlSocket.Get(Device, $"segments/{Device}/fdb"));

    /// <inheritdoc/>
    public override IReadOnlyList<FdbEntry> ShowFdb() => FdbEntry.Read(SleeveProgram.Run(Host, $"fdb show dev {Device} --json").Ok());

    /// <inheritdoc/>
    public override CommandResult TryFdb(string verb, string words) => SleeveProgram.Run(Host, $"fdb {verb} {words}");

    /// <inheritdoc/>
    public override void FlushDynamic() => SleeveProgram.Run(Host, $"fdb flush dev {Device}").Ok();

    /// <inheritdoc/>
    public override void NeighbourAdd(IPAddress address, MacAddress mac) =>
        SleeveProgram.Run(Host, $"neigh replace {address} lladdr {mac} dev {Device}").Ok();

    /// <inheritdoc/>
    public override void NeighbourRemove(IPAddress address) => SleeveProgram.Run(Host, $"neigh del {address} dev {Device}").Ok();

    /// <summary>Its counters, read the quick way.</summary>
    public SleeveStats Stats() => SleeveStats.Read(ControlSocket.Get(Device, "stats"));

    /// <summary>Its counters as the command prints them.</summary>
    public SleeveStats ShowStats() => SleeveStats.Read(SleeveProgram.Run(Host, $"stats dev {Device} --json").Ok());

    /// <inheritdoc/>
    public override void Terminate()
    {
        _hasEnded = true;
        Process.Signal();
        if (!Process.WaitForExit(Wait.Soon)) throw new TimeoutException($"SIGTERM did not end `{Process.Line}`: {Process.Error}");
        if (Process.ExitCode != 0) throw new CommandFailedException($"SIGTERM ended `{Process.Line}` with {Process.ExitCode}: {Process.Error}");
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (_hasEnded) return;
        var endedByItself = Process.HasExited && !_sharesProcess;
        Process.Signal();
        var ends = Process.WaitForExit(Wait.Soon);
        Host.Lab.Log($"[{Host.Name}] sleeve said: {Process.Error.TrimEnd()}");
        if (endedByItself) throw new CommandFailedException($"`{Process.Line}` ended by itself with {Process.ExitCode}: {Process.Error}");
        if (!ends) throw new CommandFailedException($"SIGTERM did not end `{Process.Line}`: {Process.Error}");
        if (Process.ExitCode != 0) throw new CommandFailedException($"SIGTERM ended `{Process.Line}` with {Process.ExitCode}: {Process.Error}");
    }

    /// <summary>Starts `sleeve up` with these words for device and segment, and the rest from the options.</summary>
    internal static BackgroundProcess StartProcess(Host host, VtepOptions options, IReadOnlyList<string> segments)
    {
        Requirements.Tap();
        if (options.Offload == "tunnel-gso") Requirements.TunnelOffload();
        List<string> words = [.. segments, "--local", $"{host.Address}", "--dstport", $"{options.Port}"];
        foreach (var remote in options.Remotes) words.AddRange(["--remote", $"{remote}"]);
        if (options.SourcePorts is { } ports) words.AddRange(["--srcport", $"{ports.Min}-{ports.Max}"]);
        if (options.Ageing is { } ageing) words.AddRange(["--ageing", $"{ageing}"]);
        if (options.MaxAddresses is { } limit) words.AddRange(["--maxaddress", $"{limit}"]);
        // UDP_SEGMENT needs UDP checksums: without them there is no such way to ask for.
        var hasChecksums = host.Lab.Family == AddressFamily.InterNetwork ? options.UdpChecksum : !options.ZeroChecksum6Transmit;
        if ((options.Offload ?? (hasChecksums ? SleeveProgram.Offload : null)) is { } offload) words.AddRange(["--tx-offload", offload, "--rx-offload", offload == "none" ? "none" : "auto"]);
        words.AddRange(["--workers", $"{options.Workers ?? SleeveProgram.Workers}"]);
        if (options.Mtu is { } mtu) words.AddRange(["--mtu", $"{mtu}"]);
        if (options.Bridge is { } bridge) words.AddRange(["--bridge", bridge]);
        if (options.Mac is { } mac) words.AddRange(["--mac", mac]);
        foreach (var address in options.Addresses) words.AddRange(["--address", address]);
        words.Add(options.Learning ? "--learning" : "--nolearning");
        words.Add(options.ProxyStrict ? "--proxy-strict" : options.Proxy ? "--proxy" : "--noproxy");
        if (options.Misses) words.AddRange(["--l2miss", "--l3miss"]);
        if (host.Lab.Family == AddressFamily.InterNetwork) words.Add(options.UdpChecksum ? "--udpcsum" : "--noudpcsum");
        if (options.ZeroChecksum6Transmit) words.Add("--udp6zerocsumtx");
        if (options.ZeroChecksum6Receive) words.Add("--udp6zerocsumrx");
        if (options.AdmitAny) words.AddRange(["--admit", "any"]);
        if (options.Strict) words.Add("--strict");
        words.AddRange(Command.Split(options.Outer));
        if (options.Group is not null) words.AddRange(["--group", $"{options.Group}", "--dev", Host.UnderlayDevice]);
        if (options.Gbp is not null) words.AddRange(["--gbp", options.Gbp]);
        if (options.GbpAccept is not null) words.AddRange(["--gbp-accept", options.GbpAccept]);
        words.AddRange(options.More);
        return SleeveProgram.Up(host, words);
    }
}
