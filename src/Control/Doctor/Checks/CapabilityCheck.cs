using System.Globalization;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>What the VTEPs, or this user if none runs, are allowed to do (capabilities(7)).</summary>
internal sealed class CapabilityCheck : ICheck
{
    private const int NetBindService = 10, NetAdmin = 12, NetRaw = 13;

    private static readonly (int Bit, string Name, string Without)[] Wanted =
    [
        (NetAdmin, "CAP_NET_ADMIN", "makes no TAPs, sets up no links and has no receive buffer above net.core.rmem_max"),
        (NetRaw, "CAP_NET_RAW", "neither proves tunnel-gso nor measures paths by ICMP"),
        (NetBindService, "CAP_NET_BIND_SERVICE", "gets no port below 1024"),
    ];

    /// <inheritdoc/>
    public string Name => "capabilities";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var any = false;
        foreach (var pid in patient.Known().Select(static vtep => vtep.Now!.Pid).Distinct())
        {
            any = true;
            var subject = $"pid {pid}";
            // It runs: what it lacks it has done without so far.
            yield return Read(patient, $"/proc/{pid}/status") is not { } held ? Finding.Skipped(subject, $"/proc/{pid}/status cannot be read")
                : Missing(held) is { Count: > 0 } missing ? Finding.Ok(subject, $"runs without {Describe(missing)}")
                : Finding.Ok(subject, "has all that it can use");
        }

        if (any) yield break;
        if (Read(patient, "/proc/self/status") is not { } own) yield return Finding.Skipped("", "/proc/self/status cannot be read");
        else if ((own & (1UL << NetAdmin)) == 0)
            yield return Finding.Error("", "this user lacks CAP_NET_ADMIN: sleeve up can make no TAP", "run sleeve up as root, or give it TAPs that exist: ip tuntap add vx0 mode tap multi_queue vnet_hdr user $USER");
        else yield return Missing(own) is { Count: > 0 } missing ? Finding.Ok("", $"this user lacks {Describe(missing)}") : Finding.Ok("", "this user may do all that sleeve up needs");
    }

    private static string Describe(IReadOnlyList<(int Bit, string Name, string Without)> missing) =>
        string.Join("; ", missing.Select(static each => $"{each.Name} ({each.Without})"));

    private static IReadOnlyList<(int Bit, string Name, string Without)> Missing(ulong held) => [.. Wanted.Where(each => (held & (1UL << each.Bit)) == 0)];

    private static ulong? Read(Patient patient, string path)
    {
        const string Key = "CapEff:";
        var line = patient.Host.Read(path)?.Split('\n').FirstOrDefault(static line => line.StartsWith(Key, StringComparison.Ordinal));
        return line is not null && ulong.TryParse(line.AsSpan(Key.Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var bits) ? bits : null;
    }
}
