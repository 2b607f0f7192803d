using System.Text.Json;
using Sleeve.Control.Api;
using Spectre.Console;

namespace Sleeve.Control.Doctor;

/// <summary>Shows findings: a line each, what to do below it; colours on a terminal.</summary>
internal static class DoctorScreen
{
    private const int NameWidth = 14;

    /// <summary>Prints them as JSON.</summary>
    public static void PrintJson(IReadOnlyList<(string Check, Finding Finding)> findings, PathResultJson? path = null) =>
        Console.Out.WriteLine(JsonSerializer.Serialize(new DoctorReportJson(NameOf(Worst(findings)), [.. findings.Select(static each => Of(each.Check, each.Finding))]) { Path = path }, ApiJson.Default.DoctorReportJson));

    /// <summary>A finding that crossed a socket.</summary>
    public static Finding Of(FindingJson finding) =>
        new(finding.Level switch { "error" => Level.Error, "warning" => Level.Warning, "skipped" => Level.Skipped, _ => Level.Ok }, finding.Subject ?? "", finding.Text, finding.Advice);

    /// <summary>One finding as it crosses a socket.</summary>
    public static FindingJson Of(string check, Finding finding) =>
        new(check, NameOf(finding.Level), finding.Subject.Length == 0 ? null : finding.Subject, finding.Text, finding.Advice);

    /// <summary>Prints them for a reader.</summary>
    public static void Print(IReadOnlyList<(string Check, Finding Finding)> findings)
    {
        foreach (var (check, finding) in findings) Print(check, finding);
        Console.Out.WriteLine();
        Console.Out.WriteLine(Summary(findings));
    }

    /// <summary>Prints one.</summary>
    public static void Print(string check, Finding finding)
    {
        var subject = finding.Subject.Length == 0 ? "" : $"{finding.Subject}: ";
        Write(finding.Level, $" {check,-NameWidth} {subject}{finding.Text}");
        if (finding.Advice is not null) Console.Out.WriteLine($"{"",-9}{"",-NameWidth} → {finding.Advice}");
    }

    /// <summary>The worst level of all; what was skipped counts as fine.</summary>
    public static Level Worst(IReadOnlyList<(string Check, Finding Finding)> findings) =>
        findings.Select(static each => each.Finding.Level == Level.Skipped ? Level.Ok : each.Finding.Level).DefaultIfEmpty(Level.Ok).Max();

    private static string Summary(IReadOnlyList<(string Check, Finding Finding)> findings)
    {
        int Count(Level level) => findings.Count(each => each.Finding.Level == level);
        var skipped = Count(Level.Skipped) is > 0 and var left ? $"; {left} could not be looked at" : "";
        return (Count(Level.Error), Count(Level.Warning)) switch
        {
            (0, 0) => $"All is well{skipped}.",
            (0, var warnings) => $"{Plural(warnings, "warning")}{skipped}.",
            (var errors, 0) => $"{Plural(errors, "error")}{skipped}.",
            var (errors, warnings) => $"{Plural(errors, "error")}, {Plural(warnings, "warning")}{skipped}.",
        };
    }

    private static string Plural(int count, string word) => count == 1 ? $"1 {word}" : $"{count} {word}s";

    private static string NameOf(Level level) => level switch { Level.Error => "error", Level.Warning => "warning", Level.Skipped => "skipped", _ => "ok" };

    private static void Write(Level level, string rest)
    {
        if (Console.IsOutputRedirected)
        {
            Console.Out.WriteLine($"{NameOf(level),-8}{rest}");
            return;
        }

        // Not MarkupLine of the whole: it would break lines in the middle of what is to be copied.
        var colour = level switch { Level.Error => "red", Level.Warning => "yellow", Level.Skipped => "grey", _ => "green" };
        AnsiConsole.Markup($"[{colour}]{NameOf(level),-8}[/]");
        Console.Out.WriteLine(rest);
    }
}
