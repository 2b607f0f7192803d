using Sleeve.Control.Api;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor;

/// <summary>What is examined: a host as its network namespace shows it, and the VTEPs that run in it.</summary>
/// <param name="Host">The host.</param>
/// <param name="Vteps">Its VTEPs.</param>
internal sealed record Patient(HostFacts Host, IReadOnlyList<VtepFacts> Vteps);

/// <summary>What is known of a host. The functions ask it when a check wants to know.</summary>
internal sealed record HostFacts
{
    /// <summary>Text of a file under /proc or /sys; null if it is not there or may not be read.</summary>
    public required Func<string, string?> Read { get; init; }

    /// <summary>Every interface.</summary>
    public IReadOnlyList<LinkFact> Links { get; init; } = [];

    /// <summary>How the host would send: destination, source (null for any), interface (0 for any); null if there is no route.</summary>
    public Func<InternetAddress, InternetAddress?, int, RouteFact?> Route { get; init; } = static (_, _, _) => null;

    /// <summary>Who has a UDP port, in the words of <see cref="Control.Host.UdpPortHolder"/>; null if nobody.</summary>
    public Func<int, string?> PortHolder { get; init; } = static _ => null;

    /// <summary>Why /dev/net/tun cannot be opened, one of LibC.E…; 0 if it can.</summary>
    public int TunErrno { get; init; }

    /// <summary>What filters packets.</summary>
    public FirewallFacts Firewall { get; init; } = new(null, null, null, null);

    /// <summary>The clock.</summary>
    public ClockFacts Clock { get; init; } = new(null, 0, false);

    /// <summary>A file that holds one number; null if there is none.</summary>
    public long? ReadNumber(string path) => long.TryParse(Read(path)?.Trim(), out var number) ? number : null;

    /// <summary>Which interface has an index; null if none has.</summary>
    public LinkFact? LinkOf(int index) => Links.FirstOrDefault(link => link.Index == index);
}

/// <summary>An interface.</summary>
/// <param name="Index">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="IsUp">Set up.</param>
/// <param name="IsRunning">Up with something at its other end.</param>
/// <param name="MasterIndex">The bridge it is a port of; 0 for none.</param>
/// <param name="VxlanPort">UDP port of a kernel vxlan device; null for others.</param>
internal sealed record LinkFact(int Index, string Name, int Mtu, bool IsUp, bool IsRunning, int MasterIndex = 0, int? VxlanPort = null);

/// <summary>How the host would send to a destination.</summary>
/// <param name="LinkIndex">By which interface.</param>
/// <param name="IsLocal">The destination is the host itself.</param>
internal sealed record RouteFact(int LinkIndex, bool IsLocal);

/// <summary>What filters packets.</summary>
/// <param name="Nft">What <c>nft -j list ruleset</c> said; null if it could not be asked.</param>
/// <param name="Problem">Why it could not.</param>
/// <param name="Iptables">What <c>iptables-save</c> said; null without such a program.</param>
/// <param name="Ip6tables">What <c>ip6tables-save</c> said.</param>
internal sealed record FirewallFacts(string? Nft, string? Problem, string? Iptables, string? Ip6tables);

/// <summary>The clock.</summary>
/// <param name="IsSynchronised">Whether the kernel says that something keeps it right (adjtimex(2)); null if it does not say.</param>
/// <param name="EstimatedErrorMicroseconds">How far it may be off, if so.</param>
/// <param name="RanBackwards">Whether the monotonic clock was seen going backwards.</param>
internal sealed record ClockFacts(bool? IsSynchronised, long EstimatedErrorMicroseconds, bool RanBackwards);

/// <summary>What is known of a running VTEP, at two moments about a second apart.</summary>
internal sealed record VtepFacts
{
    /// <summary>Its socket.</summary>
    public required string Socket { get; init; }

    /// <summary>Why the rest is not known: it does not answer, or lives in another network namespace; null if it is.</summary>
    public Finding? Unknown { get; init; }

    /// <summary>State and counters at the first moment.</summary>
    public VtepStatsJson? Before { get; init; }

    /// <summary>State and counters at the second moment.</summary>
    public VtepStatsJson? Now { get; init; }

    /// <summary>What else the process says of itself.</summary>
    public VtepDetailsJson? Details { get; init; }

    /// <summary>The hosts of its cluster; none if it is in none.</summary>
    public IReadOnlyList<PeerJson> Peers { get; init; } = [];

    /// <summary>The FDB of each segment.</summary>
    public IReadOnlyList<FdbEntryJson> Fdb { get; init; } = [];

    /// <summary>The neighbours of each segment.</summary>
    public IReadOnlyList<NeighbourJson> Neighbours { get; init; } = [];

    /// <summary>Whether a datagram to its own port arrived; null if that was not tried.</summary>
    public bool? PortHeard { get; init; }

    /// <summary>Its address and port, for subjects.</summary>
    public string Name => Now is null ? Socket : $"{Now.Local} port {Now.Dstport}";

    /// <summary>The address it sends from; null if the route decides.</summary>
    public InternetAddress? Local => Now is not null && InternetAddress.TryParse(Now.Local, out var local) && !local.IsUnspecified ? local : null;

    /// <summary>Whether its underlay is IPv4.</summary>
    public bool IsIPv4 => Now is null || (InternetAddress.TryParse(Now.Local, out var local) && local.IsIPv4);
}

/// <summary>Ways to look at VTEPs that several checks share.</summary>
internal static class PatientViews
{
    /// <summary>The VTEPs that answered.</summary>
    public static IEnumerable<VtepFacts> Known(this Patient patient) => patient.Vteps.Where(static vtep => vtep is { Unknown: null, Now: not null });

    /// <summary>The UDP ports in question: those of the VTEPs, or the usual one if there is none.</summary>
    public static IReadOnlyList<int> Ports(this Patient patient) =>
        patient.Known().Select(static vtep => vtep.Now!.Dstport).Distinct().ToArray() is { Length: > 0 } ports ? ports : [VtepAddress.DefaultPort];

    /// <summary>The remotes of a VTEP that are one host each, with how many of which segments; groups are none.</summary>
    public static IEnumerable<(SegmentStatsJson Segment, RemoteJson Remote, InternetAddress Address)> Remotes(this VtepFacts vtep)
    {
        foreach (var segment in vtep.Now?.Segments ?? [])
            foreach (var remote in segment.Remotes)
                if (InternetAddress.TryParse(remote.Dst, out var address) && !address.IsMulticast) yield return (segment, remote, address);
    }

    /// <summary>The interfaces that the datagrams of a VTEP leave by, as the routes are now; that of its own address if it has no remotes.</summary>
    public static IReadOnlyList<LinkFact> UnderlayLinks(this Patient patient, VtepFacts vtep)
    {
        var links = new List<LinkFact>();
        foreach (var (_, _, address) in vtep.Remotes())
        {
            if (patient.Host.Route(address, vtep.Local, 0) is not { IsLocal: false } route || patient.Host.LinkOf(route.LinkIndex) is not { } link) continue;
            if (!links.Contains(link)) links.Add(link);
            if (links.Count == 16) break;
        }

        return links;
    }
}
