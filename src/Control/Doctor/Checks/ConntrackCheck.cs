namespace Sleeve.Control.Doctor.Checks;

/// <summary>Connection tracking: every VXLAN flow takes an entry and every datagram a look-up, for nothing; a full table drops.</summary>
internal sealed class ConntrackCheck : ICheck
{
    private const string Folder = "/proc/sys/net/netfilter/nf_conntrack_";

    /// <inheritdoc/>
    public string Name => "conntrack";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var (count, max) = (patient.Host.ReadNumber(Folder + "count"), patient.Host.ReadNumber(Folder + "max"));
        if (count is null || max is null or 0)
        {
            yield return Finding.Ok("", "the kernel tracks no connections");
            yield break;
        }

        var port = patient.Ports()[0];
        // raw comes before tracking (priority -300).
        var advice = $"nft -f - <<< 'table inet sleeve_notrack {{ chain in {{ type filter hook prerouting priority raw; udp dport {port} notrack; }}; chain out {{ type filter hook output priority raw; udp dport {port} notrack; }}; }}'";
        if (count * 10 > max * 9)
            yield return Finding.Error("", $"the table of connections is all but full ({count} of {max}): new flows are dropped", $"{advice}; or sysctl -w net.netfilter.nf_conntrack_max={max * 4}");
        else if (count * 10 > max * 7)
            yield return Finding.Warning("", $"the table of connections fills up ({count} of {max})", $"{advice}; or sysctl -w net.netfilter.nf_conntrack_max={max * 4}");
        else if (count == 0) yield return Finding.Ok("", "no connection is tracked");
        else if (TracksOurs(patient, port)) yield return Finding.Ok("", $"VXLAN flows are tracked, which gains nothing and costs a look-up a datagram ({count} of {max} entries in use)", advice);
        else yield return Finding.Ok("", $"{count} of {max} connections are tracked");
    }

    private static bool TracksOurs(Patient patient, int port) =>
        patient.Host.Read("/proc/net/nf_conntrack")?.Split('\n').Any(line => line.Contains(" udp ", StringComparison.Ordinal) && line.Contains($"dport={port} ", StringComparison.Ordinal)) == true;
}
