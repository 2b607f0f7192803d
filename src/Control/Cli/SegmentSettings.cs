using System.CommandLine;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>The settings that each segment may have of its own: words of <c>sleeve up</c> and <c>sleeve segment</c>, keys of a segment in a configuration file.</summary>
internal static class SegmentSettings
{
    /// <summary>Its number.</summary>
    public static readonly Setting Vni = new("--vni", "N", "VXLAN network identifier.", "0 to 16777215", false, "--id");
    private static readonly Setting Remote = new(
        "--remote", "IP", "A VTEP that gets broadcast, unknown and multicast frames. Repeatable.", "an IPv4 or IPv6 unicast address, not link-local", repeatable: true);
    private static readonly Setting Ageing = new(
        "--ageing", "SECONDS", "Forget a station after this long in silence; 0 means 300. [300]", "0 to 1000000 (seconds)");
    private static readonly Setting MaxAddress = new Setting(
        "--maxaddress", "N", "FDB entries at most; 0 means 1048576. [0]", "0 to 1048576").In("entries");
    private static readonly Setting Admit = new(
        "--admit", "WHO", "Take datagrams of configured VTEPs (of anybody while there is none; listed: nobody), or any. [peers]", "peers, listed or any");
    private static readonly Setting Mtu = new("--mtu", "BYTES", "MTU of the TAP. [route to the remotes, less 50 or 70]", "68 to 65521");
    private static readonly Setting Address = new(
        "--address", "CIDR", "Address for the TAP. Repeatable.", "an address with a prefix length, such as 10.1.1.1/24 or fd00::1/64", repeatable: true);
    private static readonly Setting Bridge = new("--bridge", "BR", "Make the TAP a port of this bridge.", Words.LinkNameAllowed);
    private static readonly Setting Mac = new("--mac", "MAC", "MAC of the TAP.", "a unicast MAC such as 02:00:00:00:00:01");
    private static readonly Setting Netns = new(
        "--netns", "NS", "Put the TAP into another network namespace; the UDP sockets stay here.", "a name in /run/netns, a path, or a process id");
    private static readonly Setting TapDescriptor = new(
        "--tap-fd", "FD", "Use this open descriptor of the TAP, passed in by the parent process.", "3 or more, an open descriptor");
    private static readonly Setting Fdb = new(
        "--fdb", "ENTRY", "FDB entry to begin with, in the words of sleeve fdb add. Repeatable.", Words.FdbEntryAllowed, repeatable: true);
    private static readonly Setting Neigh = new(
        "--neigh", "ENTRY", "Neighbour to begin with, in the words of sleeve neigh add. Repeatable.", Words.NeighbourAllowed, repeatable: true);
    private static readonly Setting Gbp = new(
        "--gbp", "GROUP", "Stamp this VXLAN-GBP group on frames from the TAP. [off: its bits are reserved]",
        Words.PolicyAllowed);
    private static readonly Setting GbpAccept = new(
        "--gbp-accept", "GROUPS", "Deliver frames of these groups only, and those with the A bit. [any]", Words.GroupsAllowed);
    private static readonly Option<bool> Learning = Setting.Flag("--learning", "Learn which station is behind which VTEP. [on]");
    private static readonly Option<bool> NoLearning = Setting.Flag("--nolearning", "Do not learn.");
    private static readonly Option<bool> Proxy = Setting.Flag("--proxy", "Answer ARP and neighbour solicitations for known neighbours. [off]");
    private static readonly Option<bool> NoProxy = Setting.Flag("--noproxy", "Do not answer.");
    private static readonly Option<bool> Strict = Setting.Flag("--strict", "Drop datagrams with a reserved bit set, as the kernel does. [off]");

    /// <summary>Those that only one device of a command line can have.</summary>
    public static IReadOnlyList<Setting> OfOneDevice { get; } = [Mac, TapDescriptor, Address];

    /// <summary>Keys under which a network namespace may stand in a configuration file.</summary>
    public static IReadOnlyList<string> NamespaceKeys { get; } = ["netns", "rootless"];

    /// <summary>The descriptor of a TAP, which only a parent process can pass.</summary>
    public static Option PassedDescriptor => TapDescriptor.Option;

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Vni, Remote, Ageing, MaxAddress, Admit, Mtu, Address, Bridge, Mac, Netns, TapDescriptor, Fdb, Neigh, Gbp, GbpAccept]) command.Options.Add(setting.Option);
        OuterSettings.AddTo(command);
        GroupSettings.AddTo(command);
        RootlessSettings.AddTo(command);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[Learning, NoLearning, Proxy, NoProxy, Strict]) command.Options.Add(flag);
        command.Options.Add(PathMtuSettings.SegmentSize.Option);
        GuardSettings.AddTo(command);
    }

    /// <summary>Reads what each segment may have of its own: whatever is read here may stand in a segment of a configuration file.</summary>
    public static ReadDevice Read(SettingReader reader)
    {
        var remotes = reader.ReadGiven<InternetAddress>(Remote, Words.UnicastAddress);
        var groups = GroupSettings.ReadGroup(reader);
        var entries = reader.ReadGiven<StaticEntry>(Fdb, Words.FdbEntry);
        var shared = new SegmentOptions
        {
            Vni = default,
            Name = "",
            Learning = reader.ReadFlag(Learning, NoLearning, fallback: true),
            AgeingSeconds = reader.Read(Ageing, Words.Number(0, 1_000_000), SegmentOptions.DefaultAgeingSeconds),
            MaxAddress = reader.Read(MaxAddress, Words.Number(0, SegmentOptions.DefaultMaxAddress), 0),
            Proxy = reader.ReadFlag(Proxy, NoProxy, fallback: false),
            Admission = reader.Read(Admit, Words.Admission, Admission.Peers),
            Strict = reader.ReadFlag(Strict),
            MssClamp = PathMtuSettings.ReadSegmentSize(reader),
            Policy = reader.IsGiven(Gbp) ? reader.Read<GroupPolicy>(Gbp, Words.Policy, default) : null,
            AcceptedGroups = reader.Read<PolicyGroups?>(GbpAccept, Words.Groups, null),
            Outer = OuterSettings.Read(reader),
            Group = groups is [var group, ..] ? group.Value : null,
        };
        var segment = new UpSegment
        {
            Segment = GuardSettings.Apply(shared, reader),
            Remotes = [.. groups.Concat(remotes).Select(static remote => remote.Value)],
            Mtu = reader.IsGiven(Mtu) ? reader.Read(Mtu, Words.Number(68, 65521), 0) : null,
            Addresses = reader.ReadAll<AddressPrefix>(Address, Words.Prefix),
            Bridge = reader.Read<string?>(Bridge, Words.LinkName!, null),
            Mac = reader.IsGiven(Mac) ? reader.Read<MacAddress>(Mac, Words.StationMac, default) : null,
            NetworkNamespace = RootlessSettings.ReadNamespace(reader, Netns),
            TapDescriptor = reader.IsGiven(TapDescriptor) ? reader.Read(TapDescriptor, Words.Number(3, int.MaxValue), 0) : null,
            Fdb = [.. entries.Select(static entry => entry.Value)],
            Neighbours = reader.ReadAll<Neighbour>(Neigh, Words.Neighbour),
        };
        RefuseContradictions(reader, segment);
        var stations = new HashSet<MacAddress>();
        foreach (var entry in entries)
            if (entry.Value.Mac is { IsGroup: false, IsZero: false } mac && !stations.Add(mac)) reader.Refuse($"{entry.Name} {mac}: given twice; a station is behind one VTEP");
        return new ReadDevice(segment, [.. groups, .. remotes, .. entries.Where(static entry => !entry.Value.Destination.IsUnspecified).Select(static entry => new Given<InternetAddress>(entry.Value.Destination, entry.Name))], OuterSettings.FindFlowLabel(reader, shared.Outer));
    }

    private static void RefuseContradictions(SettingReader reader, UpSegment segment)
    {
        if (reader.IsGiven(GbpAccept) && !reader.IsGiven(Gbp)) reader.Refuse($"{reader.NameOf(GbpAccept)}: needs --gbp (0 to stamp nothing)");
        if (segment.Remotes.Count > ReplicationList.MaxRemotes)
            reader.Refuse($"{reader.NameOf(Remote)}: given {segment.Remotes.Count} times; at most {ReplicationList.MaxRemotes} are allowed");
        if (segment.Mtu is < 1280 and > 0 && segment.Addresses.Any(address => !address.Address.IsIPv4))
            reader.Refuse($"{reader.NameOf(Mtu)} {segment.Mtu}: must be at least 1280 for an IPv6 --address (RFC 8200, section 5)");
    }
}
