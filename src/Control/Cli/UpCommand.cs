using System.CommandLine;
using Sleeve.Control.Config;
using Sleeve.Control.Daemon;
using Sleeve.Control.Up;

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

    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket for commands. [/run/sleeve/DEV.sock]", Words.SocketPathAllowed);
    private static readonly Setting Config = new(
        "--config", "FILE", "Read options and segments from a file, YAML or JSON; options given here go before those at its top.", "a readable file");

    /// <summary>Options that have no place in a configuration file.</summary>
    public static IReadOnlyCollection<Option> NotInFile { get; } = [Config.Option];

    /// <summary>Options that have no place in that of the daemon.</summary>
    public static IReadOnlyCollection<Option> NotInDaemonFile { get; } = [Config.Option, Socket.Option, SegmentSettings.PassedDescriptor];

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("up", "Run one VTEP in the foreground until SIGINT or SIGTERM.") { Devices };
        SegmentSettings.AddTo(command);
        VtepSettings.AddTo(command);
        UserSettings.AddTo(command);
        FrontendSettings.AddTo(command);
        UserSettings.AddTo(command);
        command.Options.Add(Socket.Option);
        command.Options.Add(Config.Option);
        command.WithExamples(Examples);
        command.SetAction(static (result, cancellation) =>
        {
            var errors = TryRead(result, out var options);
            if (errors.Count == 0 && UserSettings.TryBecome(options!.User, options.Vtep, options.Devices, options.PathMtu) is { } failure) return Task.FromResult(CommandLine.Fail("up", failure));
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
            file = ConfigFile.Read(path, result.CommandResult.Command, NotInFile, reader.Refuse);
            if (file is null) return reader.Errors;
            reader = reader.After(file.Top);
            // The daemon may begin with none.
            if (file is { Segments.Count: 0 } && file.Root.Find(ConfigFile.SegmentsKey) is { Value: ConfigList { Items.Count: 0 } } none)
                reader.Refuse($"{path}:{none.Line}: {ConfigFile.SegmentsKey}: has 0 members; must have 1 to {ConfigLimits.MaxSegments}");
        }

        var devices = new DeviceReader(SegmentSettings.Vni, SegmentSettings.Read).Read(result.GetValue(Devices) ?? [], reader, file);
        options = new UpOptions
        {
            Vtep = VtepSettings.Read(reader, devices, mayBeAlone: false),
            Devices = [.. devices.Select(static device => device.Segment)],
            Device = GroupSettings.ReadDevice(reader),
            PathMtu = PathMtuSettings.Read(reader),
            User = UserSettings.Read(reader),
            Socket = reader.Read<string?>(Socket, Words.SocketPath!, null),
            Frontend = FrontendSettings.Read(reader),
        };
        RefuseContradictions(reader, options, devices);
        if (reader.Errors.Count > 0) options = null;
        return reader.Errors;
    }

    private static void RefuseContradictions(SettingReader reader, UpOptions options, IReadOnlyList<ReadDevice> devices)
    {
        VtepSettings.RefuseContradictions(reader, options.Vtep, devices);
        GroupSettings.RefuseContradictions(reader, options.Device, options.Devices);
        if (options.Devices.Count <= 1) return;
        foreach (var setting in SegmentSettings.OfOneDevice)
            if (reader.ReadGiven<string>(setting, Words.Text) is [var first, ..]) reader.Refuse($"{first}: only one device can have it");
        if (options.Socket is { } socket) reader.Refuse($"{reader.NameOf(Socket)} {socket}: not with several devices; each has /run/sleeve/DEV.sock");
    }
}
