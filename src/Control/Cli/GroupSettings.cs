using System.CommandLine;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>The options of <c>sleeve up</c> about multicast groups and the interface to send by, in the words of ip-link(8).</summary>
internal static class GroupSettings
{
    private static readonly Setting Group = new(
        "--group", "IP", "Multicast group that reaches all VTEPs of the segment; needs --dev. Once, or once a device in their order.", "an IPv4 or IPv6 multicast address", repeatable: true);

    private static readonly Setting Device = new("--dev", "IF", "Underlay interface to send by and to join groups on. [the route decides]", Words.LinkNameAllowed);

    /// <summary>Adds them to the command.</summary>
    public static void AddTo(Command command)
    {
        command.Options.Add(Group.Option);
        command.Options.Add(Device.Option);
    }

    /// <summary>Reads the interface; null if none was given.</summary>
    public static string? ReadDevice(SettingReader reader) => reader.Read<string?>(Device, Words.LinkName!, null);

    /// <summary>Reads the groups.</summary>
    public static IReadOnlyList<InternetAddress> ReadGroups(SettingReader reader)
    {
        var groups = reader.ReadAll<InternetAddress>(Group, static (string text, out InternetAddress value) => InternetAddress.TryParse(text, out value) && value.IsMulticast);
        if (groups.Count > 0 && !reader.IsGiven(Device)) reader.Refuse($"--dev: missing; --group {groups[0]} needs {Words.LinkNameAllowed} to join it on");
        return groups;
    }

    /// <summary>Gives the segments their groups.</summary>
    public static List<SegmentOptions> Assign(SettingReader reader, List<SegmentOptions> segments, IReadOnlyList<InternetAddress> groups, bool isIPv4)
    {
        foreach (var group in groups.Where(group => group.IsIPv4 != isIPv4)) reader.Refuse($"--group {group}: must be of the underlay's family, {(isIPv4 ? "IPv4" : "IPv6")}");
        if (groups.Count > 1 && groups.Count != segments.Count) reader.Refuse($"--group: given {groups.Count} times for {segments.Count} devices; must be given once, or once a device");
        if (groups.Count == 0 || reader.Errors.Count > 0) return segments;
        return [.. segments.Select((segment, i) => segment with { Group = groups[groups.Count == 1 ? 0 : i] })];
    }
}
