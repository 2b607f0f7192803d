using System.Text.RegularExpressions;

namespace Sleeve.Tidy;

/// <summary>A C# source file.</summary>
/// <param name="Path">From the root of the repository, with '/'.</param>
/// <param name="Text">As it is.</param>
internal sealed record SourceFile(string Path, string Text)
{
    internal string Folder => System.IO.Path.GetDirectoryName(Path)!;

    internal string Name => System.IO.Path.GetFileName(Path);

    internal string[] Lines => Text.Split('\n');

    /// <summary>Without comments and the insides of strings, so that only what is compiled is judged.</summary>
    internal string Code { get; } = Regex.Replace(
        Text, """(@"(?:[^"]|"")*"|\$?"{3}.*?"{3}|\$?"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\])')|//[^\n]*|/\*.*?\*/""",
        static match => match.Groups[1].Success ? "\"\"" : "", RegexOptions.Singleline);
}

/// <summary>The files of the repository that the tests were built from.</summary>
internal static class SourceTree
{
    internal static string Root { get; } = FindRoot();

    /// <summary>Every C# file under src and tests.</summary>
    internal static IReadOnlyList<SourceFile> All { get; } =
        [.. Files(Root).Where(path => path.EndsWith(".cs", StringComparison.Ordinal)).Select(path => new SourceFile(path, File.ReadAllText(Path.Combine(Root, path))))];

    internal static IEnumerable<SourceFile> Under(string folder) => All.Where(file => file.Path.StartsWith(folder + "/", StringComparison.Ordinal));

    /// <summary>Every file, from the root, without what builds leave behind.</summary>
    internal static IEnumerable<string> Files(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder)) yield return Path.GetRelativePath(Root, file);
        foreach (var child in Directory.EnumerateDirectories(folder))
        {
            if (Path.GetFileName(child) is "bin" or "obj" or ".git" or "artifacts" or "TestResults") continue;
            foreach (var file in Files(child)) yield return file;
        }
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("no Sleeve.slnx above the tests");
        return folder;
    }
}
