using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>The kernel's vxlan device: what everything is compared with.</summary>
internal sealed class KernelEnd(Host host, int underlayMtu) : TunnelEnd(host, underlayMtu)
{
    /// <inheritdoc/>
    public override void Start()
    {
        // With "dev" it takes its MTU from the underlay.
        Host.Ip("link", "add", Device, "type", "vxlan", "id", "100", "local", Host.Underlay, "remote", Host.Peer.Underlay, "dstport", "4789", "dev", "eth0");
        Address(Device);
    }

    /// <summary>Makes the device without a remote.</summary>
    /// <param name="words">Further words for <c>ip link add</c>.</param>
    public void StartAlone(params IReadOnlyList<string> words)
    {
        Host.Ip(["link", "add", Device, "type", "vxlan", "id", "100", "local", Host.Underlay, "dstport", "4789", "dev", "eth0", .. words]);
        Address(Device);
    }

    /// <summary>Adds default destinations.</summary>
    public void Append(IEnumerable<string> remotes)
    {
        var file = Path.GetTempFileName();
        File.WriteAllLines(file, remotes.Select(remote => $"fdb append 00:00:00:00:00:00 dev {Device} dst {remote}"));
        Command.Run(Host.Inside("bridge", "-batch", file));
        File.Delete(file);
    }
}
