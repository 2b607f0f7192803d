using System.Text.RegularExpressions;

namespace Sleeve.Tidy;

/// <summary>Who may know whom: Wire ← Forwarding ← Pipeline ← Vtep ← Control.</summary>
public sealed partial class LayeringTests
{
    [GeneratedRegex(@"\bSleeve\.(DataPlane\.(\w+)|Control)\b")]
    private static partial Regex Mention { get; }

    [GeneratedRegex(@"^\s*(global )?using (static )?(?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Using { get; }

    [Theory]
    [InlineData("Wire", "")]
    [InlineData("Buffers", "Wire Interop")]
    [InlineData("Offload", "Wire Buffers Interop")]
    [InlineData("Events", "Wire")]
    [InlineData("Guards", "Wire Events")]
    [InlineData("Forwarding", "Wire Events Guards")]
    [InlineData("Pipeline", "Wire Events Guards Buffers Offload Forwarding Interop")]
    [InlineData("Interop", "")]
    public void A_layer_knows_only_those_below_it(string layer, string below)
    {
        var allowed = below.Split(' ').Append(layer).ToHashSet();
        var files = SourceTree.Under("src/DataPlane/" + layer).ToArray();
        Assert.NotEmpty(files);
        var offences = from file in files
                       from Match match in Mention.Matches(file.Code)
                       where !allowed.Contains(match.Groups[2].Value)
                       select $"{file.Path} knows {match.Value}";
        Assert.Equal([], offences);
    }

    [Fact]
    public void The_data_plane_knows_nothing_of_JSON_containers_or_dependency_injection()
    {
        string[] foreign = ["System.Text.Json", "Microsoft.AspNetCore", "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.Hosting", "System.CommandLine", "Spectre", "Sleeve.Control"];
        var offences = from file in SourceTree.Under("src/DataPlane")
                       from Match match in Using.Matches(file.Code)
                       where foreign.Any(name => match.Groups["name"].Value.StartsWith(name, StringComparison.Ordinal))
                       select $"{file.Path} uses {match.Groups["name"].Value}";
        Assert.Equal([], offences);
    }

    [Theory]
    [InlineData("Wire")]
    [InlineData("Buffers")]
    [InlineData("Offload")]
    [InlineData("Events")]
    [InlineData("Guards")]
    [InlineData("Forwarding")]
    public void Neither_clock_nor_socket_nor_thread_below_the_pipeline(string layer) => AssertNone(
        SourceTree.Under("src/DataPlane/" + layer), @"\b(DateTime|DateTimeOffset|Stopwatch|TickCount64|TickCount|TimeProvider|Socket|Thread|Task|async|await)\b(?!\s*=)");

    [Fact]
    public void Nothing_in_the_pipeline_waits()
    {
        // The exceptions are calls of other threads than the worker's own: Control removes a segment, housekeeping takes the strangers.
        AssertNone(SourceTree.Under("src/DataPlane/Pipeline").Where(file => file.Name is not ("Worker.cs" or "StrangerLog.cs")),
            @"\bThread\.|\bTask\b|\basync\b|\bawait\b|\block\s*\(|\bMonitor\.|\.Enter\(|\bEnterScope\b|\bSpinWait\b|\bDateTime\b|\bTickCount64\b|\bStopwatch\b");
    }

    [Fact]
    public void An_exception_is_caught_whole_only_at_the_root_of_a_thread() => AssertNone(
        SourceTree.Under("src/DataPlane").Where(file => file.Name is not ("Worker.cs" or "NetworkNamespace.cs")), @"catch \(Exception\b");

    internal static void AssertNone(IEnumerable<SourceFile> files, string pattern)
    {
        var offences = from file in files
                       from Match match in Regex.Matches(file.Code, pattern)
                       select $"{file.Path}: {match.Value}";
        Assert.Equal([], offences);
    }
}
