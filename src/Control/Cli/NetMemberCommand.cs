using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve net member</c>: hosts of routed networks that run no Sleeve.</summary>
internal static class NetMemberCommand
{
    private static readonly Argument<string[]> PlaceArgument = new("NETWORK HOST") { Description = "The network, and what the host is called in it.", HelpName = "NETWORK HOST", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Vtep = new("--vtep", "IP", "Address of its VTEP.", "an IPv4 unicast address");
    private static readonly Setting Mac = new("--mac", "MAC", "MAC of its vxlan device.", "a unicast MAC such as 02:00:00:00:00:01");
    private static readonly Setting Subnet = new("--subnet", "CIDR", "A subnet behind it. Repeatable.", "ADDRESS/LENGTH of the network's pool with zero host bits", repeatable: true);
    private static readonly Setting Port = new("--port", "PORT", "UDP port of its VTEP. [that of each VTEP that sends]", "1 to 65535");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var member = new Command("member", "Enter and take out hosts that run no Sleeve, such as kernel hosts of Calico, in routed networks.") { CreateAdd(), CreateDelete() };
        member.WithExamples("""
            Hosts of Sleeve are members by themselves; sleeve net inspect shows all. On the other host say the same of this one's
            VTEP, MAC and subnet: ip neigh, bridge fdb and ip route.

            Examples:
              sleeve net member add pods node7 vtep 192.0.2.7 mac 66:1c:0a:00:00:07 subnet 10.244.7.0/26
              sleeve net member del pods node7
            """);
        return member;
    }

    private static Command CreateAdd()
    {
        var add = new Command("add", "Enter a host that runs no Sleeve, or change what is entered.") { PlaceArgument };
        foreach (var setting in (ReadOnlySpan<Setting>)[Vtep, Mac, Subnet, Port, DaemonSocket.Option]) add.Options.Add(setting.Option);
        add.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var where = ReadPlace(result.GetValue(PlaceArgument) ?? [], reader);
            foreach (var (setting, what) in new[] { (Vtep, "vtep IP"), (Mac, "mac MAC"), (Subnet, "subnet CIDR") })
                if (!reader.IsGiven(setting)) reader.Refuse($"{what}: missing; it must be said of a host");
            var body = new NetworkHostJson(
                reader.Read<InternetAddress>(Vtep, Words.UnicastAddress, default).ToString(),
                reader.Read<MacAddress>(Mac, Words.StationMac, default).ToString(),
                [.. reader.ReadAll<AddressPrefix>(Subnet, Words.Prefix).Select(static subnet => subnet.ToString())])
            {
                Port = reader.IsGiven(Port) ? reader.Read<ushort>(Port, Words.Port, 0) : null,
            };
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PutAsync(where, body, ApiJson.Default.NetworkHostJson);
            };
        }));
        return add;
    }

    private static Command CreateDelete()
    {
        var delete = new Command("del", "Take a host out; one that is not there is no error.") { PlaceArgument };
        delete.Aliases.Add("delete");
        delete.Aliases.Add("rm");
        delete.Options.Add(DaemonSocket.Option.Option);
        delete.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var where = ReadPlace(result.GetValue(PlaceArgument) ?? [], reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.DeleteAsync(where);
            };
        }));
        return delete;
    }

    // Where it is in the API.
    private static string ReadPlace(string[] words, SettingReader reader)
    {
        if (words.Length == 0) reader.Refuse($"NETWORK: missing; it must be {Names.Allowed}");
        else if (words.Length == 1) reader.Refuse($"HOST: missing; it must be {Names.Allowed}");
        foreach (var word in words.Take(2).Where(static word => !Names.IsName(word))) reader.Refuse($"{word}: must be {Names.Allowed}");
        foreach (var surplus in words.Skip(2)) reader.Refuse($"{surplus}: not expected here");
        return words.Length < 2 ? "" : $"networks/{ApiClient.Escape(words[0])}/members/{ApiClient.Escape(words[1])}";
    }
}
