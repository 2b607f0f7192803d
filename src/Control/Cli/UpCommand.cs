using System.CommandLine;
using Sleeve.Control.Config;
using Sleeve.Control.Host;
using Sleeve.Control.Daemon;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve up</c>: one VTEP in the foreground.</summary>
internal static class UpCommand
{
    private const string Examples = """
        Examples:
          sleeve up vx0 --vni 100 --local 192.0.2.1 --remote 192.0.2.2 --address 10.1.1.1/24
              Join VNI 100 with the VTEP at 192.0.2.2 and have 10.1.1.1 on it.
          sleeve up vx0 id 100 local 192.0.2.1 remote 192.0.2.2 remote 192.0.2.3 --bridge br0
              The words of ip-link(8) work as they are. Two remotes; the TAP becomes a port of br0.
          sleeve up vx1:100 vx2:200 --local 2001:db8::1 --admit any
              Two segments over one UDP port, learning from whoever sends.
          sleeve up --config /etc/sleeve/net.yaml --workers 2
              As many segments as the file has; what stands here goes before what stands at its top. sleeve config checks one.
        """;

    private static readonly Argument<string[]> Devices = new("DEV")
    {
        Description = "TAP interface, made if it is not there; DEV:VNI for several segments.",
        Arity = ArgumentArity.ZeroOrMore,
        HelpName = "DEV[:VNI]",
    };

    private static readonly Setting Vni = new("--vni", "N", "VXLAN network identifier.", "0 to 16777215", false, "--id");
    private static readonly Setting Local = new(
        "--local", "IP", "Underlay address to send from; its family is the underlay's.", "an IPv4 or IPv6 unicast address, not link-local");
    private static readonly Setting Remote = new(
        "--remote", "IP", "A VTEP that gets broadcast, unknown and multicast frames. Repeatable.", "an IPv4 or IPv6 unicast address, not link-local", repeatable: true);
    private static readonly Setting Port = new("--dstport", "PORT", "UDP port to receive on and to send to. [4789]", "1 to 65535");
    private static readonly Setting SourcePorts = new(
        "--srcport", "MIN-MAX", "UDP source ports, one a flow. [49152-65535]", "MIN-MAX, each 1 to 65535, MIN not above MAX");
    private static readonly Setting Ageing = new(
        "--ageing", "SECONDS", "Forget a station after this long in silence; 0 means 300. [300]", "0 to 1000000 (seconds)");
    private static readonly Setting MaxAddress = new(
        "--maxaddress", "N", "FDB entries at most; 0 means 1048576. [0]", "0 to 1048576");
    private static readonly Setting Admit = new(
        "--admit", "WHO", "Take datagrams of configured VTEPs only (anybody's while there is none), or anybody's. [peers]", "peers or any");
    private static readonly Setting Mtu = new("--mtu", "BYTES", "MTU of the TAP. [route to the remotes, less 50 or 70]", "68 to 65521");
    private static readonly Setting Address = new(
        "--address", "CIDR", "Address for the TAP. Repeatable.", "an address with a prefix length, such as 10.1.1.1/24 or fd00::1/64", repeatable: true);
    private static readonly Setting Bridge = new("--bridge", "BR", "Make the TAP a port of this bridge.", Words.LinkNameAllowed);
    private static readonly Setting Mac = new("--mac", "MAC", "MAC of the TAP.", "a unicast MAC such as 02:00:00:00:00:01");
    private static readonly Setting Netns = new(
        "--netns", "NS", "Put the TAP into another network namespace; the UDP sockets stay here.", "a name in /run/netns, a path, or a process id");
    private static readonly Setting TapDescriptor = new(
        "--tap-fd", "FD", "Use this open descriptor of the TAP, passed in by the parent process.", "3 or more, an open descriptor");
    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket for commands. [/run/sleeve/DEV.sock]", Words.SocketPathAllowed);

    private static readonly Setting Fdb = new(
        "--fdb", "ENTRY", "FDB entry to begin with, in the words of sleeve fdb add. Repeatable.", Words.FdbEntryAllowed, repeatable: true);
    private static readonly Setting Neigh = new(
        "--neigh", "ENTRY", "Neighbour to begin with, in the words of sleeve neigh add. Repeatable.", Words.NeighbourAllowed, repeatable: true);
    private static readonly Setting Config = new(
        "--config", "FILE", "Read options and segments from a file, YAML or JSON; options given here go before those at its top.", "a readable file");
    private static readonly Setting Gbp = new(
        "--gbp", "GROUP", "Stamp this VXLAN-GBP group on frames from the TAP. [off: its bits are reserved]",
        Words.PolicyAllowed);
    private static readonly Setting GbpAccept = new(
        "--gbp-accept", "GROUPS", "Deliver frames of these groups only, and those with the A bit. [any]", Words.GroupsAllowed);
    private static readonly Setting Workers = new(
        "--workers", "N", "Threads that move frames, each with its own queue and sockets. [cores, at most 4]", $"1 to {VtepOptions.MaxWorkers}");
    private static readonly Setting TransmitOffload = new(
        "--tx-offload", "HOW", "Send super-frames and runs whole, for the kernel to cut. [auto: the first that its self-test passes]", "auto, tunnel-gso, udp-gso or none");
    private static readonly Setting ReceiveOffload = new(
        "--rx-offload", "HOW", "Take runs at once, merge them for the TAP. [auto: on]", "auto or none");

    private static readonly Option<bool> Learning = Setting.Flag("--learning", "Learn which station is behind which VTEP. [on]");
    private static readonly Option<bool> NoLearning = Setting.Flag("--nolearning", "Do not learn.");
    private static readonly Option<bool> Proxy = Setting.Flag("--proxy", "Answer ARP and neighbour solicitations for known neighbours. [off]");
    private static readonly Option<bool> NoProxy = Setting.Flag("--noproxy", "Do not answer.");
    private static readonly Option<bool> UdpChecksum = Setting.Flag("--udpcsum", "Compute UDP checksums over IPv4. [on]");
    private static readonly Option<bool> NoUdpChecksum = Setting.Flag("--noudpcsum", "Send zero UDP checksums over IPv4.");
    private static readonly Option<bool> Zero6Transmit = Setting.Flag("--udp6zerocsumtx", "Send zero UDP checksums over IPv6. [off]");
    private static readonly Option<bool> NoZero6Transmit = Setting.Flag("--noudp6zerocsumtx", "Compute them.");
    private static readonly Option<bool> Zero6Receive = Setting.Flag("--udp6zerocsumrx", "Take zero UDP checksums over IPv6. [off]");
    private static readonly Option<bool> NoZero6Receive = Setting.Flag("--noudp6zerocsumrx", "Drop them.");
    private static readonly Option<bool> Strict = Setting.Flag("--strict", "Drop datagrams with a reserved bit set, as the kernel does. [off]");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("up", "Run one VTEP in the foreground until SIGINT or SIGTERM.") { Devices };
        foreach (var setting in (ReadOnlySpan<Setting>)[Vni, Local, Remote, Port, SourcePorts, Ageing, MaxAddress, Admit, Mtu, Address, Bridge, Mac, Netns, TapDescriptor, Socket, Fdb, Neigh, Config, Gbp, GbpAccept, Workers, TransmitOffload, ReceiveOffload])
            command.Options.Add(setting.Option);
        OuterSettings.AddTo(command);
        GroupSettings.AddTo(command);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[
            Learning, NoLearning, Proxy, NoProxy, UdpChecksum, NoUdpChecksum, Zero6Transmit, NoZero6Transmit, Zero6Receive, NoZero6Receive, Strict])
            command.Options.Add(flag);
        foreach (var setting in PathMtuSettings.All) command.Options.Add(setting.Option);
        command.Options.Add(EchoSettings.Echo.Option);
        GuardSettings.AddTo(command);
        command.WithExamples(Examples);
        command.SetAction(static (result, cancellation) =>
        {
            var errors = TryRead(result, out var options);
            if (errors.Count == 0) return ForegroundVtep.RunAsync(options!, cancellation);
            CommandLine.WriteErrors(result, errors);
            return Task.FromResult(ExitCode.BadInput);
        });
        return command;
    }

    /// <summary>Validates everything at once.</summary>
    /// <returns>Every error, one line each; none if <paramref name="options"/> is set.</returns>
    internal static IReadOnlyList<string> TryRead(ParseResult result, out UpOptions? options)
    {
        options = null;
        var reader = new SettingReader(result);
        ConfigFile? file = null;
        if (reader.IsGiven(Config) && reader.Read<string?>(Config, Words.Text!, null) is { } path)
        {
            file = ConfigFile.Read(path, result.CommandResult.Command, [Config.Option], reader.Refuse);
            if (file is null) return reader.Errors;
            reader = reader.After(file.Top);
        }

        var local = reader.Read<InternetAddress>(Local, Words.UnicastAddress, default);
        var devices = new DeviceReader(Devices, Vni, ReadSegment).Read(result, reader, file);
        var (sourcePortMin, sourcePortMax) = reader.Read<(ushort, ushort)>(
            SourcePorts, Words.PortRange, (VtepOptions.DefaultSourcePortMin, ushort.MaxValue));
        var vtep = new VtepOptions
        {
            Local = LocalOrFamily(reader, local, [.. devices.SelectMany(static device => device.Remotes).DistinctBy(static remote => remote.Value)]),
            Port = reader.Read(Port, Words.Port, VtepAddress.DefaultPort),
            SourcePortMin = sourcePortMin,
            SourcePortMax = sourcePortMax,
            UdpChecksum = reader.ReadFlag(UdpChecksum, NoUdpChecksum, fallback: true),
            ZeroChecksum6Transmit = reader.ReadFlag(Zero6Transmit, NoZero6Transmit, fallback: false),
            ZeroChecksum6Receive = reader.ReadFlag(Zero6Receive, NoZero6Receive, fallback: false),
            Workers = reader.Read(Workers, Words.Number(1, VtepOptions.MaxWorkers), VtepOptions.DefaultWorkers),
            TransmitOffload = reader.Read<TransmitOffload?>(TransmitOffload, Words.TransmitOffload, null),
            ReceiveOffload = reader.Read(ReceiveOffload, Words.ReceiveOffload, true),
            Echo = EchoSettings.Read(reader),
        };
        options = new UpOptions
        {
            Vtep = vtep,
            Devices = [.. devices.Select(static device => device.Segment)],
            Device = GroupSettings.ReadDevice(reader),
            PathMtu = PathMtuSettings.Read(reader),
            Socket = reader.Read<string?>(Socket, Words.SocketPath!, null),
        };
        RefuseContradictions(reader, options, devices);
        if (reader.Errors.Count > 0) options = null;
        return reader.Errors;
    }

    /// <summary>Reads what each segment may have of its own: whatever is read here may stand in a segment of a configuration file.</summary>
    private static ReadDevice ReadSegment(SettingReader reader)
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
            NetworkNamespace = reader.Read<string?>(Netns, Words.Text!, null),
            TapDescriptor = reader.IsGiven(TapDescriptor) ? reader.Read(TapDescriptor, Words.Number(3, int.MaxValue), 0) : null,
            Fdb = [.. entries.Select(static entry => entry.Value)],
            Neighbours = reader.ReadAll<Neighbour>(Neigh, Words.Neighbour),
        };
        RefuseSegmentContradictions(reader, segment);
        var stations = new HashSet<MacAddress>();
        foreach (var entry in entries)
            if (entry.Value.Mac is { IsGroup: false, IsZero: false } mac && !stations.Add(mac)) reader.Refuse($"{entry.Name} {mac}: given twice; a station is behind one VTEP");
        return new ReadDevice(segment, [.. groups, .. remotes, .. entries.Where(static entry => !entry.Value.Destination.IsUnspecified).Select(static entry => new Given<InternetAddress>(entry.Value.Destination, entry.Name))], OuterSettings.FindFlowLabel(reader, shared.Outer));
    }

    private static InternetAddress LocalOrFamily(SettingReader reader, InternetAddress local, IReadOnlyList<Given<InternetAddress>> remotes)
    {
        var isGiven = reader.IsGiven(Local);
        if (!isGiven && remotes.Count == 0) reader.Refuse($"--local: missing; it must be {Local.Allowed} (or give a --remote, and the route decides)");
        var isIPv4 = isGiven ? local.IsIPv4 : remotes.Count == 0 || remotes[0].Value.IsIPv4;
        foreach (var remote in remotes)
        {
            if (remote.Value.IsIPv4 != isIPv4 && (!isGiven || !local.IsUnspecified))
                reader.Refuse($"{remote}: must be of the same family as {(isGiven ? $"{reader.NameOf(Local)} {local}" : remotes[0].ToString())}");
            if (isGiven && remote.Value == local) reader.Refuse($"{remote}: is the --local address; must be another VTEP");
        }

        return isGiven ? local : isIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
    }

    private static void RefuseContradictions(SettingReader reader, UpOptions options, IReadOnlyList<ReadDevice> devices)
    {
        foreach (var label in devices.Select(static device => device.FlowLabel).OfType<Given<string>>().Where(_ => options.Vtep.Local.IsIPv4))
            reader.Refuse($"{label}: only IPv6 has flow labels, and this underlay is IPv4; must be 0, or left out");
        GroupSettings.RefuseContradictions(reader, options);
        if (options.Devices.Count <= 1) return;
        foreach (var setting in (ReadOnlySpan<Setting>)[Mac, TapDescriptor, Address])
            if (reader.ReadGiven<string>(setting, Words.Text) is [var first, ..]) reader.Refuse($"{first}: only one device can have it");
        if (options.Socket is { } socket) reader.Refuse($"{reader.NameOf(Socket)} {socket}: not with several devices; each has /run/sleeve/DEV.sock");
    }

    private static void RefuseSegmentContradictions(SettingReader reader, UpSegment segment)
    {
        if (reader.IsGiven(GbpAccept) && !reader.IsGiven(Gbp)) reader.Refuse($"{reader.NameOf(GbpAccept)}: needs --gbp (0 to stamp nothing)");
        if (segment.Remotes.Count > ReplicationList.MaxRemotes)
            reader.Refuse($"{reader.NameOf(Remote)}: given {segment.Remotes.Count} times; at most {ReplicationList.MaxRemotes} are allowed");
        if (segment.Mtu is < 1280 and > 0 && segment.Addresses.Any(address => !address.Address.IsIPv4))
            reader.Refuse($"{reader.NameOf(Mtu)} {segment.Mtu}: must be at least 1280 for an IPv6 --address (RFC 8200, section 5)");
    }
}
