using System.Globalization;
using Sleeve.Control.Api;

namespace Sleeve.Control.Top;

/// <summary>What rows are in order of.</summary>
internal enum TopSort
{
    /// <summary>Bits a second, both ways.</summary>
    Rate,

    /// <summary>Frames or datagrams a second, both ways.</summary>
    Frames,

    /// <summary>Drops a second.</summary>
    Drops,

    /// <summary>Name or address.</summary>
    Name,
}

/// <summary>How it is shown.</summary>
/// <param name="Width">Characters of a line.</param>
/// <param name="Height">Lines; null for as many as it takes.</param>
/// <param name="Sort">What rows are in order of.</param>
/// <param name="Style">How lines look.</param>
internal sealed record TopView(int Width, int? Height, TopSort Sort, TopStyle Style);

/// <summary>Turns rates into lines.</summary>
internal static class TopScreen
{
    // Of a list that has no end to it, where nothing limits the height.
    private const int PlainRows = 40;

    /// <summary>The lines, no more and no longer than the view has room for.</summary>
    public static IReadOnlyList<string> Lines(IReadOnlyList<TopJson> vteps, TopView view)
    {
        List<string> lines = [.. vteps.SelectMany(vtep => Head(vtep, view))];
        List<(string? Heading, TopTable Table)> parts = [(null, Segments(vteps, view.Sort)), (null, Remotes(vteps, view.Sort)), (null, Drops(vteps, view.Sort))];
        foreach (var vtep in vteps)
        {
            if (vtep.Talkers is { } talkers) parts.Add((Heading(talkers, vtep, vteps.Count), Stations(talkers, view.Sort)));
            else lines.Add(view.Style.Faint(TopTable.Cut($"    stations: {vtep.TalkersMissing}", view.Width)));
        }

        parts.RemoveAll(static part => part.Table.Rows == 0);
        var rows = Share([.. parts.Select(static part => (part.Table.Rows, Above: part.Heading is null ? 2 : 3))], view.Height - lines.Count);
        foreach (var ((heading, table), limit) in parts.Zip(rows))
        {
            if (limit == 0) continue;
            lines.Add("");
            if (heading is not null) lines.Add(view.Style.Faint(TopTable.Cut(heading, view.Width)));
            lines.AddRange(table.Lines(view.Width, limit, view.Style));
        }

        return view.Height is { } height ? [.. lines.Take(height)] : lines;
    }

    /// <summary>A number with three digits or so, and k, M, G or T.</summary>
    public static string Number(double value)
    {
        string[] units = ["", " k", " M", " G", " T", " P"];
        var unit = 0;
        while (value >= 999.5 && unit < units.Length - 1) (value, unit) = (value / 1000, unit + 1);
        var format = value >= 99.95 || (unit == 0 && value == Math.Floor(value)) ? "0" : value >= 9.995 ? "0.0" : "0.00";
        return value.ToString(format, CultureInfo.InvariantCulture) + units[unit];
    }

    // Each gets a row, with what stands above it, then one after the other one more until there is no room.
    private static int[] Share((int Rows, int Above)[] wanted, int? room)
    {
        if (room is not { } left) return [.. wanted.Select(static part => Math.Min(part.Rows, PlainRows))];
        var given = new int[wanted.Length];
        for (var hasGiven = true; hasGiven;)
        {
            hasGiven = false;
            for (var i = 0; i < wanted.Length; i++)
            {
                var cost = given[i] == 0 ? wanted[i].Above + 1 : 1;
                if (given[i] >= wanted[i].Rows || cost > left) continue;
                given[i]++;
                left -= cost;
                hasGiven = true;
            }
        }

        return given;
    }

    private static IEnumerable<string> Head(TopJson vtep, TopView view)
    {
        yield return view.Style.Title(TopTable.Cut($"VTEP {vtep.Local} UDP port {vtep.Dstport}, pid {vtep.Pid}", view.Width));
        yield return TopTable.Cut($"    tx-offload {vtep.TxOffload}, rx-offload {vtep.RxOffload}, steering {vtep.Steering}; tx-offload because {vtep.TxOffloadReason}", view.Width);
        yield return TopTable.Cut($"    CPU: {string.Join(", ", vtep.Workers.Select(static worker => string.Create(CultureInfo.InvariantCulture, $"worker {worker.Worker} {worker.CpuPercent:0} %")))}", view.Width);
        if (vtep.SocketDropsPerSecond > 0) yield return view.Style.Alarm(TopTable.Cut($"    receive buffer full: {Number(vtep.SocketDropsPerSecond)} datagrams a second lost before Sleeve", view.Width));
    }

    private static string Heading(TalkersJson talkers, TopJson vtep, int vteps)
    {
        var whose = vteps == 1 ? "" : $" of pid {vtep.Pid}";
        var lost = talkers.LeftOutFrames > 0 ? $", some {Number(talkers.LeftOutFrames)} had no room" : "";
        return $"stations{whose}, by a sample: {talkers.SampledFrames} frames in {talkers.SampledMilliseconds} ms{lost}";
    }

    private static TopTable Segments(IReadOnlyList<TopJson> vteps, TopSort sort) => new(
        [new("SEGMENT"), new("VNI", true, 3), new("STATE", Rank: 1), new("TX FRAME/S", true, 4), new("TX BIT/S", true), new("RX FRAME/S", true, 4), new("RX BIT/S", true), new("DROP/S", true), new("FDB", true, 5), new("NEIGH", true, 6)],
        [.. Sorted(vteps.SelectMany(static vtep => vtep.Segments), sort, static each => each.TxBitsPerSecond + each.RxBitsPerSecond, static each => each.TxFramesPerSecond + each.RxFramesPerSecond, static each => each.DropsPerSecond, static each => each.Ifname)
            .Select(static each => new TopCell[]
            {
                each.Ifname, $"{each.Vni}", each.Up ? "up" : new TopCell("DOWN", true), Number(each.TxFramesPerSecond), Number(each.TxBitsPerSecond), Number(each.RxFramesPerSecond), Number(each.RxBitsPerSecond),
                Alarming(each.DropsPerSecond), $"{each.FdbEntries}", $"{each.Neighbours}",
            })]);

    private static TopTable Remotes(IReadOnlyList<TopJson> vteps, TopSort sort) => new(
        [new("VTEP"), new("SEGMENT", Rank: 1), new("TX DGRAM/S", true, 3), new("TX BIT/S", true), new("RX DGRAM/S", true, 3), new("RX BIT/S", true), new("DROP/S", true, 2)],
        [.. Sorted(vteps.SelectMany(static vtep => vtep.Remotes), sort, static each => each.TxBitsPerSecond + each.RxBitsPerSecond, static each => each.TxDatagramsPerSecond + each.RxDatagramsPerSecond, static each => each.TxDroppedPerSecond, static each => each.Dst)
            .Select(static each => new TopCell[]
            {
                each.Via is null ? each.Dst : $"{each.Dst} via {each.Via}", each.Ifname, Number(each.TxDatagramsPerSecond), Number(each.TxBitsPerSecond), Number(each.RxDatagramsPerSecond), Number(each.RxBitsPerSecond),
                Alarming(each.TxDroppedPerSecond),
            })]);

    // What happens now comes first, whatever the rest is in order of.
    private static TopTable Drops(IReadOnlyList<TopJson> vteps, TopSort sort) => new(
        [new("DROP/S", true), new("TOTAL", true, 2), new("WAY", Rank: 3), new("REASON"), new("SEGMENT", Rank: 1), new("WHAT", Rank: 4)],
        [.. vteps.SelectMany(static vtep => vtep.Drops).OrderByDescending(each => sort == TopSort.Name ? 0 : each.PerSecond).ThenBy(static each => each.Ifname, StringComparer.Ordinal).ThenBy(static each => each.Reason, StringComparer.Ordinal)
            .Select(static each => new TopCell[] { Alarming(each.PerSecond), Number(each.Total), each.Direction, each.Reason, each.Ifname ?? "", each.Sentence })]);

    private static TopTable Stations(TalkersJson talkers, TopSort sort) => new(
        [new("STATION"), new("SEGMENT", Rank: 2), new("BEHIND", Rank: 1), new("TX BIT/S", true), new("RX BIT/S", true)],
        [.. Sorted(talkers.Stations, sort, static each => each.TxBitsPerSecond + each.RxBitsPerSecond, static each => each.TxBitsPerSecond + each.RxBitsPerSecond, static _ => 0, static each => each.Mac)
            .Select(static each => new TopCell[] { each.Mac, each.Ifname, each.Dst ?? "the TAP", Number(each.TxBitsPerSecond), Number(each.RxBitsPerSecond) })]);

    private static TopCell Alarming(double rate) => new(Number(rate), rate > 0);

    private static IEnumerable<T> Sorted<T>(IEnumerable<T> rows, TopSort sort, Func<T, double> bits, Func<T, double> frames, Func<T, double> drops, Func<T, string> name) =>
        sort == TopSort.Name ? rows.OrderBy(name, StringComparer.Ordinal)
        : rows.OrderByDescending(sort switch { TopSort.Frames => frames, TopSort.Drops => drops, _ => bits }).ThenBy(name, StringComparer.Ordinal);
}
