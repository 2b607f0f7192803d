using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>Which VTEP of this host is asked to test the path to a remote, and for which segment.</summary>
/// <param name="Socket">Its socket.</param>
/// <param name="Device">The TAP of the segment.</param>
internal sealed record RemoteChoice(string Socket, string Device)
{
    /// <summary>Finds the first segment that has the remote among its VTEPs.</summary>
    /// <param name="sockets">Where to look.</param>
    /// <param name="device">The only segment that is wanted; null for any.</param>
    /// <param name="remote">The remote.</param>
    /// <exception cref="HostException">No segment has it, or no VTEP runs.</exception>
    public static async Task<RemoteChoice> FindAsync(IReadOnlyList<string> sockets, string? device, string remote)
    {
        if (sockets.Count == 0) throw new HostException("no VTEP runs here, and it is one that tests paths: start it with sleeve up (--socket names one elsewhere)");
        HostException? failure = null;
        var known = new SortedSet<string>(StringComparer.Ordinal);
        var own = DoctorRoutes.NetworkNamespaceOf(Environment.ProcessId);
        RemoteChoice? away = null;
        foreach (var socket in sockets)
        {
            using var client = new ApiClient(socket);
            try
            {
                var stats = await client.GetAsync("stats", ApiJson.Default.VtepStatsJson);
                foreach (var segment in stats.Segments.Where(segment => device is null || segment.Ifname == device))
                {
                    if (segment.Remotes.Any(each => each.Dst == remote))
                    {
                        var found = new RemoteChoice(socket, segment.Ifname);
                        if (sockets.Count == 1 || own is null || DoctorRoutes.NetworkNamespaceOf(stats.Pid) is not { } theirs || theirs == own) return found;
                        away ??= found;
                    }

                    known.UnionWith(segment.Remotes.Select(static each => each.Dst));
                }
            }
            catch (HostException unreachable)
            {
                failure = unreachable;
            }
        }

        if (away is not null) return away;
        if (known.Count == 0 && failure is not null) throw failure;
        throw new HostException($"{remote}: is no VTEP of {(device is null ? "any segment here" : device)}; {(known.Count == 0 ? "none is known yet" : $"must be one of {string.Join(", ", known.Take(16))}")} (sleeve fdb append adds one)");
    }
}
