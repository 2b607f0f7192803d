using System.Text;
using System.Text.RegularExpressions;

namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// A program that runs another one under a seccomp filter (seccomp(2)) which allows the system calls that docs/system-calls.md lists, and kills at the
/// first other one. Made by the C compiler, which knows the numbers; removed with the lab.
/// </summary>
public sealed partial class SeccompFilter : IDisposable
{
    private const string Source = """
        #include <errno.h>
        #include <linux/audit.h>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        #include <stddef.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/prctl.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        static const int allowed[] = {
        @CALLS@
        };
        #define COUNT (sizeof(allowed) / sizeof(allowed[0]))
        int main(int argc, char **argv) {
          static struct sock_filter program[2 * COUNT + 8];
          unsigned n = 0;
          (void)argc;
          program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
          for (unsigned i = 0; i < COUNT; i++) {
            program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
            program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
          }
          program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
          struct sock_fprog filter = { n, program };
          if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
            fprintf(stderr, "seccomp: %s\n", strerror(errno));
            return 125;
          }
          execvp(argv[1], argv + 1);
          perror(argv[1]);
          return 127;
        }
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-seccomp-").FullName;

    /// <summary>Makes it; skips the test where that cannot be done.</summary>
    /// <param name="without">Names to leave out of the list.</param>
    public SeccompFilter(params IReadOnlyList<string> without)
    {
        Requirements.Programs("cc");
        var calls = new StringBuilder();
        foreach (var name in Listed().Except(without)) calls.Append("#ifdef SYS_").Append(name).Append("\nSYS_").Append(name).Append(",\n#endif\n");
        var source = Path.Combine(_folder, "filter.c");
        File.WriteAllText(source, Source.Replace("@CALLS@", calls.ToString(), StringComparison.Ordinal));
        Program = Path.Combine(_folder, "filter");
        Command.Run(["cc", "-O1", "-Wall", "-o", Program, source]).Ok();
        // For users too.
        File.SetUnixFileMode(_folder, File.GetUnixFileMode(_folder) | UnixFileMode.OtherExecute | UnixFileMode.OtherRead);
        var trial = Command.Run([Program, "true"]);
        Skip.If(trial.ExitCode == 125, $"needs seccomp filters: {trial.Error.Trim()}");
    }

    /// <summary>The program; its words are what to run.</summary>
    public string Program { get; }

    /// <summary>What the documentation lists.</summary>
    public static IReadOnlyCollection<string> Listed()
    {
        var text = File.ReadAllText(Path.Combine(Checkout.Root, "docs", "system-calls.md"));
        return [.. List().Matches(text).SelectMany(static match => match.Groups[1].Value.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)).ToHashSet()];
    }

    [GeneratedRegex("^```system-calls\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex List();

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
