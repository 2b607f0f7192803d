using System.Globalization;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>
/// Reverse path filtering (rp_filter, ip-sysctl.rst): strict, the kernel drops without a word what comes in by another interface than answers would leave by.
/// It counts what it drops: IPReversePathFilter.
/// </summary>
internal sealed class ReversePathCheck : ICheck
{
    private const string Strict = "1";

    /// <inheritdoc/>
    public string Name => "rp-filter";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var dropped = CountDropped(patient.Host);
        foreach (var vtep in patient.Known().Where(static vtep => vtep.IsIPv4))
        {
            // What is filtered comes in by any interface, not only those that datagrams leave by.
            var leaving = patient.UnderlayLinks(vtep);
            var strict = patient.Host.Links.Where(static link => link.IsUp && link.Name != "lo").Where(link => IsStrict(patient.Host, link.Name)).ToArray();
            if (strict.Length == 0)
            {
                yield return Finding.Ok(vtep.Name, "no interface filters strictly by the way back");
                continue;
            }

            var names = string.Join(", ", strict.Take(8).Select(static link => link.Name));
            var silent = vtep.Remotes().Where(static each => each.Remote is { Configured: true, RxDatagrams: 0 } && each.Remote.TxDatagrams >= PeerCheck.Patience).Select(static each => each.Remote.Dst).Distinct().ToArray();
            if (dropped > 0 && silent.Length > 0)
            {
                yield return Finding.Error(vtep.Name,
                    $"rp_filter is strict on {names}, has dropped {dropped} packets, and nothing ever came from {string.Join(", ", silent.Take(8))}: they come in by another interface than the route back names",
                    $"sysctl -w net.ipv4.conf.all.rp_filter=2 (loose; the larger of all and of the interface counts), or mend the routes: ip route get {silent[0]}");
            }
            else if (dropped > 0)
            {
                yield return Finding.Warning(vtep.Name, $"rp_filter is strict on {names} and has dropped {dropped} packets of this host, perhaps VXLAN ones",
                    "if a VTEP is not heard: sysctl -w net.ipv4.conf.all.rp_filter=2 (loose); nstat -az TcpExtIPReversePathFilter counts them");
            }
            else if (leaving.Count > 1)
            {
                yield return Finding.Warning(vtep.Name, $"rp_filter is strict on {names}, and the VTEPs are reached by several interfaces ({string.Join(", ", leaving.Select(static link => link.Name))}): what comes in by another one is dropped",
                    "sysctl -w net.ipv4.conf.all.rp_filter=2 (loose; the larger of all and of the interface counts)");
            }
            else
            {
                yield return Finding.Ok(vtep.Name, $"rp_filter is strict on {names}, and has dropped nothing");
            }
        }
    }

    private static bool IsStrict(HostFacts host, string name)
    {
        // The larger of the two counts.
        var (all, own) = (host.Read("/proc/sys/net/ipv4/conf/all/rp_filter")?.Trim(), host.Read($"/proc/sys/net/ipv4/conf/{name}/rp_filter")?.Trim());
        return string.CompareOrdinal(all, own) > 0 ? all == Strict : own == Strict;
    }

    private static long CountDropped(HostFacts host)
    {
        var counters = ProcTable.Read(host.Read("/proc/net/netstat"), "TcpExt");
        return counters.GetValueOrDefault("IPReversePathFilter");
    }
}

/// <summary>The tables of /proc/net/snmp and netstat: a line of names, then a line of numbers, each behind the table's name.</summary>
internal static class ProcTable
{
    /// <summary>Reads one table; empty if it is not there.</summary>
    public static IReadOnlyDictionary<string, long> Read(string? text, string table)
    {
        var values = new Dictionary<string, long>(StringComparer.Ordinal);
        var lines = text?.Split('\n').Where(line => line.StartsWith(table + ":", StringComparison.Ordinal)).ToArray() ?? [];
        if (lines.Length < 2) return values;
        var (names, numbers) = (lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries), lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        for (var i = 1; i < Math.Min(names.Length, numbers.Length); i++)
            if (long.TryParse(numbers[i], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)) values[names[i]] = number;
        return values;
    }

    /// <summary>Reads /proc/net/snmp6: a name and a number a line.</summary>
    public static IReadOnlyDictionary<string, long> ReadPairs(string? text)
    {
        var values = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var line in text?.Split('\n') ?? [])
            if (line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) is [var name, var value] && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) values[name] = number;
        return values;
    }
}
