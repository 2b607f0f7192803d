using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Sleeve.Interop.Tests;

/// <summary>
/// Asks the C compiler what expressions are worth: <c>sizeof(struct nlmsghdr)</c>, <c>offsetof(struct ifinfomsg, ifi_index)</c>,
/// <c>RTM_NEWLINK</c>. One program for all of them; what the headers here do not know is taken out and comes back as null.
/// </summary>
internal static partial class CCompiler
{
    private static readonly string[] Names = ["cc", "gcc", "clang"];

    /// <summary>The compiler's name; null if there is none here.</summary>
    public static string? Name { get; } = Names.FirstOrDefault(static name =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, name))));

    /// <summary>Skips the calling test if there is no C compiler.</summary>
    public static void SkipIfMissing() => Skip.If(Name is null, "needs a C compiler (cc, gcc or clang) and the C library's headers");

    /// <summary>Evaluates integer expressions.</summary>
    /// <param name="headers">To include, in this order: <c>linux/rtnetlink.h</c>.</param>
    /// <param name="expressions">C expressions of an integer type.</param>
    /// <returns>The value of each, modulo 2^64; null where the headers know no such name.</returns>
    public static IReadOnlyDictionary<string, long?> Evaluate(IReadOnlyCollection<string> headers, IReadOnlyCollection<string> expressions)
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-cc-");
        try
        {
            var all = expressions.Distinct().ToArray();
            var unknown = new HashSet<int>();
            // The compiler names the line of each error, and each expression stands on a line that bears its number.
            string errors;
            while (!TryCompile(folder.FullName, headers, all, unknown, out errors))
            {
                var before = unknown.Count;
                foreach (Match match in ExpressionLine().Matches(errors))
                    unknown.Add(int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) - 1);
                Assert.True(unknown.Count > before, errors);
            }

            Assert.Equal(0, Run(Path.Combine(folder.FullName, "a.out"), [], out var output));
            var values = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            var known = Enumerable.Range(0, all.Length).Where(i => !unknown.Contains(i)).ToArray();
            Assert.Equal(known.Length, values.Length);
            var result = all.ToDictionary(static expression => expression, static _ => (long?)null);
            for (var i = 0; i < known.Length; i++) result[all[known[i]]] = long.Parse(values[i], CultureInfo.InvariantCulture);
            return result;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static bool TryCompile(string folder, IReadOnlyCollection<string> headers, string[] expressions, HashSet<int> unknown, out string errors)
    {
        var source = new StringBuilder("#define _GNU_SOURCE\n#include <stddef.h>\n#include <stdio.h>\n");
        foreach (var header in headers) source.Append(CultureInfo.InvariantCulture, $"#if __has_include(<{header}>)\n#include <{header}>\n#endif\n");
        source.Append("int main(void) {\n");
        for (var i = 0; i < expressions.Length; i++)
        {
            if (!unknown.Contains(i))
                source.Append(CultureInfo.InvariantCulture, $"#line {i + 1} \"expression\"\nprintf(\"%lld\\n\", (long long)({expressions[i]}));\n");
        }

        source.Append("return 0; }\n");
        var path = Path.Combine(folder, "a.c");
        File.WriteAllText(path, source.ToString());
        return Run(Name!, ["-w", "-o", Path.Combine(folder, "a.out"), path], out errors) == 0;
    }

    private static int Run(string program, string[] arguments, out string output)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return process.ExitCode;
    }

    // gcc: "expression:12:34: error: 'X' undeclared", clang: "expression:12:34: error: use of undeclared identifier 'X'".
    [GeneratedRegex(@"^expression:(\d+):\d+: error:", RegexOptions.Multiline)]
    private static partial Regex ExpressionLine();
}
