using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>Frames that a segment does not carry, whichever way they go (--inner-vlan, --stp, a network's gateway).</summary>
internal static class FramePolicy
{
    // Bridges send their BPDUs there (IEEE 802.1D, section 7.12.6).
    private static readonly MacAddress BridgeGroup = MacAddress.FromValue(0x0180_C200_0000);

    /// <summary>Why a frame is not carried; null if it is.</summary>
    public static DropReason? Refuse(SegmentOptions options, in InnerHeaders headers) =>
        options.DropTagged && headers.IsTagged ? DropReason.InnerVlan
        : options.DropSpanningTree && headers.Destination == BridgeGroup ? DropReason.SpanningTree
        : options.GatewayMac is { } gateway && (headers.Source == gateway || headers.Destination == gateway) ? DropReason.GatewayMac
        : null;
}
