using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>How each guard rail is met exactly once.</summary>
internal static class GuardProvocation
{
    private const ulong Station = 0x0200_0000_0011;

    internal static SegmentOptions Prepare(SegmentOptions options, DropReason reason) => reason switch
    {
        DropReason.FloodLimit => options with { Guards = new GuardOptions { FloodPerStation = 1 } },
        DropReason.RequestLimit => options with { Guards = new GuardOptions { Requests = 1 } },
        DropReason.MoveHeld => options with { Guards = new GuardOptions { Moves = 2 } },
        DropReason.InnerVlan => options with { DropTagged = true },
        DropReason.SpanningTree => options with { DropSpanningTree = true },
        DropReason.Unanswered => options with { Proxy = true, ProxyStrict = true },
        DropReason.UnknownUnicast => options with { SuppressUnknown = true },
        DropReason.ResolutionSuppressed => options with { SuppressResolution = true },
        DropReason.GatewayMac => options with { GatewayMac = MacAddress.FromValue(Station) },
        _ => options,
    };

    internal static bool TryProvoke(Host host, DropReason reason)
    {
        var request = Craft.Ethernet(Craft.Broadcast, Station, 0x0806, Craft.Arp(1, Station, 0x0A010001, 0, 0x0A010002));
        host.FloodTo(2, 3);
        switch (reason)
        {
            // Two at once is twice the rate.
            case DropReason.FloodLimit or DropReason.RequestLimit:
                host.Send(request, request, request);
                return true;
            case DropReason.MoveHeld:
                foreach (var vtep in (ReadOnlySpan<int>)[2, 3, 2, 3]) host.Receive(vtep, Craft.Vxlan(100, request));
                return true;
            case DropReason.InnerVlan:
                host.Send(Craft.Tagged(Craft.Broadcast, Station, [(0x8100, 5)], 0x88B5, Craft.Fill(46)));
                return true;
            case DropReason.SpanningTree:
                host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(0x0180_C200_0000, Station, 38, Craft.Fill(46))));
                return true;
            case DropReason.UnknownUnicast:
                host.Send(Craft.Ethernet(Station + 1, Station, 0x88B5, Craft.Fill(46)));
                return true;
            case DropReason.Unanswered or DropReason.ResolutionSuppressed or DropReason.GatewayMac:
                host.Send(request);
                return true;
            default:
                return false;
        }
    }
}
