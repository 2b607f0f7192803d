using System.Globalization;
using System.Runtime.CompilerServices;
using Sleeve.EndToEnd.Rig;

namespace Sleeve.EndToEnd.Packaging;

/// <summary>This machine with another memory of itself: an overlay of its root in which packages, users and services come and go without a trace.</summary>
internal static class ThrowAwayRoot
{
    /// <summary>How long installing a package or starting systemd may take on a busy machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static readonly Lazy<string?> Problem = new(FindProblem);

    /// <summary>The top of the source tree.</summary>
    public static string Tree { get; } = FindTree();

    /// <summary>A folder with the program as it was built for these tests, which deploy/install takes.</summary>
    public static string Program { get; } = AppContext.BaseDirectory.Replace("/tests/EndToEnd/", "/src/Control/", StringComparison.Ordinal).TrimEnd('/');

    private static string Script => Path.Combine(Tree, "tests/EndToEnd/Packaging/throw-away-root");

    /// <summary>Skips the calling test where there can be no such root.</summary>
    public static void Require()
    {
        Requirements.Namespaces();
        Skip.If(Problem.Value is not null, Problem.Value);
        Skip.IfNot(File.Exists(Path.Combine(Program, "sleeve")), $"needs {Program}: dotnet build");
    }

    /// <summary>Runs a shell script in it, errors with the output; every command of it has to succeed.</summary>
    /// <param name="script">For bash.</param>
    /// <param name="share">A directory that it sees as /run/share.</param>
    public static CommandResult Run(string script, string share) =>
        Command.Run(["env", $"SLEEVE_SHARE={share}", Script, "run", "bash", "-c", $"exec 2>&1; set -e; {script}"], timeout: Patience);

    /// <summary>Starts systemd in it.</summary>
    public static BackgroundProcess Boot(string share) => new(["env", $"SLEEVE_SHARE={share}", Script, "boot"]);

    /// <summary>The process that is number 1 inside; 0 while there is none.</summary>
    public static int InitOf(BackgroundProcess boot)
    {
        // The script, then unshare, then systemd.
        var child = ChildOf(boot.Id);
        return child == 0 ? 0 : ChildOf(child);
    }

    private static int ChildOf(int parent)
    {
        var path = string.Create(CultureInfo.InvariantCulture, $"/proc/{parent}/task/{parent}/children");
        var children = File.Exists(path) ? File.ReadAllText(path).Split(' ', StringSplitOptions.RemoveEmptyEntries) : [];
        return children is [var first, ..] ? int.Parse(first, CultureInfo.InvariantCulture) : 0;
    }

    private static string? FindProblem()
    {
        var tried = Command.Run([Script, "run", "true"], timeout: Patience);
        return tried.ExitCode == 0 ? null : $"needs root with overlayfs and the right to make devices: {tried.Error.Trim()}";
    }

    private static string FindTree([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
