using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary>The words that every command against a running VTEP takes: which device, which socket, how to print.</summary>
internal sealed class DeviceOptions
{
    /// <summary>Which device.</summary>
    public Setting Device { get; } = new("--dev", "DEV", "The TAP of the segment.", "an interface name");

    /// <summary>Which socket.</summary>
    public Setting Socket { get; } = new("--socket", "PATH", "Unix socket of the VTEP. [/run/sleeve/DEV.sock]", "a path");

    /// <summary>Print JSON.</summary>
    public Option<bool> Json { get; } = new("--json", "-j") { Description = "Print JSON." };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command, bool isRead)
    {
        command.Options.Add(Device.Option);
        command.Options.Add(Socket.Option);
        if (isRead) command.Options.Add(Json);
    }

    /// <summary>The device and the socket of a command that changes one device.</summary>
    public (string Device, string Path) Require(SettingReader reader)
    {
        var device = reader.Require<string>(Device, Words.LinkName) ?? "";
        return (device, reader.Read<string?>(Socket, Words.Text!, null) ?? SocketFile.Of(device));
    }

    /// <summary>The devices and sockets to read from: the one named, or every one there is.</summary>
    public IReadOnlyList<(string Device, string Path)> Select(SettingReader reader)
    {
        var path = reader.Read<string?>(Socket, Words.Text!, null);
        if (reader.IsGiven(Device) || path is not null)
        {
            var (device, own) = Require(reader);
            return [(device, own)];
        }

        return [.. SocketFile.Devices().Select(static device => (device, SocketFile.Of(device)))];
    }

    /// <summary>Runs a command's work: bad words end with 2, a refusal with 1 and its reason on one line.</summary>
    public static async Task<int> RunAsync(ParseResult result, Func<SettingReader, Func<Task>?> read)
    {
        var reader = new SettingReader(result);
        var work = read(reader);
        if (reader.Errors.Count > 0 || work is null)
        {
            CommandLine.WriteErrors(result, reader.Errors);
            return ExitCode.BadInput;
        }

        try
        {
            await work();
            return ExitCode.Done;
        }
        catch (HostException refusal)
        {
            CommandLine.WriteErrors(result, [refusal.Message]);
            return ExitCode.Failed;
        }
    }
}
