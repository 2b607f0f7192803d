using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Sleeve.Seams;

/// <summary>
/// A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0.0 (the part of them that has counters and gauges): whatever a scraper might forgive is an
/// error here.
/// </summary>
internal sealed partial class Exposition
{
    private readonly Dictionary<string, (string Type, string Help, string? Unit)> _families = [];
    private readonly List<Sample> _samples = [];
    private readonly HashSet<string> _seen = [];
    private readonly bool _isOpenMetrics;
    private string? _family;
    private bool _hasEnded;

    private Exposition(bool isOpenMetrics) => _isOpenMetrics = isOpenMetrics;

    /// <summary>A sample with its labels.</summary>
    internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);

    /// <summary>Families by name.</summary>
    public IReadOnlyDictionary<string, (string Type, string Help, string? Unit)> Families => _families;

    /// <summary>Samples in order.</summary>
    public IReadOnlyList<Sample> Samples => _samples;

    /// <summary>The one sample of this name that has these labels, perhaps among others.</summary>
    public double this[string name, params (string Name, string Value)[] labels] =>
        Assert.Single(_samples, sample => sample.Name == name && labels.All(label => sample.Labels.GetValueOrDefault(label.Name) == label.Value)).Value;

    [GeneratedRegex("^# (?<what>HELP|TYPE|UNIT) (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<text>.+)$")]
    private static partial Regex Comment { get; }

    [GeneratedRegex("^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\\{(?<labels>.*)\\})? (?<value>[-+]?(Inf|[0-9.]+(e[-+]?[0-9]+)?)|NaN)$", RegexOptions.IgnoreCase)]
    private static partial Regex Line { get; }

    [GeneratedRegex("\\G(?<name>[a-zA-Z_][a-zA-Z0-9_]*)=\"(?<value>([^\"\\\\\\n]|\\\\[\\\\n\"])*)\"(,(?=.)|$)")]
    private static partial Regex Label { get; }

    /// <summary>Reads a whole answer.</summary>
    public static Exposition Parse(string text, bool isOpenMetrics)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var read = new Exposition(isOpenMetrics);
        foreach (var line in text[..^1].Split('\n')) read.Read(line);
        Assert.Equal(isOpenMetrics, read._hasEnded);
        return read;
    }

    private void Read(string line)
    {
        Assert.False(_hasEnded, $"after # EOF: {line}");
        if (_isOpenMetrics && line == "# EOF")
        {
            _hasEnded = true;
            return;
        }

        if (line.StartsWith('#')) ReadComment(Matched(Comment, line));
        else ReadSample(Matched(Line, line));
    }

    private void ReadComment(Match comment)
    {
        var (what, name, text) = (comment.Groups["what"].Value, comment.Groups["name"].Value, comment.Groups["text"].Value);
        switch (what)
        {
            case "HELP":
                Assert.True(_families.TryAdd(name, ("", text, null)), $"{name} comes twice, or not in one piece");
                _family = name;
                break;
            case "TYPE":
                Assert.Equal(_family, name);
                Assert.Contains(text, new[] { "counter", "gauge" });
                Assert.Equal(_isOpenMetrics || text == "gauge" ? 0 : 1, Regex.Count(name, "_total$"));
                _families[name] = _families[name] with { Type = text };
                break;
            default:
                Assert.True(_isOpenMetrics, "there is no UNIT in 0.0.4");
                Assert.Equal(_family, name);
                Assert.EndsWith("_" + text, name, StringComparison.Ordinal);
                _families[name] = _families[name] with { Unit = text };
                break;
        }
    }

    private void ReadSample(Match line)
    {
        var (name, text) = (line.Groups["name"].Value, line.Groups["labels"].Value);
        var type = _families[_family!].Type;
        Assert.Equal(_isOpenMetrics && type == "counter" ? _family + "_total" : _family, name);
        var labels = new Dictionary<string, string>();
        var matches = Label.Matches(text);
        Assert.Equal(text.Length, matches.Sum(static label => label.Length));
        foreach (Match label in matches) Assert.True(labels.TryAdd(label.Groups["name"].Value, Unescape(label.Groups["value"].Value)), $"a label twice: {text}");
        if (line.Groups["labels"].Success) Assert.NotEmpty(labels);
        Assert.True(_seen.Add($"{name} {string.Join('\0', labels.Order(Comparer<KeyValuePair<string, string>>.Create(static (a, b) => string.CompareOrdinal(a.Key, b.Key))))}"), $"a series twice: {line.Value}");
        var value = line.Groups["value"].Value switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            var number => double.Parse(number, CultureInfo.InvariantCulture),
        };
        if (type == "counter") Assert.True(value >= 0, line.Value);
        _samples.Add(new Sample(name, labels, value));
    }

    private static Match Matched(Regex form, string line)
    {
        var match = form.Match(line);
        Assert.True(match.Success, $"not a line of the format: {line}");
        return match;
    }

    private static string Unescape(string value)
    {
        var text = new StringBuilder();
        for (var i = 0; i < value.Length; i++) text.Append(value[i] != '\\' ? value[i] : value[++i] == 'n' ? '\n' : value[i]);
        return text.ToString();
    }
}
