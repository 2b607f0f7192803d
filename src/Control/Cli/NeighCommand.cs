using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve neigh</c>: what the ARP and ND proxy answers from, in the words of ip-neighbour(8).</summary>
internal static class NeighCommand
{
    private const string AddressAllowed = "an IPv4 or IPv6 unicast address";

    private static readonly Argument<string[]> AddressArgument = new("IP") { Description = "Address of the station.", HelpName = "IP", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting LinkAddress = new("--lladdr", "MAC", "MAC of the station.", "a unicast MAC such as 02:00:00:00:00:01");
    private static readonly Option<bool> Router = Setting.Flag("--router", "It is a router: the R flag of neighbour advertisements.");
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var neigh = new Command("neigh", "Show and change the neighbours that the ARP and ND proxy (--proxy) answers for.")
        {
            CreateShow(),
            CreateChange("add", "Add a neighbour that is not there yet."),
            CreateChange("replace", "Add a neighbour or change the one there is."),
            CreateDelete(),
        };
        neigh.WithExamples("""
            Examples:
              sleeve neigh show dev vx0
              sleeve neigh add 10.1.1.2 lladdr 02:00:00:00:00:02 dev vx0
              sleeve neigh replace 10.1.1.2 lladdr 02:00:00:00:00:03 dev vx0
              sleeve neigh del 10.1.1.2 dev vx0
            """);
        return neigh;
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show the neighbours of one device, or of all.");
        Device.AddTo(show, isRead: true);
        show.Options.Add(FdbCommand.Details);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var sources = Device.Select(reader);
            var isOne = reader.IsGiven(Device.Device);
            return () => ShowAsync(sources, isOne, result.GetValue(Device.Json), result.GetValue(FdbCommand.Details));
        }));
        return show;
    }

    private static async Task ShowAsync(IReadOnlyList<(string Device, string Path)> sources, bool isOne, bool json, bool details)
    {
        var (answers, missing) = await DeviceOptions.ReadAsync(sources, async (device, client) =>
        {
            var own = await client.GetAsync($"segments/{ApiClient.Escape(device)}/neighbours", ApiJson.Default.IReadOnlyListNeighbourJson);
            return isOne ? own : own.Select(entry => entry with { Dev = device });
        });
        IReadOnlyList<NeighbourJson> entries = [.. answers.SelectMany(static own => own)];
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(entries, ApiJson.Default.IReadOnlyListNeighbourJson));
        }
        else
        {
            foreach (var entry in entries) Console.Out.WriteLine(Format(entry) + (details ? FdbCommand.Provenance(entry.Origin, entry.Host, entry.Endpoint, entry.Version, entry.Age) : ""));
        }

        if (missing is not null) throw missing;
    }

    // As ip-neighbour(8) prints it, but without its trailing blank.
    private static string Format(NeighbourJson entry)
    {
        var device = entry.Dev is null ? "" : $" dev {entry.Dev}";
        var router = entry.Router == true ? " router" : "";
        var learned = entry.Learned switch { null => "", "local" => " learned local", _ => " learned" };
        return $"{entry.Dst}{device} lladdr {entry.Lladdr}{router}{learned} {string.Join(' ', entry.State ?? [])}";
    }

    private static Command CreateChange(string verb, string description)
    {
        var change = new Command(verb, description) { AddressArgument, LinkAddress.Option, Router };
        Device.AddTo(change, isRead: false);
        change.SetAction((result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (device, path) = Device.Require(reader);
            var address = ReadAddress(result, reader);
            var mac = reader.Require<MacAddress>(LinkAddress, Words.StationMac);
            var entry = new NeighbourJson(address.ToString(), null, mac.ToString(), result.GetValue(Router) ? true : null, null);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PostAsync($"segments/{ApiClient.Escape(device)}/neighbours/{verb}", entry, ApiJson.Default.NeighbourJson);
            };
        }));
        return change;
    }

    private static Command CreateDelete()
    {
        var delete = new Command("del", "Remove a neighbour.") { AddressArgument };
        delete.Aliases.Add("delete");
        Device.AddTo(delete, isRead: false);
        delete.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (device, path) = Device.Require(reader);
            var address = ReadAddress(result, reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var entry = new NeighbourJson(address.ToString(), null, null, null, null);
                await client.PostAsync($"segments/{ApiClient.Escape(device)}/neighbours/del", entry, ApiJson.Default.NeighbourJson);
            };
        }));
        return delete;
    }

    private static InternetAddress ReadAddress(ParseResult result, SettingReader reader)
    {
        var words = result.GetValue(AddressArgument) ?? [];
        if (words.Length == 0) reader.Refuse($"IP: missing; it must be {AddressAllowed}");
        foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        if (words.Length == 0) return default;
        if (!InternetAddress.TryParse(words[0], out var address) || address.IsMulticast || address.IsUnspecified)
            reader.Refuse($"IP {words[0]}: must be {AddressAllowed}");
        return address;
    }
}
