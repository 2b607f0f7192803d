using System.CommandLine;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>The options of <c>sleeve up</c> about multicast groups and the interface to send by, in the words of ip-link(8).</summary>
internal static class GroupSettings
{
    private static readonly Setting Group = new(
        "--group", "IP", "Multicast group that reaches all VTEPs of the segment; needs --dev.", "an IPv4 or IPv6 multicast address");

    /// <summary>The interface, which all segments share.</summary>
    public static readonly Setting Device = new("--dev", "IF", "Underlay interface to send by and to join groups on. [the route decides]", Words.LinkNameAllowed);

    /// <summary>Adds what a segment has of its own to a command.</summary>
    public static void AddTo(Command command)
    {
        command.Options.Add(Group.Option);
    }

    /// <summary>Reads the interface, which all segments share; null if none was given.</summary>
    public static string? ReadDevice(SettingReader reader) => reader.Read<string?>(Device, Words.LinkName!, null);

    /// <summary>Reads the group of a segment; at most one.</summary>
    public static IReadOnlyList<Given<InternetAddress>> ReadGroup(SettingReader reader) =>
        reader.ReadGiven<InternetAddress>(Group, static (string text, out InternetAddress value) => InternetAddress.TryParse(text, out value) && value.IsMulticast);

    /// <summary>Refuses a group without an interface to join it on.</summary>
    public static void RefuseContradictions(SettingReader reader, string? device, IEnumerable<UpSegment> segments)
    {
        if (device is null && !reader.IsGiven(Device) && segments.Select(static segment => segment.Segment.Group).FirstOrDefault(static group => group is not null) is { } group)
            reader.Refuse($"--dev: missing; group {group} needs {Words.LinkNameAllowed} to join it on");
    }
}
