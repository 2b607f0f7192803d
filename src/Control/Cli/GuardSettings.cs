using System.CommandLine;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;

namespace Sleeve.Control.Cli;

/// <summary>The options of <c>sleeve up</c> that say what a segment tells, and what it does not carry.</summary>
internal static class GuardSettings
{
    private const int MaxRate = 100_000_000;
    private const string PassOrDrop = "pass or drop";

    private static readonly Setting FloodLimit = new Setting(
        "--flood-limit", "N", $"Broadcast, multicast, unknown unicast frames a second of one station; twice at once. [{GuardOptions.DefaultFloodPerStation}]", Limit(1, MaxRate)).In("frames a second");
    private static readonly Setting FloodLimitSegment = new Setting(
        "--flood-limit-segment", "N", $"The same of all stations. [{GuardOptions.DefaultFloodPerSegment}]", Limit(1, MaxRate)).In("frames a second");
    private static readonly Setting RequestLimit = new Setting(
        "--request-limit", "N", $"ARP requests and neighbour solicitations a second of one station, either way. [{GuardOptions.DefaultRequests}]", Limit(1, MaxRate)).In("requests a second");
    private static readonly Setting MoveLimit = new Setting(
        "--move-limit", "N", $"Moves of a station in 180 s after which it is held where it is for 30 s. [{GuardOptions.DefaultMoves}]", Limit(2, 1000)).In("moves in 180 s");
    private static readonly Setting LoopLimit = new Setting(
        "--loop-limit", "N", $"Own flooded frames that come back within 10 s before it is told as a loop. [{GuardOptions.DefaultReturns}]", Limit(1, 1_000_000)).In("frames in 10 s");
    private static readonly Setting VtepLimit = new Setting(
        "--vtep-limit", "N", "Learned stations of one VTEP, once there are two. [half of --maxaddress]", Limit(1, SegmentOptions.DefaultMaxAddress)).In("stations");
    private static readonly Setting Stp = new("--stp", "WHAT", "Frames of spanning trees (to 01:80:c2:00:00:00): carry them, or drop them. [pass]", PassOrDrop);
    private static readonly Setting InnerVlan = new("--inner-vlan", "WHAT", "Frames with a VLAN tag: carry them, or drop them. [pass]", PassOrDrop);

    private static readonly Setting Flood = new(
        "--flood", "WHAT", "Unicast without an FDB entry: send it to all default destinations, or to known stations only. [all]", "all or known");

    private static readonly Option<bool> ProxyStrict = Setting.Flag("--proxy-strict", "As --proxy, but consume what cannot be answered, as the kernel does. [off]");
    private static readonly Option<bool> L2Miss = Setting.Flag("--l2miss", "Tell sleeve monitor of destinations that have no FDB entry and no default. [off]");
    private static readonly Option<bool> NoL2Miss = Setting.Flag("--nol2miss", "Do not.");
    private static readonly Option<bool> L3Miss = Setting.Flag("--l3miss", "With --proxy: tell sleeve monitor of addresses that are asked for and not known. [off]");
    private static readonly Option<bool> NoL3Miss = Setting.Flag("--nol3miss", "Do not.");

    private static readonly Option<bool> Snoop = Setting.Flag("--neigh-snoop", "Have the proxy answer for addresses heard in ARP and neighbour advertisements too. [off]");
    private static readonly Option<bool> NoSnoop = Setting.Flag("--noneigh-snoop", "Do not.");

    private static readonly Option<bool> Suppress = Setting.Flag("--neigh-suppress", "As --proxy, but flood no ARP, neighbour or router discovery, group membership. [off]");
    private static readonly Option<bool> NoSuppress = Setting.Flag("--noneigh-suppress", "Flood what cannot be answered.");

    /// <summary>Adds them to the command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[FloodLimit, FloodLimitSegment, RequestLimit, MoveLimit, LoopLimit, VtepLimit, Stp, InnerVlan, Flood]) command.Options.Add(setting.Option);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[ProxyStrict, L2Miss, NoL2Miss, L3Miss, NoL3Miss, Snoop, NoSnoop, Suppress, NoSuppress]) command.Options.Add(flag);
    }

    /// <summary>What was asked for, put into a segment's options.</summary>
    public static SegmentOptions Apply(SegmentOptions options, SettingReader reader)
    {
        var isStrict = reader.ReadFlag(ProxyStrict);
        var suppresses = reader.ReadFlag(Suppress, NoSuppress, fallback: false);
        return options with
        {
            Proxy = options.Proxy || isStrict || suppresses,
            SuppressResolution = suppresses,
            SuppressUnknown = reader.Read(Flood, IsKnown, false),
            ProxyStrict = isStrict,
            L2Miss = reader.ReadFlag(L2Miss, NoL2Miss, fallback: false),
            L3Miss = reader.ReadFlag(L3Miss, NoL3Miss, fallback: false),
            NeighbourSnooping = reader.ReadFlag(Snoop, NoSnoop, fallback: false),
            DropTagged = reader.Read(InnerVlan, IsDrop, false),
            DropSpanningTree = reader.Read(Stp, IsDrop, false),
            Guards = new GuardOptions
            {
                FloodPerStation = reader.Read(FloodLimit, NumberOrOff(1, MaxRate), GuardOptions.DefaultFloodPerStation),
                FloodPerSegment = reader.Read(FloodLimitSegment, NumberOrOff(1, MaxRate), GuardOptions.DefaultFloodPerSegment),
                Requests = reader.Read(RequestLimit, NumberOrOff(1, MaxRate), GuardOptions.DefaultRequests),
                Moves = reader.Read(MoveLimit, NumberOrOff(2, 1000), GuardOptions.DefaultMoves),
                Returns = reader.Read(LoopLimit, NumberOrOff(1, 1_000_000), GuardOptions.DefaultReturns),
                StationsPerVtep = reader.Read(VtepLimit, NumberOrOff(1, SegmentOptions.DefaultMaxAddress), GuardOptions.Standard.StationsPerVtep),
            },
        };
    }

    private static string Limit(int min, int max) => $"{min} to {max}, or off";

    private static ReadWord<int?> NumberOrOff(int min, int max) => (string text, out int? value) =>
    {
        value = null;
        if (text == "off") return true;
        var read = Words.Number(min, max)(text, out var number);
        value = number;
        return read;
    };

    private static bool IsKnown(string text, out bool value)
    {
        value = text == "known";
        return text is "all" or "known";
    }

    private static bool IsDrop(string text, out bool value)
    {
        value = text == "drop";
        return text is "pass" or "drop";
    }
}
