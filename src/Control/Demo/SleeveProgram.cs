namespace Sleeve.Control.Demo;

/// <summary>How to start this program again: the executable itself, or `dotnet` with the assembly.</summary>
internal static class SleeveProgram
{
    /// <summary>The file to execute.</summary>
    public static string File => Environment.ProcessPath ?? throw new DemoFailure("cannot find the file of this program: /proc is not mounted");

    /// <summary>The words that come before a verb.</summary>
    public static IReadOnlyList<string> Words { get; } =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [Path.Combine(AppContext.BaseDirectory, "sleeve.dll")] : [];
}
