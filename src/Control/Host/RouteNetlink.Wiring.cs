using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <content>What wiring a container takes besides.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>The interfaces that default routes of the main table lead by, of one family; those that lead nowhere (unreachable, prohibit) are none.</summary>
    public IReadOnlyList<int> DefaultRouteLinks(bool isIPv4)
    {
        var links = new List<int>();
        var request = new NetlinkRequest(LibC.RTM_GETROUTE, LibC.NLM_F_DUMP).Struct(new LibC.rtmsg { rtm_family = (byte)(isIPv4 ? LibC.AF_INET : LibC.AF_INET6) });
        var outcome = Query(request, links.Clear, (in message) =>
        {
            if (!ReadMainRoute(in message, out var header, out var attributes) || header.rtm_dst_len != 0) return;
            foreach (var attribute in attributes)
                if (attribute.Type == LibC.RTA_OIF) links.Add(attribute.Int32);
        });
        return outcome.Succeeded ? links : throw HostException.Of("list routes", outcome);
    }
}
