using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>No tunnel at all: the overlay address on the underlay device. What the machine could do.</summary>
internal sealed class VethEnd(Host host, int underlayMtu) : TunnelEnd(host, underlayMtu)
{
    /// <inheritdoc/>
    public override string Device => "eth0";

    /// <inheritdoc/>
    public override void Start() => Host.Ip("addr", "add", $"{Host.Overlay}/24", "dev", Device);
}
