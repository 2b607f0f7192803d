using System.CommandLine;
using System.Globalization;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>The options of <c>sleeve up</c> about the outer IP headers, in the words of ip-link(8).</summary>
internal static class OuterSettings
{
    private static readonly Setting TypeOfService = new(
        "--tos", "TOS", "Outer TOS or traffic class; ECN is always the frame's. [0]", "inherit or 0 to 252, a multiple of 4 (the rest is ECN), also as 0x…");

    private static readonly Setting TimeToLive = new("--ttl", "TTL", "Outer TTL or hop limit. [auto: the route's; 1 to a group]", "auto, inherit or 1 to 255 (0 means auto)");
    private static readonly Setting DontFragment = new("--df", "DF", "DF of the outer IPv4 header. [unset]", "unset, set or inherit");
    private static readonly Setting FlowLabel = new("--flowlabel", "LABEL", "Flow label of the outer IPv6 header. [0: the kernel's own]", "inherit or 0 to 1048575, also as 0x…");

    /// <summary>Adds them to the command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[TypeOfService, TimeToLive, DontFragment, FlowLabel]) command.Options.Add(setting.Option);
    }

    /// <summary>Reads them.</summary>
    /// <param name="reader">The command line.</param>
    public static OuterOptions Read(SettingReader reader) => new()
    {
        TypeOfService = reader.Read(TypeOfService, ReadTypeOfService, 0),
        TimeToLive = reader.Read(TimeToLive, static (string text, out int value) => TryNumberOrInherit(text == "auto" ? "0" : text, byte.MaxValue, out value), 0),
        DontFragment = reader.Read(DontFragment, ReadDontFragment, DontFragmentRule.Unset),
        FlowLabel = reader.Read(FlowLabel, static (string text, out int value) => TryNumberOrInherit(text, 0xFFFFF, out value), 0),
    };

    /// <summary>Where a flow label that asks for something stands; null if there is none.</summary>
    public static Given<string>? FindFlowLabel(SettingReader reader, OuterOptions read) =>
        read.FlowLabel != 0 && reader.ReadGiven<string>(FlowLabel, Words.Text) is [var given, ..] ? given : null;

    // A number whose ECN bits are clear.
    private static bool ReadTypeOfService(string text, out int value) =>
        TryNumberOrInherit(text, byte.MaxValue, out value) && (value == OuterOptions.Inherit || (value & CongestionMark.Mask) == 0);

    private static bool ReadDontFragment(string text, out DontFragmentRule value)
    {
        value = text switch { "set" => DontFragmentRule.Set, "inherit" => DontFragmentRule.Inherit, _ => DontFragmentRule.Unset };
        return text is "set" or "inherit" or "unset";
    }

    private static bool TryNumberOrInherit(string text, int max, out int value)
    {
        value = OuterOptions.Inherit;
        if (text == "inherit") return true;
        if (text.StartsWith("0x", StringComparison.Ordinal))
            return int.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value) && value >= 0 && value <= max;
        return Words.Number(0, max)(text, out value);
    }
}
