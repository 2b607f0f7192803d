using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve daemon</c>: all segments of a host as a service.</summary>
internal static class DaemonCommand
{
    private static readonly Setting Config = new("--config", "FILE", $"Configuration file, YAML or JSON. [{Configuration.DefaultFile}, if it is there]", "a readable file");
    private static readonly Setting State = new("--state", "DIR", "Folder for what outlives the daemon. [/var/lib/sleeve, or a user's own]", "a folder");
    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket for commands. [/run/sleeve/sleeve.sock, or a user's own]", Words.SocketPathAllowed);

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("daemon", "Run all segments of this host as a service; TAPs and connections over them outlive it.");
        foreach (var setting in (ReadOnlySpan<Setting>)[Config, State, Socket]) command.Options.Add(setting.Option);
        VtepSettings.AddTo(command);
        UserSettings.AddTo(command);
        FrontendSettings.AddTo(command);
        ClusterSettings.AddTo(command);
        DockerSettings.AddTo(command);
        command.WithExamples($$"""
            SIGHUP (or: sleeve config reload) reads the configuration again and changes what differs; SIGTERM ends it and leaves the TAPs for the next run.

            Examples:
              sleeve daemon                                 as {{Configuration.DefaultFile}} says
              sleeve daemon --config net.yaml --state /tmp/s --socket /tmp/s/sock
              sleeve segment add vx0 vni 100 remote 192.0.2.2
            """);
        command.SetAction(static (result, cancellation) =>
        {
            var reader = new SettingReader(result);
            var options = new ServiceOptions(
                result, reader.Read<string?>(Config, Words.Text!, null), reader.Read(State, Words.Text, HostFolders.State), reader.Read(Socket, Words.SocketPath, SocketFile.PathFor(SocketFile.DaemonName)));
            if (reader.Errors.Count == 0) return Service.RunAsync(options, cancellation);
            CommandLine.WriteErrors(result, reader.Errors);
            return Task.FromResult(ExitCode.BadInput);
        });
        return command;
    }
}
