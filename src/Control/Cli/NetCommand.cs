using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve net</c>: the networks that hosts share.</summary>
internal static class NetCommand
{
    private static readonly Argument<string[]> NameArgument = new("NAME") { Description = "Name of the network.", HelpName = "NAME", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Argument<string[]> LabelArgument = new("NAME LABEL") { Description = "Name of the network, then labels: KEY=VALUE sets one, KEY- removes it.", HelpName = "NAME KEY=VALUE|KEY-...", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Vni = new("--vni", "N", "VNI of the network, or auto: one that no other has. [auto]", "auto, or 1 to 16777215");
    private static readonly Setting Subnet = new("--subnet", "CIDR", "Pool that addresses are given out of. Repeatable; one of each family goes to every endpoint.", NetworkRules.SubnetAllowed, repeatable: true);
    private static readonly Setting Gateway = new("--gateway", "IP", "Default route of endpoints. Repeatable, one a subnet. [first address of each subnet]", "an IPv4 or IPv6 unicast address of a subnet", repeatable: true);
    private static readonly Setting Mtu = new("--mtu", "BYTES", "MTU of endpoints. [what fits the underlay of each host]", "68 to 65521");
    private static readonly Setting EncapPort = new("--encap-port", "PORT", "UDP port of its datagrams. [that of each VTEP]", "1 to 65535");
    private static readonly Setting Mode = new("--mode", "MODE", "bridged: one layer 2; routed: a subnet per host and routes between them. [bridged]", "bridged or routed");
    private static readonly Option<bool> Direct = Setting.Flag("--direct", "Routed: hosts on one layer 2 send to each other without encapsulation.");
    private static readonly Option<bool> Internal = Setting.Flag("--internal", "Hosts have no address in it, and so route nothing in or out.");
    private static readonly Setting Range = new("--range", "CIDR", "Part of a subnet that addresses are chosen of. Repeatable. [all of it]", "ADDRESS/LENGTH within a subnet", repeatable: true);
    private static readonly Setting Block = new("--block", "LENGTH", "Prefix length of the block that a host takes at once, of IPv4. [by the size of the subnet]", "4 to 30");
    private static readonly Setting Blocks = new("--blocks", "PLAN", "Which part of the pool a host takes blocks of, by its --location: zone:rack:host.", AddressPlan.Allowed);
    private static readonly Setting Flannel = new("--flannel", "PREFIX", "Share the network with the hosts of flannel whose keys begin so in the etcd that is the store; it says the rest.", RoutedRules.FlannelAllowed);
    private static readonly Setting Label = new("--label", "KEY=VALUE", "Label for people and programs. Repeatable.", "KEY=VALUE of at most 255 characters each", repeatable: true);
    private static readonly Option<bool> Force = Setting.Flag("--force", "With the endpoints of hosts that give no sign of life.");
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var net = new Command("net", "Make, show, label and remove the networks that hosts share.") { CreateCreate(), CreateList(), CreateInspect(), CreateLabel(), NetMemberCommand.Create(), CreateRemove() };
        net.Aliases.Add("network");
        net.WithExamples("""
            A network is the same on all hosts, and on a host only while something is attached to it there.

            Examples:
              sleeve net create blue subnet 10.1.0.0/16
              sleeve net create blue vni 5000 subnet 10.1.0.0/16 subnet fd00:1::/64 gateway 10.1.255.254
              sleeve net create pods mode routed subnet 10.244.0.0/16 block 24 direct
              sleeve net create db subnet 10.2.0.0/24 range 10.2.0.128/25 internal
              sleeve net create pods flannel /coreos.com/network
              sleeve net create wide subnet 10.8.0.0/13 blocks zone:rack:host
              sleeve net ls
              sleeve net inspect blue --json
              sleeve net label blue team=web old-
              sleeve net rm blue
            """);
        return net;
    }

    private static Command CreateCreate()
    {
        var create = new Command("create", "Make a network; there must be none of that name.") { NameArgument };
        foreach (var setting in (ReadOnlySpan<Setting>)[Vni, Subnet, Range, Gateway, Mtu, EncapPort, Mode, Block, Blocks, Flannel, Label, DaemonSocket.Option]) create.Options.Add(setting.Option);
        create.Options.Add(Direct);
        create.Options.Add(Internal);
        create.Options.Add(Json);
        create.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var name = ReadName(result.GetValue(NameArgument) ?? [], reader, isOne: true);
            var settings = ReadSettings(reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var body = JsonSerializer.SerializeToElement(settings, ApiJson.Default.NetworkSettingsJson);
                var made = await client.PutAsync($"networks/{ApiClient.Escape(name)}", body, mustBeNew: true, ApiJson.Default.NetworkJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(made, ApiJson.Default.NetworkJson));
                else Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{made.Name} made: vni {made.Vni}{Listed(" subnet ", made.Subnets)}{Listed(" gateway ", made.Gateways)}"));
            };
        }));
        return create;
    }

    private static Command CreateList() =>
        Listing.Create("List the networks.", "networks", static () => ApiJson.Default.IReadOnlyListNetworkJson, "no networks; sleeve net create makes one", Print);

    private static Command CreateInspect()
    {
        var inspect = new Command("inspect", "Show a network, the hosts that have it, and its endpoints on all of them.") { NameArgument };
        inspect.Aliases.Add("show");
        inspect.Options.Add(DaemonSocket.Option.Option);
        inspect.Options.Add(Json);
        inspect.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var name = ReadName(result.GetValue(NameArgument) ?? [], reader, isOne: true);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var network = await client.GetAsync($"networks/{ApiClient.Escape(name)}", ApiJson.Default.NetworkJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(network, ApiJson.Default.NetworkJson));
                else Print(network);
            };
        }));
        return inspect;
    }

    private static Command CreateLabel()
    {
        var label = new Command("label", "Change the labels of a network: KEY=VALUE sets one, KEY- removes it.") { LabelArgument };
        label.Options.Add(DaemonSocket.Option.Option);
        label.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(LabelArgument) ?? [];
            var name = ReadName(words, reader, isOne: false);
            if (words.Length == 1) reader.Refuse("LABEL: missing; it must be KEY=VALUE, or KEY- to remove it");
            foreach (var word in words.Skip(1))
                if (!ReadLabel(word, out KeyValuePair<string, string> _) && !(word.Length > 1 && word[^1] == '-' && !word.Contains('=', StringComparison.Ordinal))) reader.Refuse($"LABEL {word}: must be KEY=VALUE, or KEY- to remove it");
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var before = await client.GetAsync($"networks/{ApiClient.Escape(name)}", ApiJson.Default.NetworkJson);
                var labels = new SortedDictionary<string, string>((before.Labels ?? new Dictionary<string, string>()).ToDictionary(), StringComparer.Ordinal);
                foreach (var word in words.Skip(1))
                {
                    if (ReadLabel(word, out var pair)) labels[pair.Key] = pair.Value;
                    else labels.Remove(word[..^1]);
                }

                await client.PutAsync($"networks/{ApiClient.Escape(name)}/labels", new NetworkLabelsJson(labels), ApiJson.Default.NetworkLabelsJson, ApiJson.Default.NetworkJson);
            };
        }));
        return label;
    }

    private static Command CreateRemove()
    {
        var remove = new Command("rm", "Remove a network with its reservations; it must have no endpoints.") { NameArgument };
        remove.Aliases.Add("del");
        remove.Aliases.Add("delete");
        remove.Options.Add(Force);
        remove.Options.Add(DaemonSocket.Option.Option);
        remove.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var name = ReadName(result.GetValue(NameArgument) ?? [], reader, isOne: true);
            var force = result.GetValue(Force);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                // As rm of docker: what is not there cannot be removed.
                await client.GetAsync($"networks/{ApiClient.Escape(name)}", ApiJson.Default.NetworkJson);
                await client.DeleteAsync($"networks/{ApiClient.Escape(name)}{(force ? "?force=true" : "")}");
            };
        }));
        return remove;
    }

    private static NetworkSettingsJson ReadSettings(SettingReader reader)
    {
        var labels = reader.ReadAll<KeyValuePair<string, string>>(Label, ReadLabel);
        foreach (var twice in labels.GroupBy(static each => each.Key).Where(static each => each.Count() > 1)) reader.Refuse($"--label {twice.Key}: given twice");
        return new NetworkSettingsJson
        {
            Vni = reader.Read<long?>(Vni, ReadVni, null),
            Subnets = reader.IsGiven(Subnet) ? [.. reader.ReadAll<AddressPrefix>(Subnet, Words.Prefix).Select(static subnet => subnet.ToString())] : null,
            Gateways = reader.IsGiven(Gateway) ? [.. reader.ReadAll<InternetAddress>(Gateway, Words.UnicastAddress).Select(static gateway => gateway.ToString())] : null,
            Mtu = reader.IsGiven(Mtu) ? reader.Read(Mtu, Words.Number(NetworkRules.MinMtu, NetworkRules.MaxMtu), 0) : null,
            EncapPort = reader.IsGiven(EncapPort) ? reader.Read<ushort>(EncapPort, Words.Port, 0) : null,
            Mode = reader.Read<string?>(Mode, static (string text, out string? value) => (value = text) is "bridged" or "routed", null),
            Direct = reader.ReadFlag(Direct) ? true : null,
            Internal = reader.ReadFlag(Internal) ? true : null,
            Ranges = reader.IsGiven(Range) ? [.. reader.ReadAll<AddressPrefix>(Range, Words.Prefix).Select(static range => range.ToString())] : null,
            Block = reader.IsGiven(Block) ? reader.Read(Block, Words.Number(4, 30), 0) : null,
            Blocks = reader.Read<string?>(Blocks, static (string text, out string? value) => AddressPlan.TryParse(value = text, out _) && text.Length > 0, null),
            Flannel = reader.Read<string?>(Flannel, static (string text, out string? value) => RoutedRules.IsFlannelRoot(value = text), null),
            Labels = labels.Count == 0 ? null : new SortedDictionary<string, string>(labels.DistinctBy(static each => each.Key).ToDictionary(), StringComparer.Ordinal),
        };
    }

    private static bool ReadVni(string text, out long? value)
    {
        value = null;
        if (text == "auto") return true;
        var isVni = Words.Number(1, (int)DataPlane.Wire.Vni.MaxValue)(text, out var number);
        value = number;
        return isVni;
    }

    private static bool ReadLabel(string text, out KeyValuePair<string, string> value)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        value = at > 0 ? KeyValuePair.Create(text[..at], text[(at + 1)..]) : default;
        return at > 0 && at <= NetworkRules.MaxLabelLength && text.Length - at - 1 <= NetworkRules.MaxLabelLength && NetworkRules.IsText(text);
    }

    private static string ReadName(string[] words, SettingReader reader, bool isOne)
    {
        if (words.Length == 0) reader.Refuse($"NAME: missing; it must be {Names.Allowed}");
        else if (!Names.IsName(words[0])) reader.Refuse($"NAME {words[0]}: must be {Names.Allowed}");
        if (isOne)
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        return words.FirstOrDefault() ?? "";
    }

    private static void Print(IReadOnlyList<NetworkJson> networks)
    {
        var table = Listing.NewTable("NETWORK", "VNI", "MODE", "SUBNETS", "HOSTS", "ENDPOINTS", "LABELS");
        foreach (var network in networks)
        {
            table.AddRow(
                Markup.Escape(network.Name), Number(network.Vni), Markup.Escape(network.Mode + (network.Direct == true ? ",direct" : "") + (network.Internal == true ? ",internal" : "")), Markup.Escape(string.Join(' ', network.Subnets)),
                Number(network.Hosts), Number(network.Endpoints), Markup.Escape(Labels(network)));
        }

        AnsiConsole.Write(table);
    }

    private static void Print(NetworkJson network)
    {
        var table = Listing.NewTable("", "");
        table.HideHeaders();
        foreach (var (key, value) in new[]
        {
            ("network", network.Name), ("id", network.Id), ("vni", Number(network.Vni)), ("mode", network.Mode + (network.Direct == true ? ", direct" : "") + (network.Internal == true ? ", internal" : "")), ("subnet", string.Join(' ', network.Subnets)),
            ("range", string.Join(' ', network.Ranges ?? [])), ("gateway", string.Join(' ', network.Gateways)), ("mtu", network.Mtu is { } mtu ? Number(mtu) : ""), ("encap-port", network.EncapPort is { } port ? Number(port) : ""),
            ("block", network.Block is { } block ? $"/{Number(block)}" : ""), ("blocks", network.Blocks ?? ""), ("flannel", network.Flannel ?? ""), ("labels", Labels(network)), ("version", Number(network.Version)),
        })
            if (value.Length > 0) table.AddRow(key, Markup.Escape(value));
        AnsiConsole.Write(table);
        if (network.MemberList is { Count: > 0 } members)
        {
            var hosts = Listing.NewTable("HOST", "VTEP", "PORT", "MAC", "SUBNETS");
            foreach (var member in members) hosts.AddRow(Markup.Escape(member.By is { } by ? $"{member.Host} (by {by})" : member.Host), member.Vtep, Number(member.Port), member.Mac ?? "-", string.Join(' ', member.Subnets ?? []));
            Console.Out.WriteLine();
            AnsiConsole.Write(hosts);
        }

        if (network.EndpointList is not { Count: > 0 } endpoints) return;
        var listed = Listing.NewTable("ENDPOINT", "HOST", "MAC", "ADDRESSES", "NAMES", "VERSION");
        foreach (var each in endpoints)
        {
            string[] names = [.. each.Name is null ? [] : new[] { each.Name }, .. each.Aliases ?? []];
            listed.AddRow(Markup.Escape(each.Id), Markup.Escape(each.Host), each.Mac, string.Join(' ', each.Addresses), Markup.Escape(string.Join(' ', names)), Number(each.Version));
        }

        Console.Out.WriteLine();
        AnsiConsole.Write(listed);
    }

    private static string Labels(NetworkJson network) => string.Join(' ', (network.Labels ?? new Dictionary<string, string>()).Select(static each => $"{each.Key}={each.Value}"));

    private static string Listed(string before, IReadOnlyList<string> values) => values.Count == 0 ? "" : before + string.Join(' ', values);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
