namespace Sleeve.Control.Doctor.Checks;

/// <summary>Which offloads are in use, and why not what is not.</summary>
internal sealed class OffloadCheck : ICheck
{
    private const string SwitchedOff = "switched off";

    /// <inheritdoc/>
    public string Name => "offload";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var now = vtep.Now!;
            var eaten = now.TxTunnelEaten - vtep.Before!.TxTunnelEaten;
            if (eaten > 0)
            {
                yield return Finding.Warning(vtep.Name, $"{eaten} super-frames were eaten on their way out within a second, and sent again the slow way",
                    "a firewall drops what is forwarded: nft insert rule inet filter forward iifname \"sleeve*\" accept; or sleeve up … --tx-offload udp-gso");
            }

            yield return now.TxOffload == "none" && now.TxOffloadReason != SwitchedOff
                ? Finding.Warning(vtep.Name, $"every frame is sent by itself, which costs several times the time: {now.TxOffloadReason}", "a kernel from 4.18 on, and UDP checksums on (not --noudpcsum)")
                : Finding.Ok(vtep.Name, $"tx-offload {now.TxOffload}: {now.TxOffloadReason}");
            yield return now.RxOffload == "none" && now.RxOffloadReason != SwitchedOff
                ? Finding.Warning(vtep.Name, $"every datagram is received by itself, which costs several times the time: {now.RxOffloadReason}", "a kernel from 5.0 on")
                : Finding.Ok(vtep.Name, $"rx-offload {now.RxOffload}: {now.RxOffloadReason}");
            foreach (var segment in now.Segments.Where(static segment => segment.TapOffload == "none").Take(4))
                yield return Finding.Ok(segment.Ifname, $"the TAP is handed no super-frames: {segment.TapOffloadReason}");
        }
    }
}
