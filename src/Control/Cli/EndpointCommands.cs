using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve attach</c>, <c>sleeve detach</c> and <c>sleeve endpoint</c>: wire containers and namespaces of this host to networks.</summary>
internal static class EndpointCommands
{
    private const string GatewayAllowed = "auto, none, or an IPv4 or IPv6 address";

    private static readonly Argument<string[]> WordsArgument = new("NETWORK TARGET")
    {
        Description = "The network; a container, a name of ip netns, a process id, a path, tap:IF or veth:IF.", HelpName = "NETWORK TARGET [ADDRESS...]", Arity = ArgumentArity.ZeroOrMore,
    };

    private static readonly Argument<string[]> GoingArgument = new("NETWORK TARGET") { Description = "The network; what was attached, or the endpoint's id.", HelpName = "NETWORK TARGET", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Argument<string[]> NetworkArgument = new("NETWORK") { Description = "The network; left out: all.", HelpName = "NETWORK", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Mac = new("--mac", "MAC", "Its MAC. [chosen]", "a unicast MAC such as 02:00:00:00:00:01");
    private static readonly Setting InterfaceName = new("--ifname", "IF", "Name of its interface. [the first of eth0, eth1 ... that is free]", Words.LinkNameAllowed);
    private static readonly Setting Gateway = new("--gateway", "IP", "Its default route: the network's where it has none (auto), none, or this one. [auto]", GatewayAllowed);
    private static readonly Setting Name = new("--name", "NAME", "Name that resolves in the network. [that of the container or namespace]", $"{Names.Allowed}; none for none");
    private static readonly Setting Alias = new("--alias", "NAME", "Another name, which several may share. Repeatable.", Names.Allowed, repeatable: true);
    private static readonly Setting Id = new("--id", "ID", "What the endpoint is called in commands. [after the target]", Names.Allowed);
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes <c>attach</c>.</summary>
    public static Command CreateAttach()
    {
        var attach = new Command("attach", "Wire a container, process or namespace of this host to a network.") { WordsArgument };
        foreach (var setting in (ReadOnlySpan<Setting>)[Mac, InterfaceName, Gateway, Name, Alias, Id, DaemonSocket.Option]) attach.Options.Add(setting.Option);
        attach.Options.Add(Json);
        attach.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(WordsArgument) ?? [];
            var (network, target) = ReadPair(words, reader, WireTarget.Allowed);
            foreach (var address in words.Skip(2).Where(static word => !Words.UnicastAddress(word, out InternetAddress _))) reader.Refuse($"ADDRESS {address}: must be an IPv4 or IPv6 unicast address, without prefix length");
            var body = new AttachJson(target)
            {
                Addresses = words.Length > 2 ? words[2..] : null,
                Mac = reader.IsGiven(Mac) ? reader.Read<MacAddress>(Mac, Words.StationMac, default).ToString() : null,
                Ifname = reader.Read<string?>(InterfaceName, Words.LinkName!, null),
                Gateway = reader.Read<string?>(Gateway, ReadGateway, null),
                Name = reader.Read<string?>(Name, static (string text, out string? value) => (value = text == "none" ? "" : text) == "" || Names.IsName(text), null),
                Aliases = reader.IsGiven(Alias) ? reader.ReadAll<string>(Alias, ReadName) : null,
            };
            var id = reader.Read(Id, ReadName, WireTarget.IdOf(target));
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var done = await client.PutAsync($"networks/{ApiClient.Escape(network)}/endpoints/{ApiClient.Escape(id)}", body, ApiJson.Default.AttachJson, ApiJson.Default.EndpointJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(done, ApiJson.Default.EndpointJson));
                else Console.Out.WriteLine($"{done.Id} attached to {done.Network}: {done.Ifname} {string.Join(' ', done.Addresses ?? [])} {done.Mac}");
            };
        }));
        attach.WithExamples("""
            Done twice it is as done once. Without ADDRESS one of each of the network's families is chosen.

            Examples:
              sleeve attach blue web                                 a container of docker or podman, or a name of ip netns
              sleeve attach blue web 10.1.0.10 fd00:1::10            with these addresses
              sleeve attach blue 4711 --ifname net1 --name db        the namespace of a process
              sleeve attach blue /proc/4711/ns/net --gateway none
              sleeve attach blue tap:vm1 10.1.0.20                   a TAP for a virtual machine: qemu -netdev tap,ifname=vm1,script=no
            """);
        return attach;
    }

    /// <summary>Makes <c>detach</c>.</summary>
    public static Command CreateDetach()
    {
        var detach = new Command("detach", "Take a wire to a network away, and what the endpoint had there.") { GoingArgument };
        detach.Options.Add(Id.Option);
        detach.Options.Add(DaemonSocket.Option.Option);
        detach.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(GoingArgument) ?? [];
            var (network, target) = ReadPair(words, reader, "what was attached, or the endpoint's id");
            foreach (var surplus in words.Skip(2)) reader.Refuse($"{surplus}: not expected here");
            var id = reader.Read(Id, ReadName, WireTarget.IdOf(target));
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var done = await client.DeleteAsync($"networks/{ApiClient.Escape(network)}/endpoints/{ApiClient.Escape(id)}", ApiJson.Default.DetachJson);
                Console.Out.WriteLine(done.Outcome switch
                {
                    "done" => $"{id} detached from {network}",
                    "queued" => $"{id} detached from {network}; the store does not answer and is told later: until then its addresses stay taken",
                    _ => $"{id} is not attached to {network} on this host",
                });
            };
        }));
        detach.WithExamples("""
            Examples:
              sleeve detach blue web
            """);
        return detach;
    }

    /// <summary>Makes <c>endpoint</c>.</summary>
    public static Command CreateEndpoint()
    {
        var show = new Command("ls", "List what is attached on this host.") { NetworkArgument, Json };
        show.Aliases.Add("list");
        show.Options.Add(DaemonSocket.Option.Option);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(NetworkArgument) ?? [];
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var name, ..] && !Names.IsName(name)) reader.Refuse($"NETWORK {name}: must be {Names.Allowed}");
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var endpoints = await client.GetAsync(words is [var network] ? $"endpoints?network={ApiClient.Escape(network)}" : "endpoints", ApiJson.Default.IReadOnlyListEndpointJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(endpoints, ApiJson.Default.IReadOnlyListEndpointJson));
                else if (endpoints.Count == 0) Console.Out.WriteLine("nothing is attached; sleeve attach NETWORK TARGET does that");
                else Print(endpoints);
            };
        }));
        var endpoint = new Command("endpoint", "Show what is attached to networks on this host.") { show };
        endpoint.Aliases.Add("ep");
        endpoint.WithExamples("""
            Examples:
              sleeve endpoint ls
              sleeve endpoint ls blue --json
            """);
        return endpoint;
    }

    private static void Print(IReadOnlyList<EndpointJson> endpoints)
    {
        var table = Listing.NewTable("NETWORK", "ID", "STATE", "TARGET", "IF", "MAC", "ADDRESSES", "NAMES");
        foreach (var each in endpoints)
        {
            var state = each.State == "attached" ? "attached" : $"[yellow]{Markup.Escape(each.Reason is null ? each.State : $"{each.State}: {each.Reason}")}[/]";
            string[] names = [.. each.Name is null ? [] : new[] { each.Name }, .. each.Aliases ?? []];
            table.AddRow(
                Markup.Escape(each.Network), Markup.Escape(each.Id), state, Markup.Escape(each.Target), Markup.Escape(each.Ifname ?? "-"), each.Mac ?? "-",
                string.Join(' ', each.Addresses ?? []), Markup.Escape(string.Join(' ', names)));
        }

        AnsiConsole.Write(table);
    }

    private static (string Network, string Target) ReadPair(string[] words, SettingReader reader, string targetAllowed)
    {
        if (words.Length == 0) reader.Refuse($"NETWORK: missing; it must be {Names.Allowed}");
        else if (!Names.IsName(words[0])) reader.Refuse($"NETWORK {words[0]}: must be {Names.Allowed}");
        if (words.Length < 2) reader.Refuse($"TARGET: missing; it must be {targetAllowed}");
        else if (words[1].Length is 0 or > WireTarget.MaxLength) reader.Refuse($"TARGET: must be {targetAllowed}, of at most {WireTarget.MaxLength} characters");
        return (words.FirstOrDefault() ?? "", words.Length > 1 ? words[1] : "");
    }

    private static bool ReadName(string text, out string value)
    {
        value = text;
        return Names.IsName(text);
    }

    private static bool ReadGateway(string text, out string? value)
    {
        value = text;
        return text is "auto" or "none" || Words.UnicastAddress(text, out InternetAddress _);
    }
}
