using System.Diagnostics;
using Sleeve.Control.Cli;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Cli;

/// <summary>What a shell is told that may stand at the cursor, and that bash asks for it.</summary>
[Collection(ConsoleTests.Name)]
public class CompletionTests
{
    private const string Verbs = "up daemon segment token join leave peer net ipam attach detach endpoint cni names audit fdb neigh stats top monitor log explain capture web doctor bench config handover purge demo completion";

    // The last word is the one under the cursor; a dot stands for an empty one.
    [Theory]
    [InlineData(".", Verbs + " --help -h --version")]
    [InlineData("c", "capture cni config completion")]
    [InlineData("fdb .", "show add append replace del flush audit")]
    [InlineData("fdb a", "add append audit")]
    [InlineData("nonsense .", "")]
    [InlineData("fdb nonsense a", "")]
    [InlineData("up --vn", "--vni")]
    [InlineData("up vx0 vn", "vni")]
    [InlineData("up vx0 --gbp", "--gbp --gbp-accept")]
    [InlineData("up vx0 --proxy --proxy", "--proxy-strict")]
    [InlineData("up vx0 bridge --vn", "")]
    [InlineData("up vx0 bridge local --loc", "--local")]
    [InlineData("up vx0 --hel", "--help")]
    [InlineData("up -- --vn", "")]
    [InlineData("capture vx0 --wr", "--write")]
    [InlineData("capture an", "any")]
    [InlineData("capture vx0 an", "")]
    [InlineData("explain vx0 --from un", "underlay")]
    [InlineData("explain vx0 from .", "tap underlay")]
    [InlineData("monitor lea", "learned")]
    [InlineData("completion .", "bash zsh fish")]
    [InlineData("complete .", "")]
    public void Words_that_fit_are_named(string words, string expected)
    {
        var found = Completer.Complete(CommandLine.CreateRoot(), [.. words.Split(' ').Select(static word => word == "." ? "" : word)]);
        if (words == "fdb .") found = [.. found.Where(static word => word[0] != '-')];
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Options_have_both_spellings_and_without_a_dash_iproute2s()
    {
        var options = CommandLine.CreateRoot().Subcommands.Single(static command => command.Name == "up").Options;
        var (dashed, bare) = (Of("up", "vx0", "--"), Of("up", "vx0", ""));
        Assert.All(options.Where(static option => option.Name.StartsWith("--", StringComparison.Ordinal) && option.Name is not ("--help" or "--version")), option =>
        {
            Assert.Contains(option.Name, dashed);
            Assert.Contains(option.Name[2..], bare);
        });
        Assert.DoesNotContain(bare, static word => word.StartsWith('-'));
    }

    [Theory]
    [InlineData("completion", "sleeve completion: SHELL: missing; it must be bash, zsh or fish")]
    [InlineData("completion tcsh", "sleeve completion: SHELL tcsh: must be bash, zsh or fish")]
    [InlineData("completion bash zsh", "sleeve completion: zsh: not expected here")]
    public void Other_shells_are_refused(string words, string error)
    {
        var outcome = Outcome.Of(words);
        Assert.Equal((ExitCode.BadInput, ""), (outcome.Code, outcome.Output));
        Assert.Equal([error], outcome.ErrorLines);
    }

    [Fact]
    public void The_command_that_scripts_ask_is_not_in_the_help()
    {
        Assert.DoesNotContain("  complete ", Outcome.Of("--help").Output, StringComparison.Ordinal);
        Assert.Equal("capture\n", Outcome.Of("complete -- ca").Output);
    }

    [SkippableTheory]
    [InlineData("sleeve up --vn", "--vni")]
    [InlineData("sleeve cap", "capture")]
    [InlineData("sleeve fdb re", "replace")]
    [InlineData("sleeve stats --j", "--json")]
    [InlineData("sleeve capture a", "any")]
    [InlineData("sleeve neigh add 2001:db8::1 lla", "lladdr")]
    [InlineData("sleeve up --config /no", "")]
    public async Task Bash_completes_by_the_script(string line, string expected)
    {
        Skip.IfNot(File.Exists("/bin/bash") || File.Exists("/usr/bin/bash"), "needs the program bash: apt-get install bash");
        var folder = Directory.CreateTempSubdirectory("sleeve-completion-").FullName;
        try
        {
            var program = Path.Combine(folder, "sleeve");
            await File.WriteAllTextAsync(program, $"#!/bin/sh\nexec '{string.Join("' '", RunningVtep.Executable)}' \"$@\"\n");
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            // As readline does it: words, among which colons are some of their own, and the number of the one under the cursor.
            var words = line.Split(' ').SelectMany(static word => System.Text.RegularExpressions.Regex.Split(word, "(:+)")).ToArray();
            var script = $$"""
                source <(sleeve completion bash)
                complete -p sleeve >&2
                COMP_WORDS=({{string.Join(' ', words.Select(static word => $"'{word}'"))}})
                COMP_CWORD={{words.Length - 1}}
                COMP_LINE='{{line}}'
                COMP_POINT={{line.Length}}
                _sleeve sleeve '{{words[^1]}}' '{{words[^2]}}'
                printf '%s\n' "${COMPREPLY[@]}"
                """;
            var start = new ProcessStartInfo("bash", ["--norc", "-c", script]) { RedirectStandardError = true, RedirectStandardOutput = true };
            start.Environment["PATH"] = $"{folder}:{Environment.GetEnvironmentVariable("PATH")}";
            using var bash = Process.Start(start)!;
            var output = bash.StandardOutput.ReadToEndAsync();
            Assert.Equal("complete -o default -F _sleeve sleeve\n", await bash.StandardError.ReadToEndAsync());
            Assert.Equal(expected, (await output).TrimEnd('\n'));
            await bash.WaitForExitAsync();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IReadOnlyList<string> Of(params string[] words) => Completer.Complete(CommandLine.CreateRoot(), words);
}
