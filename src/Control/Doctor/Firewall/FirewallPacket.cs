using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Firewall;

/// <summary>A VXLAN datagram that rules are asked about. What is not known is null, and matches perhaps.</summary>
/// <param name="IsInward">Comes in; else goes out.</param>
/// <param name="Port">UDP destination port.</param>
/// <param name="Remote">The VTEP.</param>
/// <param name="Local">The own address.</param>
/// <param name="Link">The interface it comes or leaves by.</param>
/// <param name="IsIPv6">Its family, where no address says so.</param>
internal sealed record FirewallPacket(bool IsInward, int Port, InternetAddress? Remote, InternetAddress? Local, string? Link, bool IsIPv6 = false)
{
    /// <summary>Its family.</summary>
    public bool IsIPv4 => Remote?.IsIPv4 ?? !IsIPv6;
}

/// <summary>What becomes of it.</summary>
internal enum FirewallOutcome
{
    /// <summary>It passes.</summary>
    Pass,

    /// <summary>That depends on what cannot be known here: a limit, a mark, chance.</summary>
    Perhaps,

    /// <summary>It is dropped or rejected.</summary>
    Drop,
}

/// <summary>What becomes of it, and by which rule.</summary>
/// <param name="Outcome">What.</param>
/// <param name="Rule">The rule, as a reader finds it.</param>
/// <param name="Place">Table and chain, in the words of nft(8).</param>
internal sealed record FirewallVerdict(FirewallOutcome Outcome, string? Rule, string? Place)
{
    /// <summary>It passes.</summary>
    public static FirewallVerdict Pass { get; } = new(FirewallOutcome.Pass, null, null);
}

/// <summary>Yes, no, or cannot be known.</summary>
internal enum Tri
{
    /// <summary>No.</summary>
    No,

    /// <summary>Cannot be known.</summary>
    Perhaps,

    /// <summary>Yes.</summary>
    Yes,
}
