namespace Sleeve.Bench.EndToEnd.Rig;

/// <summary>One of the two hosts: a network namespace with an underlay device eth0.</summary>
/// <param name="Name">Of the namespace: L or R.</param>
/// <param name="Number">1 for L, 2 for R; the last byte of its addresses.</param>
internal sealed record Host(string Name, int Number)
{
    /// <summary>The left host, from which tests are driven.</summary>
    public static Host Left { get; } = new("L", 1);

    /// <summary>The right host.</summary>
    public static Host Right { get; } = new("R", 2);

    /// <summary>The host at the other end.</summary>
    public Host Peer => this == Left ? Right : Left;

    /// <summary>Address on the underlay.</summary>
    public string Underlay => $"10.0.0.{Number}";

    /// <summary>Address on the overlay.</summary>
    public string Overlay => $"10.1.1.{Number}";

    /// <summary>Runs a command of iproute2 against this host.</summary>
    public void Ip(params IReadOnlyList<string> words) => Command.Run([.. IpWords, .. words]);

    /// <summary>The words that run a program in this host.</summary>
    public IReadOnlyList<string> Inside(params IReadOnlyList<string> words) => ["ip", "netns", "exec", Name, .. words];

    private string[] IpWords => ["ip", "-n", Name];
}
