using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>Makes one end of a tunnel.</summary>
/// <param name="host">Where.</param>
/// <param name="underlayMtu">Bytes.</param>
/// <param name="sleeve">Path of the sleeve executable.</param>
internal delegate TunnelEnd EndFactory(Host host, int underlayMtu, string sleeve);

/// <summary>A system that is measured: what stands at the left end and what at the right.</summary>
/// <param name="Name">As <c>--only</c> takes it.</param>
/// <param name="Title">As reports show it.</param>
/// <param name="What">What it is, in a sentence's half.</param>
/// <param name="Left">Makes the left end, from which streams are sent.</param>
/// <param name="Right">Makes the right end.</param>
internal sealed record Contender(string Name, string Title, string What, EndFactory Left, EndFactory Right)
{
    /// <summary>The name of what ratios are taken to.</summary>
    public const string Baseline = "kernel";

    /// <summary>Every system there is, in the order in which they take turns.</summary>
    public static IReadOnlyList<Contender> All { get; } =
    [
        Both("veth", "veth, no tunnel", "no tunnel: the underlay itself", static (host, mtu, _) => new VethEnd(host, mtu)),
        Both(Baseline, "kernel vxlan", "the kernel's vxlan device at both ends", static (host, mtu, _) => new KernelEnd(host, mtu)),
        Both("sleeve", "sleeve", "Sleeve at both ends, as it starts by default", Sleeve()),
        Both("sleeve-tunnel-gso", "sleeve, tunnel-gso", "with --tx-offload tunnel-gso", Sleeve("--tx-offload", "tunnel-gso")),
        Both("sleeve-udp-gso", "sleeve, udp-gso", "with --tx-offload udp-gso", Sleeve("--tx-offload", "udp-gso")),
        Both("sleeve-none", "sleeve, no offload", "with --tx-offload none", Sleeve("--tx-offload", "none")),
        Both("sleeve-workers-1", "sleeve, 1 worker", "with --workers 1", Sleeve("--workers", "1")),
        Both("ovs", "OVS, user space", "Open vSwitch with its netdev datapath at both ends", static (host, mtu, _) => new OvsEnd(host, mtu)),
        Both("tinc", "tinc, no cipher", "tinc in switch mode, no cipher, no digest", static (host, mtu, _) => new TincEnd(host, mtu)),
        new("sleeve-kernel", "sleeve → kernel", "Sleeve on the left, the kernel's device on the right", Sleeve(), static (host, mtu, _) => new KernelEnd(host, mtu)),
        new("kernel-sleeve", "kernel → sleeve", "the kernel's device on the left, Sleeve on the right", static (host, mtu, _) => new KernelEnd(host, mtu), Sleeve()),
    ];

    /// <summary>The system of a name; null if there is none.</summary>
    public static Contender? Find(string name) => All.FirstOrDefault(contender => contender.Name == name);

    /// <summary>Title of a name, or the name itself.</summary>
    public static string TitleOf(string name) => Find(name)?.Title ?? name;

    /// <summary>True if Sleeve is at both ends.</summary>
    public bool IsSleeve => Name == "sleeve" || (Name.StartsWith("sleeve-", StringComparison.Ordinal) && Name != "sleeve-kernel");

    private static EndFactory Sleeve(params string[] words) => (host, mtu, sleeve) => new SleeveEnd(host, mtu, sleeve, words);

    private static Contender Both(string name, string title, string what, EndFactory end) => new(name, title, what, end, end);
}
