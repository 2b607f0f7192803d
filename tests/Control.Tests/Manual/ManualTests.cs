using System.CommandLine;
using System.CommandLine.Help;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using Sleeve.Control.Cli;
using Sleeve.Control.Manual;
using Sleeve.Control.Tests.Cli;

namespace Sleeve.Control.Tests.Manual;

/// <summary>The manual says what the definitions say, all of it, in roff that three formatters take without a word.</summary>
[Collection(ConsoleTests.Name)]
public sealed class ManualTests
{
    private static readonly DateTimeOffset Made = new(2026, 11, 21, 0, 0, 0, TimeSpan.Zero);
    private static readonly Dictionary<string, string> Pages = ManualCommand.Pages(Made).ToDictionary(static page => page.Path, static page => page.Text);

    [SkippableTheory]
    [InlineData("mandoc", "-Tlint -W warning")]
    [InlineData("groff", "-ww -man -Tutf8 -z")]
    [InlineData("man", "--warnings -E UTF-8 -l -Tutf8 -Z")]
    public async Task Formatters_have_no_objection(string program, string words)
    {
        Skip.IfNot((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program))), $"needs the program {program}");
        var folder = Directory.CreateTempSubdirectory("sleeve-manual-").FullName;
        try
        {
            Assert.Equal((ExitCode.Done, ""), (Outcome.OfWords("manual", "--output", folder).Code, ""));
            var files = Directory.GetFiles(folder, "*", SearchOption.AllDirectories);
            Assert.Equal(Pages.Keys.Order(StringComparer.Ordinal), files.Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal));
            foreach (var file in files)
            {
                var start = new ProcessStartInfo(program, [.. words.Split(' '), file]) { RedirectStandardError = true, RedirectStandardOutput = true };
                start.Environment["LC_ALL"] = "C.UTF-8";
                using var process = Process.Start(start)!;
                var output = process.StandardOutput.ReadToEndAsync();
                // mandoc's lint speaks on standard output.
                Assert.Equal("", await process.StandardError.ReadToEndAsync() + (program == "mandoc" ? await output : ""));
                await process.WaitForExitAsync();
                Assert.Equal(0, process.ExitCode);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Every_verb_has_a_page_that_names_each_of_its_options_and_subcommands()
    {
        var root = CommandLine.CreateRoot();
        Assert.All(root.Subcommands.Where(static verb => !verb.Hidden), verb =>
        {
            var page = Pages[$"man1/sleeve-{verb.Name}.1"];
            Assert.Contains(RoffText.Bold($"sleeve-{verb.Name}") + "(1)", Pages["man1/sleeve.1"], StringComparison.Ordinal);
            foreach (var command in verb.Subcommands.Where(static command => !command.Hidden).Append(verb))
            {
                Assert.Contains(RoffText.Escape(CommandLine.NameOf(command)).Replace(" ", @"\ ", StringComparison.Ordinal), page.Replace(" ", @"\ ", StringComparison.Ordinal), StringComparison.Ordinal);
                foreach (var name in command.Options.Where(static option => !option.Hidden && option is not HelpOption).SelectMany(static option => option.Aliases.Append(option.Name)))
                    Assert.Contains(RoffText.Bold(name), page, StringComparison.Ordinal);
            }
        });
        Assert.Equal(root.Subcommands.Count(static verb => !verb.Hidden) + 2, Pages.Count);
    }

    [Fact]
    public void A_page_has_the_sections_that_one_looks_for()
    {
        var sections = Pages["man1/sleeve-up.1"].Split('\n').Where(static line => line.StartsWith(".SH", StringComparison.Ordinal)).Select(static line => line[5..^1]);
        Assert.Equal(["NAME", "SYNOPSIS", "DESCRIPTION", "ARGUMENTS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "FILES", "SEE ALSO"], sections);
        Assert.Contains(@"sleeve up vx0 \-\-vni 100", Pages["man1/sleeve-up.1"], StringComparison.Ordinal);
        Assert.All(Pages.Values, static page => Assert.True(Ascii.IsValid(page)));
        Assert.All(Pages.Values, static page => Assert.Contains(" 2026-11-21 \"Sleeve ", page, StringComparison.Ordinal));
    }

    [Fact]
    public void The_document_of_the_configuration_is_up_to_date()
    {
        var path = Path.Combine(Root(), "docs", "configuration.md");
        var document = ConfigurationPage.WriteMarkdown();
        if (Environment.GetEnvironmentVariable("SLEEVE_WRITE_DOCS") == "1") File.WriteAllText(path, document);
        Assert.True(File.Exists(path) && File.ReadAllText(path) == document, "docs/configuration.md is old: run this test with SLEEVE_WRITE_DOCS=1 and commit what it writes");
    }

    [Fact]
    public void Every_key_has_a_meaning_what_is_allowed_and_a_default() => Assert.All(ConfigurationKeys.All, static key =>
    {
        Assert.InRange(key.Facts.Meaning.Length, 5, 200);
        Assert.NotEqual("", key.Allowed);
        Assert.NotEqual("", key.Default);
        // What counts something says what; these name something.
        string[] names = ["vni"];
        if (key.Facts.Value is "N" or "SECONDS" or "BYTES") Assert.True(key.Unit.Length > 0 || names.Contains(key.Names[0]), $"{key.Names[0]} has no unit: Setting.In says it");
    });

    [Fact]
    public void Every_key_stands_where_the_page_says()
    {
        foreach (var key in ConfigurationKeys.All)
        {
            foreach (var name in key.Opposite is { } opposite ? key.Names.Append(opposite) : key.Names)
            {
                Assert.DoesNotContain("unknown key", Check($"{name}: x\nsegments: [{{ifname: a, vni: 1}}]"), StringComparison.Ordinal);
                var inSegment = Check($"local: 192.0.2.1\nsegments: [{{ifname: a, vni: 1, {name}: true}}]");
                Assert.True(key.IsSegments != inSegment.Contains("is not a segment's", StringComparison.Ordinal), $"{name}: {inSegment}");
            }
        }

        Assert.Contains("unknown key", Check("bogus: x\nsegments: [{ifname: a, vni: 1}]"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_example_is_right()
    {
        Assert.Equal("", Check(ConfigurationPage.Example));
        Assert.Contains("segments", ConfigurationPage.WriteMarkdown(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(".TH", @"\&.TH")]
    [InlineData("'", @"\&\(aq")]
    [InlineData(@"a\b-c", @"a\eb\-c")]
    [InlineData("…^~`\"\t", @"\[u2026]\(ha\(ti\(ga\(dq ")]
    public void What_roff_would_take_for_its_own_is_escaped(string text, string expected) => Assert.Equal(expected, RoffText.Escape(text));

    [Fact]
    public void A_date_that_is_none_and_a_folder_that_cannot_be_made_are_told()
    {
        var blocked = Outcome.Of("manual --output /dev/null/x");
        Assert.Equal(ExitCode.Failed, blocked.Code);
        Assert.StartsWith("sleeve manual: --output /dev/null/x: ", Assert.Single(blocked.ErrorLines), StringComparison.Ordinal);
        Environment.SetEnvironmentVariable("SOURCE_DATE_EPOCH", "yesterday");
        try
        {
            var outcome = Outcome.Of("manual --output /dev/null/x");
            Assert.Equal(ExitCode.BadInput, outcome.Code);
            Assert.Equal(["sleeve manual: SOURCE_DATE_EPOCH yesterday: must be 0 to 253402300799 (seconds since 1970)"], outcome.ErrorLines);
        }
        finally
        {
            Environment.SetEnvironmentVariable("SOURCE_DATE_EPOCH", null);
        }
    }

    private static string Check(string yaml)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, yaml);
            return Outcome.OfWords("config", "check", path).Errors;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
