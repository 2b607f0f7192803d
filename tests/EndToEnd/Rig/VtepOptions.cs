using System.Net;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Which implementation a VTEP of the lab is.</summary>
public enum VtepKind
{
    /// <summary>The kernel's own vxlan device.</summary>
    Kernel,

    /// <summary>This project.</summary>
    Sleeve,
}

/// <summary>How to set up a VTEP; what is null or empty is left to its default.</summary>
public sealed record VtepOptions
{
    /// <summary>The segment.</summary>
    public int Vni { get; init; } = 100;

    /// <summary>Name of the device; else `vx`, VNI, dash, host.</summary>
    public string? Device { get; init; }

    /// <summary>The replication list.</summary>
    public IReadOnlyList<IPAddress> Remotes { get; init; } = [];

    /// <summary>UDP port.</summary>
    public int Port { get; init; } = 4789;

    /// <summary>Range of outer source ports.</summary>
    public (int Min, int Max)? SourcePorts { get; init; }

    /// <summary>Seconds after which a dynamic entry goes.</summary>
    public int? Ageing { get; init; }

    /// <summary>Learn from what is received.</summary>
    public bool Learning { get; init; } = true;

    /// <summary>Limit of FDB entries.</summary>
    public int? MaxAddresses { get; init; }

    /// <summary>Answer ARP and ND from the neighbour table.</summary>
    public bool Proxy { get; init; }

    /// <summary>Consume what the proxy cannot answer (Sleeve; the kernel's proxy always does).</summary>
    public bool ProxyStrict { get; init; }

    /// <summary>Tell of missing FDB entries and neighbours.</summary>
    public bool Misses { get; init; }

    /// <summary>Compute the outer UDP checksum (IPv4).</summary>
    public bool UdpChecksum { get; init; } = true;

    /// <summary>Send IPv6 without UDP checksum.</summary>
    public bool ZeroChecksum6Transmit { get; init; }

    /// <summary>Accept IPv6 without UDP checksum.</summary>
    public bool ZeroChecksum6Receive { get; init; }

    /// <summary>Accept any sender although remotes are given (Sleeve; the kernel always does).</summary>
    public bool AdmitAny { get; init; }

    /// <summary>Drop what has reserved bits set (Sleeve; the kernel always does).</summary>
    public bool Strict { get; init; }

    /// <summary>Group policy extension: for Sleeve what --gbp says, the kernel only takes that it is there.</summary>
    public string? Gbp { get; init; }

    /// <summary>--gbp-accept (Sleeve).</summary>
    public string? GbpAccept { get; init; }

    /// <summary>MTU; default is what the underlay leaves.</summary>
    public int? Mtu { get; init; }

    /// <summary>Overlay addresses, ADDRESS/LENGTH.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>A bridge to make the device a port of.</summary>
    public string? Bridge { get; init; }

    /// <summary>Hardware address of the device.</summary>
    public string? Mac { get; init; }

    /// <summary>Multicast group on the underlay device, in the place of remotes or beside them.</summary>
    public IPAddress? Group { get; init; }

    /// <summary>tos, ttl, df and flowlabel as words of ip-link(8), which both understand; empty for the defaults.</summary>
    public string Outer { get; init; } = "";

    /// <summary>--tx-offload and --rx-offload (Sleeve); null takes that of <see cref="SleeveProgram.Offload"/>.</summary>
    public string? Offload { get; init; }

    /// <summary>--workers (Sleeve); null takes that of <see cref="SleeveProgram.Workers"/>.</summary>
    public int? Workers { get; init; }

    /// <summary>More words for `sleeve up`.</summary>
    public IReadOnlyList<string> More { get; init; } = [];
}
