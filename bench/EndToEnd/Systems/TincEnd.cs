using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>
/// tinc 1.0 in switch mode without cipher and digest: the best-known user-space tunnel for Ethernet. Frames go by UDP from the start
/// (PMTUDiscovery off); with discovery on it would carry the first seconds over TCP.
/// </summary>
internal sealed class TincEnd(Host host, int underlayMtu) : TunnelEnd(host, underlayMtu)
{
    // Debian's build takes frames of up to 1518 bytes, whatever the underlay could carry.
    private const int Mtu = 1500 - Overhead;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public override string? ReadDetail() => UnderlayMtu > 1500 ? $"overlay MTU {Mtu}: Debian's tinc takes no larger frames" : null;

    /// <inheritdoc/>
    public override void Prepare()
    {
        if (Directory.Exists(FolderOf(Host))) Directory.Delete(FolderOf(Host), recursive: true);
        Directory.CreateDirectory($"{FolderOf(Host)}/hosts");
        List<string> lines = [$"Name = {Host.Name}", "Mode = switch", "DeviceType = tap", $"Interface = {Device}", "AddressFamily = ipv4"];
        // One dials the other, so that there is one connection.
        if (Host == Host.Left) lines.Add($"ConnectTo = {Host.Peer.Name}");
        File.WriteAllLines($"{FolderOf(Host)}/tinc.conf", lines);
        File.WriteAllLines(HostFile(Host, Host), [$"Address = {Host.Underlay}", "Cipher = none", "Digest = none", "Compression = 0", "PMTUDiscovery = no"]);
        Command.Run("tincd", "-c", FolderOf(Host), "-K1024");
        if (!File.Exists(HostFile(Host.Peer, Host.Peer))) return;
        // The second to be prepared introduces both.
        File.Copy(HostFile(Host, Host), HostFile(Host.Peer, Host), overwrite: true);
        File.Copy(HostFile(Host.Peer, Host.Peer), HostFile(Host, Host.Peer), overwrite: true);
    }

    /// <inheritdoc/>
    public override void Start()
    {
        var daemon = Run("tincd", "-c", FolderOf(Host), $"--pidfile={FolderOf(Host)}/pid", "-D", "-d1");
        daemon.WaitFor("Ready", StartLimit);
        Host.Ip("link", "set", Device, "mtu", $"{Mtu}");
        Address(Device);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        if (Directory.Exists(FolderOf(Host))) Directory.Delete(FolderOf(Host), recursive: true);
    }

    private static string FolderOf(Host host) => $"/run/tinc-{host.Name}";

    private static string HostFile(Host on, Host of) => $"{FolderOf(on)}/hosts/{of.Name}";
}
