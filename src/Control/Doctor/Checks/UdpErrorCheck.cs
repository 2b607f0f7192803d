namespace Sleeve.Control.Doctor.Checks;

/// <summary>What the host's UDP counts (/proc/net/snmp, snmp6): wrong checksums, and queues and memory that were full.</summary>
internal sealed class UdpErrorCheck : ICheck
{
    // One in so many datagrams is worth a word: links have bit errors.
    private const long OneIn = 100_000;

    /// <inheritdoc/>
    public string Name => "udp-errors";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var udp4 = ProcTable.Read(patient.Host.Read("/proc/net/snmp"), "Udp");
        var udp6 = ProcTable.ReadPairs(patient.Host.Read("/proc/net/snmp6"));
        if (udp4.Count == 0)
        {
            yield return Finding.Skipped("", "/proc/net/snmp cannot be read");
            yield break;
        }

        var quiet = true;
        foreach (var (family, counters, prefix) in new[] { ("IPv4", udp4, ""), ("IPv6", udp6, "Udp6") })
        {
            long Of(string name) => counters.GetValueOrDefault(prefix + name);
            var received = Of("InDatagrams");
            if (IsMuch(Of("InCsumErrors"), received))
            {
                quiet = false;
                yield return Finding.Warning(family, $"{Of("InCsumErrors")} UDP datagrams came with a wrong checksum: a network card or a switch that spoils them, or a VTEP with zero checksums where they are not taken",
                    $"try the card without its offloads: ethtool -K DEV rx off gro off{(family == "IPv6" ? "; for zero checksums: sleeve up … --udp6zerocsumrx" : "")}");
            }

            if (IsMuch(Of("RcvbufErrors"), received))
            {
                quiet = false;
                yield return Finding.Warning(family, $"{Of("RcvbufErrors")} UDP datagrams did not fit the queue of their socket, Sleeve's or another's", "see what buffer says; ss -uampn shows whose");
            }

            if (IsMuch(Of("MemErrors"), received))
            {
                quiet = false;
                yield return Finding.Warning(family, $"{Of("MemErrors")} UDP datagrams found no memory", "raise the limit: sysctl net.ipv4.udp_mem");
            }

            if (IsMuch(Of("SndbufErrors"), Of("OutDatagrams")))
            {
                quiet = false;
                yield return Finding.Warning(family, $"{Of("SndbufErrors")} UDP datagrams could not be sent because a queue was full: the interface is slower than what is sent", "tc -s qdisc show; sleeve stats counts them as would_block");
            }
        }

        if (quiet) yield return Finding.Ok("", $"{udp4.GetValueOrDefault("InDatagrams") + udp6.GetValueOrDefault("Udp6InDatagrams")} UDP datagrams received, hardly an error among them");
    }

    private static bool IsMuch(long errors, long all) => errors > 0 && errors >= all / OneIn;
}
