using System.Text.Json;

namespace Sleeve.EndToEnd.Rig;

/// <summary>One finding of `sleeve doctor --json`.</summary>
public sealed record DoctorFinding(string Check, string Level, string Subject, string Text, string Advice)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Level} {Check} [{Subject}] {Text} → {Advice}";
}

/// <summary>What `sleeve doctor --json` said: the only place that knows its shape.</summary>
public sealed record DoctorReport(int ExitCode, string Verdict, IReadOnlyList<DoctorFinding> Findings)
{
    /// <summary>Runs it on a host.</summary>
    public static DoctorReport Of(Host host, string words)
    {
        ArgumentNullException.ThrowIfNull(host);
        var result = SleeveProgram.Run(host, $"doctor {words} --json");
        if (result.Output.Length == 0) throw new CommandFailedException($"`{result.Line}` exited with {result.ExitCode}: {result.Error}");
        using var document = JsonDocument.Parse(result.Output);
        string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString()! : "";
        var report = new DoctorReport(result.ExitCode, document.RootElement.GetProperty("verdict").GetString()!, [.. document.RootElement.GetProperty("findings").EnumerateArray().Select(
            each => new DoctorFinding(Text(each, "check"), Text(each, "level"), Text(each, "subject"), Text(each, "text"), Text(each, "advice")))]);
        foreach (var finding in report.Findings) host.Lab.Log($"    {finding}");
        return report;
    }

    /// <summary>Those that something is wrong with.</summary>
    public IReadOnlyList<DoctorFinding> Complaints => [.. Findings.Where(static each => each.Level is "warning" or "error")];

    /// <summary>The one finding of a check and level; fails the test if there is none or several.</summary>
    public DoctorFinding The(string check, string level)
    {
        var all = Findings.Where(each => each.Check == check && each.Level == level).ToArray();
        Assert.True(all.Length == 1, $"{all.Length} findings {level} of {check}, not 1, among:\n{string.Join('\n', Findings)}");
        return all[0];
    }
}
