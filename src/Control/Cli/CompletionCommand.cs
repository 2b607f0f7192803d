using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve completion</c>: scripts that have a shell complete the command line by asking <c>sleeve</c> itself.</summary>
internal static class CompletionCommand
{
    private const string ShellAllowed = "bash, zsh or fish";

    private const string Bash = """
        # bash completion of sleeve; of one shell: source <(sleeve completion bash)
        _sleeve() {
            COMPREPLY=()
            local word
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
        }
        complete -o default -F _sleeve sleeve
        """;

    private const string Zsh = """
        #compdef sleeve
        # zsh completion of sleeve; of one shell, behind compinit: source <(sleeve completion zsh)
        _sleeve() {
            local -a found
            found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
            if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
        }
        if [[ "${funcstack[1]}" == _sleeve ]]; then _sleeve "$@"; else compdef _sleeve sleeve; fi
        """;

    private const string Fish = """
        # fish completion of sleeve; of one shell: sleeve completion fish | source
        function __sleeve_complete
            set -l before (commandline -opc)
            set -e before[1]
            set -l current (commandline -ct)
            set -l found (command sleeve complete -- $before "$current" 2>/dev/null)
            if set -q found[1]
                printf '%s\n' $found
            else
                __fish_complete_path $current
            end
        end
        complete -c sleeve -f -a '(__sleeve_complete)'
        """;

    private static readonly Argument<string[]> Shells = Shell();
    private static readonly Argument<string[]> Before = new("WORD") { Description = "The words up to the cursor.", HelpName = "WORD", Arity = ArgumentArity.ZeroOrMore };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var completion = new Command("completion", "Print a script that has a shell complete verbs, options and devices.") { Shells };
        completion.WithExamples("""
            Examples:
              sleeve completion bash > /etc/bash_completion.d/sleeve
              sleeve completion zsh > "${fpath[1]}/_sleeve"
              sleeve completion fish > ~/.config/fish/completions/sleeve.fish
            """);
        completion.SetAction(static (result, _) => Task.FromResult(Print(result)));
        return completion;
    }

    /// <summary>Makes the command that the scripts ask.</summary>
    public static Command CreateAnswer()
    {
        var complete = new Command("complete", "Print the words that fit, a line each.") { Before };
        complete.Hidden = true;
        complete.SetAction(static (result, _) =>
        {
            foreach (var word in Completer.Complete(CommandLine.CreateRoot(), result.GetValue(Before) ?? [])) Console.Out.WriteLine(word);
            return Task.FromResult(ExitCode.Done);
        });
        return complete;
    }

    private static int Print(ParseResult result)
    {
        var shells = result.GetValue(Shells) ?? [];
        var error = shells.Length switch { 0 => $"SHELL: missing; it must be {ShellAllowed}", 1 => null, _ => $"{shells[1]}: not expected here" };
        var script = shells is [var shell, ..] ? shell switch { "bash" => Bash, "zsh" => Zsh, "fish" => Fish, _ => null } : null;
        if (script is null) error ??= $"SHELL {shells[0]}: must be {ShellAllowed}";
        if (error is null)
        {
            Console.Out.WriteLine(script);
            return ExitCode.Done;
        }

        CommandLine.WriteErrors(result, [error]);
        return ExitCode.BadInput;
    }

    private static Argument<string[]> Shell()
    {
        var shell = new Argument<string[]>("SHELL") { Description = $"The shell: {ShellAllowed}.", HelpName = "SHELL", Arity = ArgumentArity.ZeroOrMore };
        shell.CompletionSources.Add("bash", "zsh", "fish");
        return shell;
    }
}
