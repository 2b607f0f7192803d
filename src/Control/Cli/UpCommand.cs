using System.CommandLine;
using Sleeve.Control.Host;
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

    private static readonly Setting Gbp = new(
        "--gbp", "GROUP", "Group policy extension: stamp this group on frames from the TAP, with ,dont-learn or ,applied the D or A bit; read what others stamp. [off]",
        Words.PolicyAllowed);
    private static readonly Setting GbpAccept = new(
        "--gbp-accept", "GROUPS", "With --gbp: deliver frames of these groups only (0: of none), and those with the A bit. [any]", Words.GroupsAllowed);
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
        foreach (var setting in (ReadOnlySpan<Setting>)[Vni, Local, Remote, Port, SourcePorts, Ageing, MaxAddress, Admit, Mtu, Address, Bridge, Mac, Netns, TapDescriptor, Socket, Gbp, GbpAccept, Workers, TransmitOffload, ReceiveOffload])
            command.Options.Add(setting.Option);
        OuterSettings.AddTo(command);
        GroupSettings.AddTo(command);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[
            Learning, NoLearning, Proxy, NoProxy, UdpChecksum, NoUdpChecksum, Zero6Transmit, NoZero6Transmit, Zero6Receive, NoZero6Receive, Strict])
            command.Options.Add(flag);
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
        var reader = new SettingReader(result);
        var local = reader.Read<InternetAddress>(Local, Words.UnicastAddress, default);
        var remotes = reader.ReadAll<InternetAddress>(Remote, Words.UnicastAddress);
        var groups = GroupSettings.ReadGroups(reader);
        var (sourcePortMin, sourcePortMax) = reader.Read<(ushort, ushort)>(
            SourcePorts, Words.PortRange, (VtepOptions.DefaultSourcePortMin, ushort.MaxValue));
        var addresses = reader.ReadAll<AddressPrefix>(Address, Words.Prefix);
        var vtep = new VtepOptions
        {
            Local = LocalOrFamily(reader, local, remotes, groups),
            Port = reader.Read(Port, Words.Port, VtepAddress.DefaultPort),
            SourcePortMin = sourcePortMin,
            SourcePortMax = sourcePortMax,
            UdpChecksum = reader.ReadFlag(UdpChecksum, NoUdpChecksum, fallback: true),
            ZeroChecksum6Transmit = reader.ReadFlag(Zero6Transmit, NoZero6Transmit, fallback: false),
            ZeroChecksum6Receive = reader.ReadFlag(Zero6Receive, NoZero6Receive, fallback: false),
            Workers = reader.Read(Workers, Words.Number(1, VtepOptions.MaxWorkers), VtepOptions.DefaultWorkers),
            TransmitOffload = reader.Read<TransmitOffload?>(TransmitOffload, Words.TransmitOffload, null),
            ReceiveOffload = reader.Read(ReceiveOffload, Words.ReceiveOffload, true),
        };
        var shared = new SegmentOptions
        {
            Vni = default,
            Name = "",
            Learning = reader.ReadFlag(Learning, NoLearning, fallback: true),
            AgeingSeconds = reader.Read(Ageing, Words.Number(0, 1_000_000), SegmentOptions.DefaultAgeingSeconds),
            MaxAddress = reader.Read(MaxAddress, Words.Number(0, SegmentOptions.DefaultMaxAddress), 0),
            Proxy = reader.ReadFlag(Proxy, NoProxy, fallback: false),
            Admission = reader.Read(Admit, Words.Admission, Admission.Peers),
            Strict = result.GetValue(Strict),
            Outer = OuterSettings.Read(reader, vtep.Local.IsIPv4),
            Policy = reader.IsGiven(Gbp) ? reader.Read<GroupPolicy>(Gbp, Words.Policy, default) : null,
            AcceptedGroups = reader.Read<PolicyGroups?>(GbpAccept, Words.Groups, null),
        };
        options = new UpOptions
        {
            Vtep = vtep,
            Segments = GroupSettings.Assign(reader, ReadSegments(result, reader, shared), groups, vtep.Local.IsIPv4),
            Device = GroupSettings.ReadDevice(reader),
            Remotes = remotes,
            Mtu = reader.IsGiven(Mtu) ? reader.Read(Mtu, Words.Number(68, 65521), 0) : null,
            Addresses = addresses,
            Bridge = reader.Read<string?>(Bridge, Words.LinkName!, null),
            Mac = reader.IsGiven(Mac) ? reader.Read<MacAddress>(Mac, Words.StationMac, default) : null,
            NetworkNamespace = reader.Read<string?>(Netns, Words.Text!, null),
            TapDescriptor = reader.IsGiven(TapDescriptor) ? reader.Read(TapDescriptor, Words.Number(3, int.MaxValue), 0) : null,
            Socket = reader.Read<string?>(Socket, Words.SocketPath!, null),
        };
        RefuseContradictions(reader, options);
        if (reader.Errors.Count > 0) options = null;
        return reader.Errors;
    }

    private static InternetAddress LocalOrFamily(
        SettingReader reader, InternetAddress local, IReadOnlyList<InternetAddress> remotes, IReadOnlyList<InternetAddress> groups)
    {
        var isGiven = reader.IsGiven(Local);
        if (!isGiven && remotes.Count == 0 && groups.Count > 0) return groups[0].IsIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
        if (!isGiven && remotes.Count == 0) reader.Refuse($"--local: missing; it must be {Local.Allowed} (or give a --remote, and the route decides)");
        var isIPv4 = isGiven ? local.IsIPv4 : remotes.Count == 0 || remotes[0].IsIPv4;
        foreach (var remote in remotes)
            if (remote.IsIPv4 != isIPv4 && (!isGiven || !local.IsUnspecified))
                reader.Refuse($"--remote {remote}: must be of the same family as {(isGiven ? $"--local {local}" : $"--remote {remotes[0]}")}");
        return isGiven ? local : isIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
    }

    private static List<SegmentOptions> ReadSegments(ParseResult result, SettingReader reader, SegmentOptions shared)
    {
        var words = result.GetValue(Devices) ?? [];
        var segments = new List<SegmentOptions>(words.Length);
        if (words.Length == 0) reader.Refuse($"DEV: missing; it must be {Words.LinkNameAllowed}");
        var vni = reader.Read<Vni?>(Vni, ReadVni, null);
        if (words.Length == 0 && !reader.IsGiven(Vni)) reader.Refuse($"--vni: missing; it must be {Vni.Allowed}");
        if (words.Length > 1 && reader.IsGiven(Vni))
        {
            // One word too many, or one option too many: either way nothing after it can be judged.
            reader.Refuse($"{words[1]}: not expected here; with several devices ({string.Join(' ', words)}) each must be DEV:VNI, without --vni");
            return segments;
        }

        foreach (var word in words)
        {
            var colon = word.LastIndexOf(':');
            var name = colon < 0 ? word : word[..colon];
            if (!Words.LinkName(name, out _)) reader.Refuse($"DEV {name}: must be {Words.LinkNameAllowed}");
            var own = vni;
            if (colon >= 0 && !ReadVni(word[(colon + 1)..], out own)) reader.Refuse($"DEV {word}: its VNI must be {Vni.Allowed}");
            else if (colon >= 0 && words.Length == 1 && vni is { } given && given != own) reader.Refuse($"--vni {given}: contradicts {word}");
            else if (colon < 0 && words.Length > 1) reader.Refuse($"DEV {word}: must be DEV:VNI where there are several");
            else if (colon < 0 && !reader.IsGiven(Vni)) reader.Refuse($"--vni: missing for {name}; it must be {Vni.Allowed}");
            if (segments.Any(other => other.Name == name)) reader.Refuse($"DEV {word}: {name} is given twice");
            if (own is { } value && segments.Any(other => other.Vni == value)) reader.Refuse($"DEV {word}: vni {value} is given twice");
            segments.Add(shared with { Name = name, Vni = own ?? default });
        }

        return segments;

        static bool ReadVni(string text, out Vni? value)
        {
            var read = Words.Vni(text, out var vni);
            value = read ? vni : null;
            return read;
        }
    }

    private static void RefuseContradictions(SettingReader reader, UpOptions options)
    {
        if (reader.IsGiven(GbpAccept) && !reader.IsGiven(Gbp)) reader.Refuse("--gbp-accept: needs --gbp (0 to stamp nothing)");
        if (options.Segments.Count > 1)
        {
            if (options.Mac is { } mac) reader.Refuse($"--mac {mac}: only one device can have it");
            if (options.TapDescriptor is { } descriptor) reader.Refuse($"--tap-fd {descriptor}: only one device can have it");
            if (options.Addresses is [var first, ..]) reader.Refuse($"--address {first}: only one device can have it");
            if (options.Socket is { } socket) reader.Refuse($"--socket {socket}: not with several devices; each has /run/sleeve/DEV.sock");
        }

        if (options.Remotes.Count > ReplicationList.MaxRemotes)
            reader.Refuse($"--remote: given {options.Remotes.Count} times; at most {ReplicationList.MaxRemotes} are allowed");
        if (options.Bridge is { } bridge && options.Segments.Any(segment => segment.Name == bridge)) reader.Refuse($"--bridge {bridge}: cannot be the device itself");
        foreach (var remote in options.Remotes)
            if (remote == options.Vtep.Local) reader.Refuse($"--remote {remote}: is the --local address; must be another VTEP");
        if (options.Mtu is < 1280 and > 0 && options.Addresses.Any(address => !address.Address.IsIPv4))
            reader.Refuse($"--mtu {options.Mtu}: must be at least 1280 for an IPv6 --address (RFC 8200, section 5)");
    }
}
