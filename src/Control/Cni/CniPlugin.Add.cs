using System.Text.Json;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cni;

/// <content>ADD: whatever fails, nothing is left.</content>
internal sealed partial class CniPlugin
{
    private CniResult Add()
    {
        using var sandbox = CniSandbox.Open(call.Netns);
        if (config.PrevResult is not null && config.Ifname.Length == 0 && sandbox.Find(call.Ifname) is not null && !_daemon.Send("GET", CniDaemon.Endpoint(config.Network, Id)).IsDone)
            throw new CniFault(CniCode.BadConfig, $"CNI_IFNAME {call.Ifname}: another plugin of the chain has made it; put this one first, or give it a name of its own by ifname");
        if (Ipam is null) return Finish(sandbox, Attach(Requested()), null);
        if (config.IsDhcp) return AddByDhcp(sandbox);
        try
        {
            var reserved = Ipam.Add();
            return Finish(sandbox, Attach([.. reserved.Addresses.Select(static each => each.Prefix.Address.ToString())]), reserved);
        }
        catch (CniFault)
        {
            // Also if it was its own: it may have reserved something before it failed.
            TryUndo(() => Ipam.Tell("DEL"));
            throw;
        }
    }

    // The interface has to be there before it can ask, and others have to know the address after.
    private CniResult AddByDhcp(CniSandbox sandbox)
    {
        var first = Attach([]);
        try
        {
            if (first.Texts("addresses").Count > 0)
                throw new CniFault(CniCode.BadConfig, $"ipam.type dhcp: network {config.Network} has subnets, of which Sleeve gives out addresses; leave ipam out, or make a network without (sleeve net create NAME)");
            var reserved = Ipam!.Add();
            return Finish(sandbox, Attach([.. reserved.Addresses.Select(static each => each.Prefix.Address.ToString())]), reserved);
        }
        catch (CniFault)
        {
            TryUndo(() => Ipam!.Tell("DEL"));
            TryUndo(() => _daemon.Detach(config.Network, Id));
            throw;
        }
    }

    private List<string> Requested()
    {
        var addresses = new List<string>();
        foreach (var address in call.Addresses.Concat(config.Addresses))
            if (!addresses.Contains(address)) addresses.Add(address);
        return addresses;
    }

    private DaemonAnswer Attach(List<string> addresses)
    {
        var (path, body) = (CniDaemon.Endpoint(config.Network, Id), Body(addresses));
        var answer = _daemon.Send("PUT", path, body);
        if (answer.Status == 404 && config.MakesNetwork)
        {
            var made = _daemon.Send("PUT", $"networks/{Uri.EscapeDataString(config.Network)}", NetworkBody());
            if (!made.IsDone) throw CniDaemon.Refused(made);
            answer = _daemon.Send("PUT", path, body);
        }

        if (answer.Status == 404) throw new CniFault(CniCode.BadConfig, answer.Reason, $"sleeve net create {config.Network} makes it; with subnet or vni in the configuration ADD does");
        if (answer.Status == 409 && _daemon.Send("GET", path).IsDone)
        {
            // The runtime begins anew with this container, and so what is left of it counts no more: its DEL was lost.
            _daemon.Detach(config.Network, Id);
            answer = _daemon.Send("PUT", path, body);
        }

        return answer.IsDone ? answer : throw CniDaemon.Refused(answer);
    }

    private byte[] Body(List<string> addresses)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("target", call.Netns);
            json.WriteString("ifname", Ifname);
            json.WriteString("name", call.PodName);
            // An IPAM plugin's routes are made here, since they are more than a gateway.
            json.WriteString("gateway", config.Ipam.Length > 0 ? "none" : config.Gateway);
            var mac = config.Mac.Length > 0 ? config.Mac : call.Mac;
            if (mac.Length == 0 && config.IsDhcp) mac = MacOf(Id).ToString();
            if (mac.Length > 0) json.WriteString("mac", mac);
            WriteTexts(json, "addresses", addresses);
            WriteTexts(json, "aliases", config.Aliases);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    // Known before the address is, and the same if asked for twice: DHCP servers go by it.
    private static MacAddress MacOf(string id)
    {
        var hash = System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(id));
        hash[0] = 0x02;
        return MacAddress.Read(hash);
    }

    private byte[] NetworkBody()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            if (config.Vni is { } vni) json.WriteNumber("vni", vni);
            if (config.Mtu is { } mtu) json.WriteNumber("mtu", mtu);
            WriteTexts(json, "subnets", config.Subnets);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void WriteTexts(Utf8JsonWriter json, string key, IReadOnlyList<string> texts)
    {
        if (texts.Count == 0) return;
        json.WriteStartArray(key);
        foreach (var text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
    }

    // What was attached, as a result; what an IPAM plugin says besides is done here.
    private CniResult Finish(CniSandbox sandbox, DaemonAnswer endpoint, CniResult? reserved)
    {
        try
        {
            var link = sandbox.Find(Ifname) ?? throw new CniFault(CniCode.Refused, $"{Ifname} was removed from {call.Netns} while it was being set up");
            if (reserved is not null) sandbox.Complete(link, reserved.Addresses, config.Gateway == "none" ? [.. reserved.Routes.Where(static route => route.Destination.Length > 0)] : reserved.Routes);
            return Describe(sandbox, link, endpoint, reserved);
        }
        catch (Exception failure) when (failure is CniFault or IOException)
        {
            TryUndo(() => _daemon.Detach(config.Network, Id));
            throw failure as CniFault ?? new CniFault(CniCode.Io, failure.Message);
        }
    }

    private CniResult Describe(CniSandbox sandbox, LinkInfo link, DaemonAnswer endpoint, CniResult? reserved)
    {
        var interfaces = new List<CniInterface>();
        using (var host = RouteNetlink.Open())
        {
            foreach (var name in (string?[])[endpoint.Text("bridge"), endpoint.Text("link")])
                if (name is not null) interfaces.Add(host.FindLink(name) is { } near ? new CniInterface(name, near.Mac.ToString(), "", near.Mtu) : new CniInterface(name, "", "", 0));
        }

        var number = interfaces.Count;
        interfaces.Add(new CniInterface(link.Name, link.Mac.ToString(), call.Netns, link.Mtu));
        if (reserved is not null)
            return reserved with { Interfaces = interfaces, Addresses = [.. reserved.Addresses.Select(each => each with { Interface = number })], Dns = DnsOf(endpoint, reserved.Dns) };
        var (addresses, routes) = (new List<CniAddress>(), new List<CniRoute>());
        foreach (var text in endpoint.Texts("addresses"))
        {
            if (!AddressPrefix.TryParse(text, out var prefix)) continue;
            var isIPv4 = prefix.Address.IsIPv4;
            var router = RouterOf(endpoint, isIPv4);
            addresses.Add(new CniAddress(prefix, router, number));
            // Only where the container had none, which another network of its may have made.
            if (router is not null && !routes.Exists(each => each.Destination.Address.IsIPv4 == isIPv4) && sandbox.HasDefaultRoute(link, isIPv4))
                routes.Add(new CniRoute(new AddressPrefix(isIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6, 0), router));
        }

        return new CniResult { Interfaces = interfaces, Addresses = addresses, Routes = routes, Dns = DnsOf(endpoint, new CniDns()) };
    }

    // Loops where a query over values would do: each query is compiled anew at every start, since it is of values that no other program has.
    private InternetAddress? RouterOf(DaemonAnswer endpoint, bool isIPv4)
    {
        IReadOnlyList<string> routers = config.Gateway switch { "none" => [], "auto" => endpoint.Texts("gateways"), var given => [given] };
        foreach (var text in routers)
            if (InternetAddress.TryParse(text, out var router) && router.IsIPv4 == isIPv4) return router;
        return null;
    }

    // The configuration's, else the IPAM plugin's, else the name servers of the network.
    private CniDns DnsOf(DaemonAnswer endpoint, CniDns reserved)
    {
        if (config.Dns is { } asked) return asked;
        if (!reserved.IsEmpty) return reserved;
        // One that is link-local needs its interface, which no result can say.
        string[] servers = [.. endpoint.Texts("nameservers").Where(static server => !server.Contains('%', StringComparison.Ordinal))];
        return servers.Length == 0 ? reserved : new CniDns { Nameservers = servers, Search = endpoint.Text("search") is { } search ? [search] : [] };
    }

    private static void TryUndo(Action step)
    {
        try
        {
            step();
        }
        catch (CniFault)
        {
            // The runtime is told why ADD failed, and sends a DEL after it.
        }
    }
}
