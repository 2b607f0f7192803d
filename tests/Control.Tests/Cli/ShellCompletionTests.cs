using System.Diagnostics;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Cli;

/// <summary>The scripts in the shells that they are for: zsh with its line editor on a terminal, fish as it completes a line.</summary>
public sealed class ShellCompletionTests : IDisposable
{
    // zpty makes a terminal; the widget shows what stands in the line once the tab key has been pressed.
    private const string ZshOnATerminal = """
        zmodload zsh/zpty || exit 77
        zpty z zsh -f -i
        zpty -w z "stty columns 200; PS1=; PROMPT_EOL_MARK=; unsetopt zle_bracketed_paste; HOME=$1; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump; $2
        shown() { print -r -- \"<<\$BUFFER>>\" }; zle -N shown; bindkey '^X^X' shown; echo READY-\$((1+1))"
        zpty -r -m z output '*READY-2*' || exit 1
        zpty -w -n z "$3"$'\t\x18\x18'
        zpty -r -m z output '*<<*>>*' || exit 1
        output=${output##*<<}
        print -r -- "${output%%>>*}"
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-shell-").FullName;

    public ShellCompletionTests()
    {
        var program = Path.Combine(_folder, "sleeve");
        File.WriteAllText(program, $"#!/bin/sh\nexec '{string.Join("' '", RunningVtep.Executable)}' \"$@\"\n");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.WriteAllText(Path.Combine(_folder, "a-file.pcap"), "");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableTheory]
    [InlineData("sleeve cap", "sleeve capture ")]
    [InlineData("sleeve fdb re", "sleeve fdb replace ")]
    [InlineData("sleeve up --vn", "sleeve up --vni ")]
    [InlineData("sleeve neigh add 2001:db8::1 lla", "sleeve neigh add 2001:db8::1 lladdr ")]
    [InlineData("sleeve explain vx0 --from un", "sleeve explain vx0 --from underlay ")]
    [InlineData("sleeve capture vx0 --write FOLDER/a-f", "sleeve capture vx0 --write FOLDER/a-file.pcap ")]
    public async Task Zsh_completes_by_the_script(string line, string expected)
    {
        Require("zsh");
        foreach (var load in new[] { "source <(sleeve completion zsh)", "" })
        {
            // As a file of the function path, which is how a package installs it.
            if (load.Length == 0) await File.WriteAllTextAsync(Path.Combine(_folder, "_sleeve"), await RunAsync("sh", "-c", "sleeve completion zsh"));
            var shown = await RunAsync("zsh", "-f", "-c", ZshOnATerminal, "zsh", _folder, load, line.Replace("FOLDER", _folder, StringComparison.Ordinal));
            Assert.Equal(expected.Replace("FOLDER", _folder, StringComparison.Ordinal) + "\n", shown);
        }
    }

    [SkippableTheory]
    [InlineData("sleeve cap", "capture")]
    [InlineData("sleeve fdb re", "replace")]
    [InlineData("sleeve fdb ", "add append audit del flush replace show")]
    [InlineData("sleeve up --vn", "--vni")]
    [InlineData("sleeve neigh add 2001:db8::1 lla", "lladdr")]
    [InlineData("sleeve explain vx0 --from ", "tap underlay")]
    [InlineData("sleeve capture vx0 --write FOLDER/a-f", "FOLDER/a-file.pcap")]
    public async Task Fish_completes_by_the_script(string line, string expected)
    {
        Require("fish");
        var found = await RunAsync("fish", "--no-config", "-c", "sleeve completion fish | source; complete -C $argv[1]", line.Replace("FOLDER", _folder, StringComparison.Ordinal));
        Assert.Equal(expected.Replace("FOLDER", _folder, StringComparison.Ordinal).Replace(' ', '\n') + "\n", found);
    }

    private static void Require(string shell) => Skip.IfNot(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, shell))), $"needs the program {shell}: apt-get install {shell}");

    private async Task<string> RunAsync(string program, params string[] words)
    {
        var start = new ProcessStartInfo(program, words) { RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = _folder };
        start.Environment["PATH"] = $"{_folder}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["HOME"] = _folder;
        start.Environment["TERM"] = "dumb";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }

        var told = await errors;
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}: {told}{await output}");
        return await output;
    }
}
