using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary>The words that every command against a running VTEP takes: which device, which socket, how to print.</summary>
internal sealed class DeviceOptions
{
    /// <summary>Which device.</summary>
    public Setting Device { get; } = new Setting("--dev", "DEV", "The TAP of the segment.", Words.LinkNameAllowed).Suggesting(SocketFile.Devices);

    /// <summary>Which socket.</summary>
    public Setting Socket { get; } = new("--socket", "PATH", "Unix socket of the VTEP, or https://HOST:PORT. [SLEEVE_API, or /run/sleeve/DEV.sock]", Words.PlaceAllowed);

    /// <summary>Print JSON.</summary>
    public Option<bool> Json { get; } = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

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
        return (device, reader.Read<string?>(Socket, Words.Place!, null) ?? SocketFile.Of(device));
    }

    /// <summary>The devices and sockets to read from: the one named, or every one there is.</summary>
    public IReadOnlyList<(string Device, string Path)> Select(SettingReader reader)
    {
        if (reader.IsGiven(Device) || reader.IsGiven(Socket))
        {
            var (device, own) = Require(reader);
            return [(device, own)];
        }

        return [.. SocketFile.Devices().Select(static device => (device, SocketFile.Of(device)))];
    }

    /// <summary>Runs a command's work: bad words end with 2, a refusal with 1 and its reason on one line.</summary>
    public static async Task<int> RunAsync(ParseResult result, Func<SettingReader, Func<Task>?> read)
    {
        var reader = new SettingReader(result).After(new ApiEnvironment());
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

    /// <summary>
    /// Reads from every source. Where several are asked, one that does not answer does not hide the others.
    /// </summary>
    /// <param name="sources">As <see cref="Select"/> gave them.</param>
    /// <param name="read">Asks one.</param>
    /// <returns>The answers, and what to end with once they are shown: null, or why some are missing.</returns>
    /// <exception cref="HostException">The only source does not answer.</exception>
    public static async Task<(IReadOnlyList<T> Answers, HostException? Missing)> ReadAsync<T>(
        IReadOnlyList<(string Device, string Path)> sources, Func<string, ApiClient, Task<T>> read)
    {
        var answers = new List<T>();
        var missing = new List<string>();
        foreach (var (device, path) in sources)
        {
            using var client = new ApiClient(path);
            try
            {
                answers.Add(await read(device, client));
            }
            catch (HostException failure) when (sources.Count > 1)
            {
                missing.Add(failure.Message);
            }
        }

        return (answers, missing.Count > 0 ? new HostException(string.Join("; ", missing)) : null);
    }
}
