using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Sleeve.Interop.Tests;

/// <summary>
/// Asks the C compiler what expressions are worth: <c>sizeof(struct nlmsghdr)</c>, <c>offsetof(struct ifinfomsg, ifi_index)</c>,
/// <c>RTM_NEWLINK</c>. One table for all of them; what the headers here do not know is taken out and comes back as null. The table is read out of the
/// object file and never run, so a compiler for another processor does as well.
/// </summary>
internal static partial class CCompiler
{
    private const string Section = "sleeve_values";

    // objcopy of the same tools takes the table out; that of the host does not know other processors.
    private static readonly (string Compiler, string Objcopy)[] HostTools = [("cc", "objcopy"), ("gcc", "objcopy"), ("clang", "objcopy"), ("clang", "llvm-objcopy")];
    private static readonly (string Compiler, string Objcopy)[] Arm64Tools = [("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy")];

    /// <summary>Skips the calling test if there is no C compiler for this machine.</summary>
    public static void SkipIfMissing() => SkipIfMissing(RuntimeInformation.ProcessArchitecture);

    /// <summary>Skips the calling test if there is no C compiler for a processor.</summary>
    public static void SkipIfMissing(Architecture target) => Skip.If(Find(target) is null, target == RuntimeInformation.ProcessArchitecture
        ? "needs a C compiler (cc, gcc or clang), objcopy and the C library's headers"
        : $"needs a C compiler for {target}: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross");

    /// <summary>Evaluates integer expressions.</summary>
    /// <param name="headers">To include, in this order: <c>linux/rtnetlink.h</c>.</param>
    /// <param name="expressions">C expressions of an integer type.</param>
    /// <returns>The value of each, modulo 2^64; null where the headers know no such name.</returns>
    public static IReadOnlyDictionary<string, long?> Evaluate(IReadOnlyCollection<string> headers, IReadOnlyCollection<string> expressions) =>
        Evaluate(RuntimeInformation.ProcessArchitecture, headers, expressions);

    /// <summary>Evaluates integer expressions as they are on a processor.</summary>
    /// <inheritdoc cref="Evaluate(IReadOnlyCollection{string}, IReadOnlyCollection{string})"/>
    public static IReadOnlyDictionary<string, long?> Evaluate(Architecture target, IReadOnlyCollection<string> headers, IReadOnlyCollection<string> expressions)
    {
        var (compiler, objcopy) = Find(target)!.Value;
        var folder = Directory.CreateTempSubdirectory("sleeve-cc-");
        try
        {
            var all = expressions.Distinct().ToArray();
            var unknown = new HashSet<int>();
            // The compiler names the line of each error, and each expression stands on a line that bears its number.
            string errors;
            while (!TryCompile(compiler, folder.FullName, headers, all, unknown, out errors))
            {
                var before = unknown.Count;
                foreach (Match match in ExpressionLine().Matches(errors))
                    unknown.Add(int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) - 1);
                Assert.True(unknown.Count > before, errors);
            }

            var (made, table) = (Path.Combine(folder.FullName, "a.o"), Path.Combine(folder.FullName, "table"));
            Assert.True(Run(objcopy, ["-O", "binary", $"--only-section={Section}", made, table], out errors) == 0, errors);
            // Both processors are little-endian.
            var values = MemoryMarshal.Cast<byte, long>(File.ReadAllBytes(table));
            var known = Enumerable.Range(0, all.Length).Where(i => !unknown.Contains(i)).ToArray();
            Assert.Equal(known.Length, values.Length);
            var result = all.ToDictionary(static expression => expression, static _ => (long?)null);
            for (var i = 0; i < known.Length; i++) result[all[known[i]]] = values[i];
            return result;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static (string Compiler, string Objcopy)? Find(Architecture target)
    {
        var tools = target == RuntimeInformation.ProcessArchitecture ? HostTools : target == Architecture.Arm64 ? Arm64Tools : [];
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        foreach (var pair in tools)
            if (folders.Any(folder => File.Exists(Path.Combine(folder, pair.Compiler))) && folders.Any(folder => File.Exists(Path.Combine(folder, pair.Objcopy)))) return pair;
        return null;
    }

    private static bool TryCompile(string compiler, string folder, IReadOnlyCollection<string> headers, string[] expressions, HashSet<int> unknown, out string errors)
    {
        var source = new StringBuilder("#define _GNU_SOURCE\n#include <stddef.h>\n");
        foreach (var header in headers) source.Append(CultureInfo.InvariantCulture, $"#if __has_include(<{header}>)\n#include <{header}>\n#endif\n");
        source.Append(CultureInfo.InvariantCulture, $"const long long values[] __attribute__((section(\"{Section}\"), used)) = {{\n");
        for (var i = 0; i < expressions.Length; i++)
        {
            if (!unknown.Contains(i))
                source.Append(CultureInfo.InvariantCulture, $"#line {i + 1} \"expression\"\n(long long)({expressions[i]}),\n");
        }

        source.Append("};\n");
        var path = Path.Combine(folder, "a.c");
        File.WriteAllText(path, source.ToString());
        return Run(compiler, ["-w", "-c", "-o", Path.Combine(folder, "a.o"), path], out errors) == 0;
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
