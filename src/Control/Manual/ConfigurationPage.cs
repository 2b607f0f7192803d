using System.Globalization;
using System.Text;
using Sleeve.Control.Config;

namespace Sleeve.Control.Manual;

/// <summary>What stands in a configuration file, key by key with unit and default: sleeve.yaml(5), and docs/configuration.md with the same words.</summary>
internal static class ConfigurationPage
{
    /// <summary>A file that works as it is.</summary>
    public const string Example = """
        local: 192.0.2.1
        remote: [192.0.2.2, 192.0.2.3]
        segments:
          - ifname: blue
            vni: 100
            address: 10.1.1.1/24
          - ifname: green
            vni: 200
            mtu: 1400
            remote: 192.0.2.9
            proxy: true
            fdb:
              - 02:00:00:00:00:09 dst 192.0.2.9 static       # the words of sleeve fdb add
            neigh: 10.1.2.9 lladdr 02:00:00:00:00:09         # the words of sleeve neigh add

        """;

    private const string VtepTitle = "Keys of the VTEP";
    private const string SegmentTitle = "Keys of segments";
    private const string VtepText = "They stand at the top of the file, and hold for all segments.";
    private const string SegmentText = "They stand in a segment, or at the top for every segment that says nothing else.";

    private static readonly string[] Format =
    [
        "The file is YAML, in UTF-8 (anchors and aliases work; tags, merge keys and several documents do not), or JSON if it begins with a brace.",
        "It configures sleeve daemon, and sleeve up --config. Its keys are the options of sleeve up without their dashes, so --help of that verb and this text say the same. An option that can be repeated takes a value or a list of values, a flag true or false. Values that look like something else to YAML, such as an address that ends in a colon, need quotes.",
        "segments is the list of segments. Each has its device under ifname and its vni, and whatever it has of its own.",
        "What goes first: a segment's own key, then the command line, then the top of the file.",
        "SIGHUP, sleeve config reload and systemctl reload sleeve have the daemon read it again: only what changed is touched, and a file with an error changes nothing.",
    ];

    private static readonly (string Key, string Allowed, string Meaning)[] Structure =
    [
        (ConfigFile.SegmentsKey, $"a list of 1 to {ConfigLimits.MaxSegments} mappings", "The segments."),
        (ConfigFile.DeviceKey, "an interface name of 1 to 15 bytes", "The TAP of a segment, in each member of segments; made if it is not there."),
    ];

    private static string Limits => string.Create(CultureInfo.InvariantCulture,
        $"At most {ConfigLimits.MaxBytes / (1024 * 1024)} MiB, {ConfigLimits.MaxSegments:N0} segments and {ConfigLimits.MaxDepth} levels. sleeve config check FILE tells every error with its line, and changes nothing.");

    /// <summary>The page in roff: sleeve.yaml(5).</summary>
    /// <param name="date">As YYYY-MM-DD.</param>
    /// <param name="version">Of the program.</param>
    public static string WriteRoff(string date, string version)
    {
        var page = new RoffText("sleeve.yaml", 5, date, $"Sleeve {version}");
        page.Section("Name").Line($@"sleeve.yaml \- {RoffText.Escape("configuration of a VXLAN tunnel end point, key by key")}");
        page.Section("Synopsis").Line(RoffText.Italic("/etc/sleeve/sleeve.yaml"));
        page.Section("Description").Prose(Format[0]);
        foreach (var text in Format[1..]) page.Paragraph(text);
        page.Section("Structure");
        foreach (var (key, allowed, meaning) in Structure) page.Tagged(RoffText.Bold(key), $"{meaning} Allowed: {allowed}.");
        foreach (var (title, text, isSegments) in ((string, string, bool)[])[(VtepTitle, VtepText, false), (SegmentTitle, SegmentText, true)])
        {
            page.Section(title).Prose(text);
            foreach (var key in ConfigurationKeys.All.Where(key => key.IsSegments == isSegments)) page.Tagged(string.Join(", ", key.Names.Select(RoffText.Bold)), TextOf(key));
        }

        page.Section("Limits").Prose(Limits);
        page.Section("Examples").Verbatim(Example.TrimEnd('\n').Split('\n'));
        page.Section("See also").Line($@"{RoffText.Bold("sleeve")}(1),").Line($@"{RoffText.Bold("sleeve-up")}(1),").Line($@"{RoffText.Bold("sleeve-config")}(1)");
        return page.ToString();
    }

    /// <summary>The same as docs/configuration.md.</summary>
    public static string WriteMarkdown()
    {
        var text = new StringBuilder("""
            # The configuration file, key by key

            Written from the declarations of the options by `sleeve manual` and held up to date by `tests/Control.Tests/Manual`, as the manual page sleeve.yaml(5) is.


            """);
        foreach (var paragraph in Format) text.Append(paragraph).Append("\n\n");
        text.Append("```yaml\n").Append(Example.TrimEnd('\n')).Append("\n```\n\n").Append(Limits).Append("\n\n## Structure\n| key | value | meaning |\n|---|---|---|\n");
        foreach (var (key, allowed, meaning) in Structure) text.Append(CultureInfo.InvariantCulture, $"| `{key}` | {allowed} | {meaning} |\n");
        foreach (var (title, intro, isSegments) in ((string, string, bool)[])[(VtepTitle, VtepText, false), (SegmentTitle, SegmentText, true)])
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n{intro}\n\n| key | value | unit | default | meaning |\n|---|---|---|---|---|\n");
            foreach (var key in ConfigurationKeys.All.Where(key => key.IsSegments == isSegments)) text.Append(RowOf(key));
        }

        return text.ToString();
    }

    private static string TextOf(ConfigurationKey key)
    {
        var unit = key.Facts.NamesUnit ? "" : $" ({key.Unit})";
        var text = $"{key.Facts.Meaning} Allowed: {key.Allowed}{unit}. Default: {key.Default}.";
        if (key.Facts.IsRepeatable) text += " May be a list.";
        if (!key.IsDaemons) text += " Not in the file of sleeve daemon.";
        if (!key.IsUps) text += " Only in the file of sleeve daemon.";
        return key.Opposite is { } opposite ? $"{text} {opposite}: true says the opposite." : text;
    }

    private static string RowOf(ConfigurationKey key)
    {
        var names = string.Join(", ", key.Names.Select(static name => $"`{name}`"));
        if (key.Opposite is { } opposite) names += $"; opposite `{opposite}`";
        // The unit has a column of its own.
        var allowed = key.Unit.Length > 0 ? key.Allowed.Replace($" ({key.Unit})", "", StringComparison.Ordinal) : key.Allowed;
        if (key.Facts.IsRepeatable) allowed += "; or a list";
        return $"| {names} | {Cell(allowed)} | {key.Unit} | {Cell(key.Default)} | {Cell(key.Facts.Meaning)}{(key.IsDaemons ? "" : " Not in the file of `sleeve daemon`.")}{(key.IsUps ? "" : " Only in the file of `sleeve daemon`.")} |\n";
    }

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
}
