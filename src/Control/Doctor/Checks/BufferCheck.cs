using System.Globalization;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>The receive buffer: its size, its limit, and what did not fit it.</summary>
internal sealed class BufferCheck : ICheck
{
    // Of a million datagrams, so many lost ones are not worth a word once they are past.
    private const double Negligible = 1e-6;

    /// <inheritdoc/>
    public string Name => "buffer";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var (before, now) = (vtep.Before!, vtep.Now!);
            var isShort = now.ReceiveBufferBytes < UdpUnderlay.ReceiveBufferBytes;
            var limit = patient.Host.ReadNumber("/proc/sys/net/core/rmem_max");
            var advice = isShort
                ? $"sysctl -w net.core.rmem_max={UdpUnderlay.ReceiveBufferBytes}, and start it again (with CAP_NET_ADMIN it needs no such limit)"
                : "more workers (--workers) if there are idle cores; look for a core that is busy otherwise: mpstat -P ALL 1";
            if (isShort)
            {
                yield return Finding.Warning(vtep.Name,
                    $"the receive buffer holds {Kib(now.ReceiveBufferBytes)}, not {Kib(UdpUnderlay.ReceiveBufferBytes)}: net.core.rmem_max is {(limit is { } max ? $"{max}" : "too small")} and the process has no CAP_NET_ADMIN", advice);
            }

            var fresh = now.SocketDrops - before.SocketDrops;
            var all = now.Segments.Sum(static segment => segment.Counters.GetValueOrDefault("datagrams_received"));
            if (fresh > 0) yield return Finding.Error(vtep.Name, $"{fresh} datagrams did not fit the receive buffer within a second: more comes than is taken out", advice);
            else if (now.SocketDrops > all * Negligible) yield return Finding.Warning(vtep.Name, $"{now.SocketDrops} datagrams have not fit the receive buffer since the start, {Share(now.SocketDrops, all)} of all", advice);
            else if (!isShort) yield return Finding.Ok(vtep.Name, $"{Kib(now.ReceiveBufferBytes)}, {(now.SocketDrops == 0 ? "nothing" : $"{now.SocketDrops} datagrams")} lost since the start");
        }
    }

    private static string Kib(int bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024} KiB");

    private static string Share(long part, long all) => string.Create(CultureInfo.InvariantCulture, $"{100.0 * part / Math.Max(all + part, 1):0.###} %");
}
