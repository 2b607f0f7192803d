using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>Which MTU each TAP gets; segments with the same remotes share one answer of the kernel.</summary>
internal sealed class MtuFinder(RouteNetlink host, InternetAddress local, int linkIndex, StderrLogger logger)
{
    private readonly Dictionary<string, OverlayMtu> _found = [];
    private readonly HashSet<UnreachableRemote> _told = [];

    /// <summary>The MTU of a segment's TAP, and where the number comes from.</summary>
    public (int Mtu, string Source) Find(UpSegment segment)
    {
        if (segment.Mtu is { } given) return (given, "--mtu");
        var key = string.Join(' ', segment.Remotes);
        if (!_found.TryGetValue(key, out var found))
        {
            _found[key] = found = OverlayMtu.Find(host, local, segment.Remotes, linkIndex);
            foreach (var unreachable in found.Unreachable.Where(_told.Add))
                logger.Say($"{unreachable} (frames for it are dropped and counted until there is one)");
        }

        return (found.Mtu, found.Source);
    }
}
