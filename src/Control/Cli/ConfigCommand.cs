using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;

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
        var config = new Command("config", "Check a configuration file of sleeve up.") { check };
        config.WithExamples("""
            Exit code 0: the file is right; 2: it is not, and every error stands on a line with file, line and key.

            Examples:
              sleeve config check /etc/sleeve/net.yaml
              sleeve config check net.json --json           {"file":…,"valid":…,"segments":…,"errors":[{"line":…,"error":…}]}
            """);
        return config;
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
