using System.Numerics;

namespace Sleeve.DataPlane.Interop;

/// <summary>A set of capabilities (capabilities(7)).</summary>
/// <param name="Bits">Bit N is the capability of number N.</param>
public readonly record struct CapabilitySet(ulong Bits)
{
    // By number, from 0.
    private static readonly string[] Names =
    [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
        "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
        "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
        "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ];

    /// <summary>A set of some, by number: LibC.CAP_….</summary>
    public static CapabilitySet Of(params ReadOnlySpan<int> numbers)
    {
        var bits = 0UL;
        foreach (var number in numbers) bits |= 1UL << number;
        return new CapabilitySet(bits);
    }

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => Bits == 0;

    /// <summary>Whether it holds one, by number.</summary>
    public bool Has(int number) => (Bits >> number & 1) != 0;

    /// <summary>Those of either.</summary>
    public CapabilitySet With(CapabilitySet other) => new(Bits | other.Bits);

    /// <summary>Those of both.</summary>
    public CapabilitySet Within(CapabilitySet other) => new(Bits & other.Bits);

    /// <summary>Their names; "no capability" if there is none.</summary>
    public override string ToString()
    {
        if (IsEmpty) return "no capability";
        var names = new List<string>(BitOperations.PopCount(Bits));
        for (var number = 0; number < 64; number++)
            if (Has(number)) names.Add(number < Names.Length ? "CAP_" + Names[number] : FormattableString.Invariant($"capability {number}"));
        return string.Join(", ", names);
    }
}
