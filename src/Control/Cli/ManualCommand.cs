using System.CommandLine;
using System.Globalization;
using Sleeve.Control.Manual;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve manual</c>: writes the manual pages. Hidden: whoever makes a package asks it, users ask man(1).</summary>
internal static class ManualCommand
{
    // https://reproducible-builds.org/specs/source-date-epoch/: seconds since 1970, for whatever is made out of the same source to be the same.
    private const string DateVariable = "SOURCE_DATE_EPOCH";
    private const long MaxDate = 253_402_300_799;

    private static readonly Setting Output = new("--output", "DIR", "Write the pages into this directory, as DIR/man1 and DIR/man5. [.]", "a directory that can be made or written");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var manual = new Command("manual", "Write the manual pages: sleeve(1), one for each verb, and sleeve.yaml(5).") { Output.Option };
        manual.Hidden = true;
        manual.SetAction(static (result, _) => Task.FromResult(Write(result)));
        return manual;
    }

    /// <summary>Every page under its path below the manual's directory: <c>man1/sleeve-up.1</c>.</summary>
    internal static IEnumerable<(string Path, string Text)> Pages(DateTimeOffset made)
    {
        var root = CommandLine.CreateRoot();
        var date = made.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var pages = new CommandPage(date, ProgramVersion.Release);
        yield return ("man1/sleeve.1", pages.WriteProgram(root));
        foreach (var verb in CommandPage.VerbsOf(root)) yield return ($"man1/{CommandPage.NameOf(verb)}.1", pages.WriteVerb(root, verb));
        yield return ("man5/sleeve.yaml.5", ConfigurationPage.WriteRoff(date, ProgramVersion.Release));
    }

    private static int Write(ParseResult result)
    {
        var reader = new SettingReader(result);
        var folder = reader.Read<string>(Output, Words.Text, ".");
        var made = ReadDate(reader);
        if (reader.Errors.Count > 0)
        {
            CommandLine.WriteErrors(result, reader.Errors);
            return ExitCode.BadInput;
        }

        try
        {
            foreach (var (path, text) in Pages(made))
            {
                var file = Path.Combine(folder, path);
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                File.WriteAllText(file, text);
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return CommandLine.Fail("manual", $"--output {folder}: {failure.Message}");
        }

        return ExitCode.Done;
    }

    private static DateTimeOffset ReadDate(SettingReader reader)
    {
        if (Environment.GetEnvironmentVariable(DateVariable) is not { Length: > 0 } text) return DateTimeOffset.UtcNow;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= MaxDate) return DateTimeOffset.FromUnixTimeSeconds(seconds);
        reader.Refuse($"{DateVariable} {text}: must be 0 to {MaxDate} (seconds since 1970)");
        return default;
    }
}
