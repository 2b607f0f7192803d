using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve config</c>: looks at a configuration file of <c>sleeve up</c> without running it.</summary>
internal static class ConfigCommand
{
    private static readonly Argument<string[]> Files = new("FILE") { Description = "The configuration file.", HelpName = "FILE", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var check = new Command("check", "Read a file as sleeve up would, and tell every error; changes nothing.") { Files, Json };
        check.SetAction(static (result, _) => Task.FromResult(Check(result)));
        var config = new Command("config", "Check a configuration file; have a daemon read its own again; show what is in use.") { check, CreateReload(), CreateShow() };
        config.WithExamples("""
            Exit code 0: the file is right; 2: it is not, and every error stands on a line with file, line and key.

            Examples:
              sleeve config check /etc/sleeve/net.yaml
              sleeve config reload                          the daemon changes what differs, or refuses the whole
              sleeve config show
              sleeve config check net.json --json           {"file":…,"valid":…,"segments":…,"errors":[{"line":…,"error":…}]}
            """);
        return config;
    }

    private static Command CreateReload()
    {
        var reload = new Command("reload", "Have the daemon read its configuration file again and change what differs.") { DaemonSocket.Option.Option, Json };
        reload.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var changes = await client.PostAsync("config/reload", ApiJson.Default.IReadOnlyListSegmentChangeJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(changes, ApiJson.Default.IReadOnlyListSegmentChangeJson));
                else if (changes.Count == 0) Console.Out.WriteLine("nothing differs");
                else
                {
                    foreach (var change in changes) Console.Out.WriteLine($"{change.Ifname} {change.Change}{(change.Details.Count == 0 ? "" : $": {string.Join(", ", change.Details)}")}");
                }

                if (changes.Any(static change => change.Change == "failed")) throw new HostException("not every segment could be had; sleeve segment show tells which");
            };
        }));
        return reload;
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show the configuration that the daemon has in use, as JSON.") { DaemonSocket.Option.Option, Json };
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                Console.Out.WriteLine(JsonSerializer.Serialize(await client.GetAsync("config", ApiJson.Default.ConfigurationJson), ApiJson.Default.ConfigurationJson));
            };
        }));
        return show;
    }

    private static int Check(ParseResult result)
    {
        var files = result.GetValue(Files) ?? [];
        if (files.Length != 1)
        {
            CommandLine.WriteErrors(result, [files.Length == 0 ? "FILE: missing; it must be a readable file" : $"{files[1]}: not expected here"]);
            return ExitCode.BadInput;
        }

        var file = files[0];
        var up = CommandLine.CreateRoot().Parse(["up", "--config", file], new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        var errors = UpCommand.TryRead(up, out var options);
        var segments = options?.Devices.Count ?? 0;
        if (errors.Count > 0)
        {
            // The daemon may begin without segments, and without an address of its own; and it has keys that up has not.
            var asDaemon = CheckAsDaemon(file, out var count);
            if (asDaemon.Count == 0 || errors.Any(error => error.Contains(UnknownKey, StringComparison.Ordinal) && !asDaemon.Contains(error))) (errors, segments) = (asDaemon, count);
        }

        if (result.GetValue(Json))
        {
            var report = new ConfigReportJson(file, errors.Count == 0, segments, [.. errors.Select(error => Split(file, error))]);
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ApiJson.Default.ConfigReportJson));
        }
        else if (errors.Count > 0)
        {
            CommandLine.WriteErrors(result, errors);
        }
        else
        {
            Console.Out.WriteLine($"{file}: right, {segments} segment{(segments == 1 ? "" : "s")}");
        }

        return errors.Count == 0 ? ExitCode.Done : ExitCode.BadInput;
    }

    private const string UnknownKey = "unknown key";

    private static IReadOnlyList<string> CheckAsDaemon(string path, out int segments)
    {
        segments = 0;
        var found = new List<string>();
        if (Configuration.ReadFile(path, found.Add) is not { } file) return found;
        var configuration = Configuration.Read(DaemonCommand.Create().Parse([]), file, found, [], out var errors);
        segments = configuration?.Segments.Count ?? 0;
        return errors;
    }

    // FILE:LINE: error
    private static ConfigErrorJson Split(string file, string error)
    {
        if (!error.StartsWith(file + ":", StringComparison.Ordinal)) return new ConfigErrorJson(null, error);
        var rest = error[(file.Length + 1)..];
        var colon = rest.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && int.TryParse(rest[..colon], NumberStyles.None, CultureInfo.InvariantCulture, out var line)
            ? new ConfigErrorJson(line, rest[(colon + 1)..].TrimStart())
            : new ConfigErrorJson(null, rest.TrimStart());
    }
}
