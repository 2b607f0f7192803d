namespace Sleeve.Control.Doctor.Checks;

/// <summary>Who has the UDP ports, and whether a datagram to a port of ours arrives.</summary>
internal sealed class PortCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "port";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var port = vtep.Now!.Dstport;
            yield return vtep.PortHeard switch
            {
                true => Finding.Ok(vtep.Name, $"a datagram that this host sent to its own UDP port {port} arrived"),
                false => Finding.Error(vtep.Name, $"datagrams that this host sent to its own UDP port {port} did not arrive: something on this host drops them",
                    $"nft list ruleset (or iptables-save), and let them in: nft insert rule inet filter input udp dport {port} accept"),
                null => Finding.Skipped(vtep.Name, "nothing could be sent to its own port"),
            };
        }

        if (patient.Known().Any() || patient.Vteps.Count > 0) yield break;
        foreach (var port in patient.Ports())
        {
            yield return patient.Host.PortHolder(port) is { } holder
                ? Finding.Error("", $"UDP port {port} is held by {holder}: sleeve up would not get it", "stop it, or sleeve up … --dstport N with another port (the same on every VTEP)")
                : Finding.Ok("", $"UDP port {port} is free");
        }
    }
}
