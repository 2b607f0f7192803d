using System.CommandLine;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>The settings that all segments of a VTEP share: its address, ports, threads and offloads.</summary>
internal static class VtepSettings
{
    private static readonly Setting Local = new(
        "--local", "IP", "Underlay address to send from; its family is the underlay's.", "an IPv4 or IPv6 unicast address, not link-local");
    private static readonly Setting Port = new("--dstport", "PORT", "UDP port to receive on and to send to. [4789]", "1 to 65535");
    private static readonly Setting SourcePorts = new(
        "--srcport", "MIN-MAX", "UDP source ports, one a flow. [49152-65535]", "MIN-MAX, each 1 to 65535, MIN not above MAX");
    private static readonly Setting Workers = new Setting(
        "--workers", "N", "Threads that move frames, each with its own queue and sockets. [cores, at most 4]", $"1 to {VtepOptions.MaxWorkers}").In("threads");
    private static readonly Setting TransmitOffload = new(
        "--tx-offload", "HOW", "Send super-frames and runs whole, for the kernel to cut. [auto: the first that its self-test passes]", "auto, tunnel-gso, udp-gso or none");
    private static readonly Setting ReceiveOffload = new(
        "--rx-offload", "HOW", "Take runs at once, merge them for the TAP. [auto: on]", "auto or none");
    private static readonly Option<bool> UdpChecksum = Setting.Flag("--udpcsum", "Compute UDP checksums over IPv4. [on]");
    private static readonly Option<bool> NoUdpChecksum = Setting.Flag("--noudpcsum", "Send zero UDP checksums over IPv4.");
    private static readonly Option<bool> Zero6Transmit = Setting.Flag("--udp6zerocsumtx", "Send zero UDP checksums over IPv6. [off]");
    private static readonly Option<bool> NoZero6Transmit = Setting.Flag("--noudp6zerocsumtx", "Compute them.");
    private static readonly Option<bool> Zero6Receive = Setting.Flag("--udp6zerocsumrx", "Take zero UDP checksums over IPv6. [off]");
    private static readonly Option<bool> NoZero6Receive = Setting.Flag("--noudp6zerocsumrx", "Drop them.");

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Local, Port, SourcePorts, Workers, TransmitOffload, ReceiveOffload]) command.Options.Add(setting.Option);
        command.Options.Add(GroupSettings.Device.Option);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[UdpChecksum, NoUdpChecksum, Zero6Transmit, NoZero6Transmit, Zero6Receive, NoZero6Receive]) command.Options.Add(flag);
        foreach (var setting in PathMtuSettings.OfVtep) command.Options.Add(setting.Option);
        command.Options.Add(EchoSettings.Echo.Option);
    }

    /// <summary>Reads them.</summary>
    /// <param name="reader">Collects the errors.</param>
    /// <param name="devices">The segments: the family of their remotes is the underlay's if no address is given.</param>
    /// <param name="mayBeAlone">Whether there may be neither an address nor a remote; the underlay is IPv4 then.</param>
    public static VtepOptions Read(SettingReader reader, IReadOnlyList<ReadDevice> devices, bool mayBeAlone)
    {
        var local = reader.Read<InternetAddress>(Local, Words.UnicastAddress, default);
        var (sourcePortMin, sourcePortMax) = reader.Read<(ushort, ushort)>(
            SourcePorts, Words.PortRange, (VtepOptions.DefaultSourcePortMin, ushort.MaxValue));
        return new VtepOptions
        {
            Local = LocalOrFamily(reader, local, [.. devices.SelectMany(static device => device.Remotes).DistinctBy(static remote => remote.Value)], mayBeAlone),
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
    }

    private static InternetAddress LocalOrFamily(SettingReader reader, InternetAddress local, IReadOnlyList<Given<InternetAddress>> remotes, bool mayBeAlone)
    {
        var isGiven = reader.IsGiven(Local);
        if (!isGiven && remotes.Count == 0 && !mayBeAlone) reader.Refuse($"--local: missing; it must be {Local.Allowed} (or give a --remote, and the route decides)");
        var isIPv4 = isGiven ? local.IsIPv4 : remotes.Count == 0 || remotes[0].Value.IsIPv4;
        foreach (var remote in remotes)
        {
            if (remote.Value.IsIPv4 != isIPv4 && (!isGiven || !local.IsUnspecified))
                reader.Refuse($"{remote}: must be of the same family as {(isGiven ? $"{reader.NameOf(Local)} {local}" : remotes[0].ToString())}");
            if (isGiven && remote.Value == local) reader.Refuse($"{remote}: is the --local address; must be another VTEP");
        }

        return isGiven ? local : isIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
    }

    /// <summary>Refuses what only IPv6 has on an IPv4 underlay.</summary>
    public static void RefuseContradictions(SettingReader reader, VtepOptions options, IReadOnlyList<ReadDevice> devices)
    {
        foreach (var label in devices.Select(static device => device.FlowLabel).OfType<Given<string>>().Where(_ => options.Local.IsIPv4))
            reader.Refuse($"{label}: only IPv6 has flow labels, and this underlay is IPv4; must be 0, or left out");
    }
}
