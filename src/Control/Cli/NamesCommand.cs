using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve names</c>: the names of a network's endpoints, and what its members get for one.</summary>
internal static class NamesCommand
{
    private const string QuestionAllowed = "a name of 1 to 253 characters, or an address";
    private const int MaxQuestion = 253;

    private static readonly Argument<string[]> WordsArgument = new("NETWORK [NAME]") { Description = "The network, and a name or an address to look up.", HelpName = "NETWORK [NAME]", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var names = new Command("names", "Show the names of a network's endpoints, or what its members get for a name.") { WordsArgument, DaemonSocket.Option.Option, Json };
        names.WithExamples("""
            A name is looked up in what the network knows; the host's resolvers are not asked.

            Examples:
              sleeve names prod                              all names and aliases, with the hosts they are on
              sleeve names prod web
              sleeve names prod 10.1.0.2                     the name of an address
              sleeve names prod web.prod.sleeve --json
            """);
        names.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(WordsArgument) ?? [];
            if (words.Length == 0) reader.Refuse($"NETWORK: missing; it must be {Networks.Names.Allowed}");
            foreach (var surplus in words.Skip(2)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var network, ..] && !Networks.Names.IsName(network)) reader.Refuse($"NETWORK {network}: must be {Networks.Names.Allowed}");
            if (words is [_, var name, ..] && name.Length is 0 or > MaxQuestion) reader.Refuse($"NAME {name}: must be {QuestionAllowed}");
            var path = DaemonSocket.PathOf(reader);
            return words is [var first, .. var rest] ? () => rest is [var question, ..] ? ResolveAsync(path, first, question, result.GetValue(Json)) : ListAsync(path, first, result.GetValue(Json)) : null;
        }));
        return names;
    }

    private static async Task ListAsync(string path, string network, bool json)
    {
        using var client = new ApiClient(path);
        var names = await client.GetAsync($"networks/{ApiClient.Escape(network)}/names", ApiJson.Default.NetworkNamesJson);
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(names, ApiJson.Default.NetworkNamesJson));
            return;
        }

        Print(names);
    }

    private static void Print(NetworkNamesJson names)
    {
        if (names.Server is { } server)
        {
            var where = $"{string.Join(", ", server.Addresses)} of {server.Dev}";
            Console.Out.WriteLine(server.Serving ? $"served on {where}: {server.Queries} questions, {server.Forwarded} forwarded, {server.Failed} failed, {server.Limited} dropped" : $"not served on {where}: {server.Error}");
        }

        if (names.Names.Count == 0)
        {
            Console.Out.WriteLine("no names; endpoints get theirs when they are attached");
            return;
        }

        var table = Listing.NewTable("NAME", "ADDRESS", "HOST", "ENDPOINT", "STATE");
        foreach (var name in names.Names)
        {
            if (name.Addresses.Count == 0) table.AddRow(Markup.Escape(name.Name), "-", "-", "-", "-");
            foreach (var address in name.Addresses)
                table.AddRow(Markup.Escape(name.Name), address.Address, Markup.Escape(address.Host), Markup.Escape(address.Endpoint), address.Up ? "up" : "[red]down[/]");
        }

        AnsiConsole.Write(table);
    }

    private static async Task ResolveAsync(string path, string network, string question, bool json)
    {
        using var client = new ApiClient(path);
        var found = await client.GetAsync($"networks/{ApiClient.Escape(network)}/names/{ApiClient.Escape(question)}", ApiJson.Default.ResolvedNameJson);
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(found, ApiJson.Default.ResolvedNameJson));
        else foreach (var line in found.Pointer is { } pointer ? [pointer] : found.Addresses) Console.Out.WriteLine(line);
        // As of a resolver: nothing found is a failure.
        if (found.Status == "found") return;
        throw new HostException(found.Status switch
        {
            "no-data" => $"{question}: the name is known, but has no address here now (sleeve names {network} shows whose it is)",
            "no-name" => $"{question}: there is no such name in network {network} (sleeve names {network} lists them)",
            "elsewhere" => $"{question}: none of network {network}; its members have it from the host's resolvers",
            _ => $"{question}: refused",
        });
    }
}
