using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>The MTU of every path: that there is one, whether the overlay's fits, and what probes found.</summary>
internal sealed class MtuCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "mtu";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var fits = 0;
            var told = new HashSet<(string, string)>();
            foreach (var (segment, remote, address) in vtep.Remotes())
            {
                if (!told.Add((segment.Ifname, remote.Dst))) continue;
                var findings = Examine(segment.Ifname, segment.Mtu, remote.Dst, address, remote.Pmtu, remote.PmtuFrom, remote.PmtuProbe).ToArray();
                if (findings.Length == 0) fits++;
                foreach (var finding in findings) yield return finding;
            }

            if (fits > 0) yield return Finding.Ok(vtep.Name, $"{fits} {(fits == 1 ? "path takes" : "paths take")} the largest packets of the overlay whole");
        }
    }

    private static IEnumerable<Finding> Examine(string device, int mtu, string remote, InternetAddress address, int? path, string from, string? probe)
    {
        var subject = $"{device} → {remote}";
        if (path is not { } bytes)
        {
            yield return Finding.Error(subject, $"there is no route to {remote}", $"ip route get {remote}, and add a route");
            yield break;
        }

        if (probe == "black-hole")
        {
            yield return Finding.Warning(subject, $"packets of more than {bytes} bytes vanish on the way without a word (an ICMP black hole)",
                $"let ICMP \"fragmentation needed\" (type 3 code 4; ICMPv6 type 2) pass on the way, or: ip link set {device} mtu {bytes - Overhead.For(address)}");
        }

        var room = bytes - Overhead.For(address);
        if (mtu <= room) yield break;
        yield return Finding.Warning(subject,
            $"the MTU {mtu} of {device} and {Overhead.For(address)} bytes of headers are more than the {bytes} bytes that the path takes ({Describe(from)}): large packets are fragmented, or their senders told to send smaller ones",
            from is "learned" or "probe" ? $"ip link set {device} mtu {room}, there and wherever the segment is, or mend the narrow place on the way" : $"ip link set {device} mtu {room}, there and wherever the segment is, or raise the MTU of the underlay to {mtu + Overhead.For(address)}");
    }

    private static string Describe(string from) => from switch
    {
        "link" => "the MTU of the underlay interface",
        "route" => "the MTU of the route",
        "learned" => "a router said so by ICMP",
        "probe" => "found by --pmtu-probe",
        _ => from,
    };
}
