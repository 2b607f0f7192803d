using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve ipam</c>: who has which addresses of the networks.</summary>
internal static class IpamCommand
{
    // As many blocks fit a terminal as a picture; beyond that only those that are used are shown.
    private const int MaxCells = 1024;
    private const int CellsInLine = 64;
    private const int BarWidth = 20;

    private static readonly Argument<string[]> NetworkArgument = new("NETWORK") { Description = "The network; left out: all.", HelpName = "NETWORK", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Argument<string[]> AddressArgument = new("NETWORK ADDRESS") { Description = "The network, and the address.", HelpName = "NETWORK ADDRESS", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Note = new("--note", "TEXT", "What it is reserved for.", "text of at most 255 characters");
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var ipam = new Command("ipam", "Show who has which addresses of the networks; reserve some.") { CreateShow(), CreateReserve(), CreateRelease() };
        ipam.WithExamples("""
            Hosts give out addresses of blocks that they lease. In the picture each character is a block, in the order of addresses:
            . is nobody's, - is leased and unused, and the fuller, the darker.

            Examples:
              sleeve ipam show
              sleeve ipam show blue
              sleeve ipam show blue --json
              sleeve ipam reserve blue 10.1.0.9 --note "the old printer"
              sleeve ipam release blue 10.1.0.9
            """);
        return ipam;
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show the use of the pools; of one network, block by block.") { NetworkArgument };
        show.Aliases.Add("ls");
        show.Options.Add(DaemonSocket.Option.Option);
        show.Options.Add(Json);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(NetworkArgument) ?? [];
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var name, ..] && !Names.IsName(name)) reader.Refuse($"NETWORK {name}: must be {Names.Allowed}");
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var pools = await client.GetAsync(words is [var network] ? $"ipam/{ApiClient.Escape(network)}" : "ipam", ApiJson.Default.IReadOnlyListPoolJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(pools, ApiJson.Default.IReadOnlyListPoolJson));
                else if (pools.Count == 0) Console.Out.WriteLine(words.Length == 0 ? "no pools; sleeve net create NAME --subnet CIDR makes one" : $"{words[0]} has no subnet: its addresses are given by hand");
                else if (words.Length == 0) Print(pools);
                else foreach (var pool in pools) PrintOne(pool);
            };
        }));
        return show;
    }

    private static Command CreateReserve()
    {
        var reserve = new Command("reserve", "Keep an address from being given out.") { AddressArgument };
        reserve.Options.Add(Note.Option);
        reserve.Options.Add(DaemonSocket.Option.Option);
        reserve.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (network, address) = ReadPair(result, reader);
            var note = reader.Read<string?>(Note, static (string text, out string? value) => (value = text).Length <= RecordJson.MaxNoteLength && NetworkRules.IsText(text), null);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PutAsync($"ipam/{ApiClient.Escape(network)}/reservations/{ApiClient.Escape(address)}", new ReservationJson(note), ApiJson.Default.ReservationJson);
            };
        }));
        return reserve;
    }

    private static Command CreateRelease()
    {
        var release = new Command("release", "Let a reserved address be given out again.") { AddressArgument };
        release.Options.Add(DaemonSocket.Option.Option);
        release.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (network, address) = ReadPair(result, reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.DeleteAsync($"ipam/{ApiClient.Escape(network)}/reservations/{ApiClient.Escape(address)}");
            };
        }));
        return release;
    }

    private static (string Network, string Address) ReadPair(ParseResult result, SettingReader reader)
    {
        var words = result.GetValue(AddressArgument) ?? [];
        if (words.Length == 0) reader.Refuse($"NETWORK: missing; it must be {Names.Allowed}");
        else if (!Names.IsName(words[0])) reader.Refuse($"NETWORK {words[0]}: must be {Names.Allowed}");
        InternetAddress address = default;
        if (words.Length < 2) reader.Refuse("ADDRESS: missing; it must be an IPv4 or IPv6 unicast address");
        else if (!Words.UnicastAddress(words[1], out address)) reader.Refuse($"ADDRESS {words[1]}: must be an IPv4 or IPv6 unicast address");
        foreach (var surplus in words.Skip(2)) reader.Refuse($"{surplus}: not expected here");
        return (words.FirstOrDefault() ?? "", address.ToString());
    }

    private static void Print(IReadOnlyList<PoolJson> pools)
    {
        var table = Listing.NewTable("NETWORK", "SUBNET", "USABLE", "USED", "RESERVED", "BLOCKS", "USE");
        foreach (var pool in pools)
        {
            table.AddRow(
                Markup.Escape(pool.Network), pool.Subnet, Number(pool.Usable), Number(pool.Used), Number(pool.Reserved), $"{Number(pool.Leased)} of {Number(pool.Blocks)} /{Number(pool.BlockLength)}",
                Bar(pool.Used + pool.Reserved, pool.Usable));
        }

        AnsiConsole.Write(table);
    }

    private static void PrintOne(PoolJson pool)
    {
        Console.Out.WriteLine($"{pool.Network} {pool.Subnet}: {Number(pool.Used)} used and {Number(pool.Reserved)} reserved of {Number(pool.Usable)}, {Number(pool.Leased)} of {Number(pool.Blocks)} blocks (/{Number(pool.BlockLength)}) leased");
        var blocks = pool.BlockList ?? [];
        PrintMap(pool, blocks);
        var hosts = Listing.NewTable("HOST", "BLOCKS", "USABLE", "USED", "USE");
        foreach (var host in blocks.Where(static block => block.Host is not null).GroupBy(static block => block.Host!).OrderBy(static each => each.Key, StringComparer.Ordinal))
        {
            var (usable, used) = (host.Aggregate(0L, static (sum, block) => sum > long.MaxValue - block.Usable ? long.MaxValue : sum + block.Usable), host.Sum(static block => (long)block.Used + block.Reserved));
            hosts.AddRow(Markup.Escape(host.Key), Number(host.Count()), Number(usable), Number(used), Bar(used, usable));
        }

        if (hosts.Rows.Count > 0) AnsiConsole.Write(hosts);
        var listed = Listing.NewTable("BLOCK", "HOST", "USED", "OF OTHERS", "RESERVED", "FREE");
        foreach (var block in blocks)
            listed.AddRow(block.Block, Markup.Escape(block.Host ?? "-"), Number(block.Used), Number(block.Foreign ?? 0), Number(block.Reserved), Number(Math.Max(0, block.Usable - block.Used - block.Reserved)));
        if (blocks.Count > 0) AnsiConsole.Write(listed);
        if (pool.ReservedList is not { Count: > 0 } kept) return;
        var reserved = Listing.NewTable("KEPT", "WHY", "NOTE");
        foreach (var each in kept) reserved.AddRow(each.Address, each.Why, Markup.Escape(each.Note ?? ""));
        AnsiConsole.Write(reserved);
    }

    // A character a block, 64 in a line that begins with its first.
    private static void PrintMap(PoolJson pool, IReadOnlyList<BlockUseJson> blocks)
    {
        if (pool.Blocks > MaxCells || !Sleeve.Control.Host.AddressPrefix.TryParse(pool.Subnet, out var subnet)) return;
        var byBlock = blocks.ToDictionary(static block => block.Block);
        var lines = Listing.NewTable("FROM", "USE");
        lines.HideHeaders();
        var line = new StringBuilder();
        for (long i = 0; i < pool.Blocks; i++)
        {
            var first = PrefixArithmetic.FromNumber(subnet.First() + ((UInt128)i << (subnet.Width() - pool.BlockLength)), subnet.Address.IsIPv4);
            line.Append(Cell(byBlock.GetValueOrDefault($"{first}/{Number(pool.BlockLength)}")));
            if ((i + 1) % CellsInLine != 0 && i + 1 != pool.Blocks) continue;
            var begin = PrefixArithmetic.FromNumber(subnet.First() + ((UInt128)(i / CellsInLine * CellsInLine) << (subnet.Width() - pool.BlockLength)), subnet.Address.IsIPv4);
            lines.AddRow(begin.ToString(), line.ToString());
            line.Clear();
        }

        AnsiConsole.Write(lines);
    }

    private static string Cell(BlockUseJson? block)
    {
        if (block is null) return "[dim].[/]";
        var taken = block.Used + block.Reserved;
        if (taken == 0) return "-";
        var share = (double)taken / Math.Max(1, block.Usable);
        return share switch { < 0.25 => "[green]░[/]", < 0.6 => "[green]▒[/]", < 0.9 => "[yellow]▓[/]", _ => "[red]█[/]" };
    }

    private static string Bar(long used, long usable)
    {
        var share = usable == 0 ? 0 : Math.Min(1, (double)used / usable);
        var full = used == 0 ? 0 : Math.Max(1, (int)(share * BarWidth));
        var colour = share switch { < 0.6 => "green", < 0.9 => "yellow", _ => "red" };
        return string.Create(CultureInfo.InvariantCulture, $"[{colour}]{new string('█', full)}[/][dim]{new string('░', BarWidth - full)}[/] {share * 100:0}%");
    }

    private static string Number(long value) => value == long.MaxValue ? "2^63+" : value.ToString(CultureInfo.InvariantCulture);
}
