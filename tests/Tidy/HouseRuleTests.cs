using System.Text.RegularExpressions;

namespace Sleeve.Tidy;

/// <summary>What a reader may rely on in every file.</summary>
public sealed partial class HouseRuleTests
{
    private const int MaxFileLines = 500;
    private const int MaxMethodLines = 80;

    [GeneratedRegex(@"^(?<indent> {4,8})(?!return|new|throw|await|else|if|for|foreach|while|switch|using|lock|var|case)[\w<>\[\]?,. ()]+\(.*$")]
    private static partial Regex MethodStart { get; }

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine { get; }

    [GeneratedRegex(@"\[(?:Skippable)?(?:Fact|Theory)\b[^\]]*\](?:\s*\[[^\n]*\])*\s*public (?:async )?[\w<>]+ (?<name>\w+)\(")]
    private static partial Regex TestMethod { get; }

    [GeneratedRegex(@"^[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)+$")]
    private static partial Regex Sentence { get; }

    [Fact]
    public void No_file_of_src_is_longer_than_500_lines() => Assert.Empty(
        SourceTree.Under("src").Where(file => file.Lines.Length > MaxFileLines).Select(file => $"{file.Path}: {file.Lines.Length} lines"));

    [Fact]
    public void No_method_of_src_is_longer_than_80_lines()
    {
        var methods = SourceTree.Under("src").SelectMany(Methods).ToArray();
        Assert.True(methods.Length > 200, $"only {methods.Length} methods found: this test does not see them");
        Assert.Empty(methods.Where(method => method.Lines > MaxMethodLines).Select(method => $"{method.Name}: {method.Lines} lines"));
    }

    // The layout is the same everywhere, so a method is a line with a parenthesis and, at its indentation, a brace below and one at the end.
    private static IEnumerable<(string Name, int Lines)> Methods(SourceFile file)
    {
        var lines = file.Lines;
        for (var start = 0; start < lines.Length; start++)
        {
            if (MethodStart.Match(lines[start]) is not { Success: true } match || lines[start].EndsWith("=>", StringComparison.Ordinal)) continue;
            // A type may have parentheses too.
            if (lines[start].Contains(" class ", StringComparison.Ordinal)) continue;
            var indent = match.Groups["indent"].Value;
            var open = Array.FindIndex(lines, start, Math.Min(12, lines.Length - start), line => line == indent + "{");
            if (open < 0 || Array.FindIndex(lines, start, open - start, line => line.TrimEnd().EndsWith(';')) >= 0) continue;
            var end = Array.FindIndex(lines, open, line => line.StartsWith(indent + "}", StringComparison.Ordinal));
            if (end > 0) yield return ($"{file.Path}:{start + 1}", end - start + 1);
        }
    }

    [Fact]
    public void No_type_is_a_home_for_anything() => LayeringTests.AssertNone(
        SourceTree.All, @"\b(class|struct|record|interface|enum) \w*(Utils?|Utilities|Helpers?|Managers?|Misc|Common)\b");

    [Fact]
    public void A_namespace_is_its_folder()
    {
        var offences = from file in SourceTree.All
                       let match = NamespaceLine.Match(file.Code)
                       where match.Success && match.Groups["name"].Value != NamespaceOf(file.Folder)
                       select $"{file.Path} is in {match.Groups["name"].Value}, not {NamespaceOf(file.Folder)}";
        Assert.Equal([], offences);
    }

    // src/X and tests/X are Sleeve.X; bench is Sleeve.Bench.
    private static string NamespaceOf(string folder)
    {
        var parts = folder.Split('/');
        return "Sleeve." + string.Join('.', (parts[0] == "bench" ? parts : parts[1..]).Select(part => char.ToUpperInvariant(part[0]) + part[1..]));
    }

    [Fact]
    public void Every_package_says_what_it_is_for()
    {
        var lines = File.ReadAllLines(Path.Combine(SourceTree.Root, "Directory.Packages.props")).Where(line => line.Contains("<PackageVersion ", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.Matches(@"<!--\s*\w.{8,}\s*-->", line));
    }

    [Fact]
    public void No_project_names_a_version_of_its_own()
    {
        var offences = SourceTree.Files(SourceTree.Root).Where(path => path.EndsWith(".csproj", StringComparison.Ordinal))
            .Where(path => Regex.IsMatch(File.ReadAllText(Path.Combine(SourceTree.Root, path)), "<PackageReference[^>]*Version="));
        Assert.Equal([], offences);
    }

    [Fact]
    public void Nothing_refers_to_files_outside_the_repository()
    {
        // In two parts, or this file would offend.
        string[] outside = ["../" + "shared", "/work" + "/"];
        string[] texts = [".cs", ".md", ".csproj", ".props", ".targets", ".json", ".slnx", ".yml", ".yaml", ".sh", ".editorconfig", ".service", ""];
        var offences = from path in SourceTree.Files(SourceTree.Root)
                       where texts.Contains(Path.GetExtension(path))
                       let text = File.ReadAllText(Path.Combine(SourceTree.Root, path))
                       from word in outside
                       where text.Contains(word, StringComparison.Ordinal)
                       select $"{path}: {word}";
        Assert.Equal([], offences);
    }

    [Fact]
    public void Nothing_is_left_for_later_and_nothing_is_folded_away() =>
        Assert.DoesNotContain(SourceTree.Under("src"), file => Regex.IsMatch(file.Text, @"\b(TO(?:DO)|FIX(?:ME)|HA(?:CK)|XX(?:X))\b|^\s*#region", RegexOptions.Multiline));

    [Fact]
    public void Test_names_are_sentences()
    {
        var names = SourceTree.Under("tests").SelectMany(file => TestMethod.Matches(file.Code).Select(match => match.Groups["name"].Value)).ToArray();
        Assert.True(names.Length > 200, $"only {names.Length} tests found: this test does not see them");
        Assert.All(names, name => Assert.Matches(Sentence, name));
    }

    [Fact]
    public void Warnings_are_errors_and_names_are_checked()
    {
        var properties = File.ReadAllText(Path.Combine(SourceTree.Root, "Directory.Build.props"));
        foreach (var setting in new[] { "<TreatWarningsAsErrors>true", "<Nullable>enable", "<EnforceCodeStyleInBuild>true", "<GenerateDocumentationFile>true", "<Deterministic>true" })
            Assert.Contains(setting, properties, StringComparison.Ordinal);
        Assert.Contains("dotnet_diagnostic.IDE1006.severity = warning", File.ReadAllText(Path.Combine(SourceTree.Root, ".editorconfig")), StringComparison.Ordinal);
    }
}
