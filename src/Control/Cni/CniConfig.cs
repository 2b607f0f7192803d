using System.Text.Json;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cni;

/// <summary>An attachment as the runtime knows it.</summary>
/// <param name="ContainerId">Id of the container.</param>
/// <param name="Ifname">Name of its interface.</param>
internal sealed record CniAttachment(string ContainerId, string Ifname);

/// <summary>A plugin's configuration, as the runtime hands it over (specification, section "Derived configuration"). docs/cni.md has every key.</summary>
internal sealed record CniConfig
{
    private const string Mutated = "cni.dev/valid-attachments";
    private const string MutatedBefore = "cni.dev/attachments";
    private const int MaxAttachments = 65_536;
    private const string GatewayAllowed = "auto, none, or an IPv4 or IPv6 address";
    private const string SubnetAllowed = "an IPv4 or IPv6 prefix such as 10.1.0.0/16";
    private const string NameAllowed = "letters, digits, - _ . and begin with a letter or a digit";

    /// <summary>The version that it is in, and that is answered in.</summary>
    public required string Version { get; init; }

    /// <summary>Name of the configuration, of which a host has one each.</summary>
    public required string Name { get; init; }

    /// <summary>The network of Sleeve's.</summary>
    public required string Network { get; init; }

    /// <summary>The daemon's socket; "" for the default.</summary>
    public string Socket { get; init; } = "";

    /// <summary>The IPAM plugin that addresses come from; "" for Sleeve.</summary>
    public string Ipam { get; init; } = "";

    /// <summary>"auto", "none" or an address.</summary>
    public string Gateway { get; init; } = "auto";

    /// <summary>Subnets that ADD makes the network with if there is none.</summary>
    public IReadOnlyList<string> Subnets { get; init; } = [];

    /// <summary>VNI that ADD makes the network with if there is none.</summary>
    public long? Vni { get; init; }

    /// <summary>MTU in bytes that ADD makes the network with if there is none.</summary>
    public long? Mtu { get; init; }

    /// <summary>Name of the interface instead of CNI_IFNAME, for a plugin that is not the first of its chain; "" for none.</summary>
    public string Ifname { get; init; } = "";

    /// <summary>What is answered about name servers; null for those of the network.</summary>
    public CniDns? Dns { get; init; }

    /// <summary>Addresses that runtimeConfig or args ask for.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>MAC that runtimeConfig or args ask for; "" for none.</summary>
    public string Mac { get; init; } = "";

    /// <summary>Other names of the container.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>What the plugins before, or the ADD before, answered; null without.</summary>
    public CniResult? PrevResult { get; init; }

    /// <summary>GC: what there shall be; null if it is not said.</summary>
    public IReadOnlyList<CniAttachment>? Attachments { get; init; }

    /// <summary>Whether ADD makes the network if there is none.</summary>
    public bool MakesNetwork => Subnets.Count > 0 || Vni is not null;

    /// <summary>Whether addresses come by DHCP, for which the interface has to be there before.</summary>
    public bool IsDhcp => Ipam == "dhcp";

    /// <summary>The version of a configuration, before anything else of it is read.</summary>
    /// <exception cref="CniFault">It is none that is supported.</exception>
    public static string ReadVersion(JsonElement root)
    {
        var version = new CniNode(root, "").Text("cniVersion") ?? "";
        return CniVersions.IsSupported(version) ? version : throw new CniFault(
            CniCode.Incompatible, "incompatible CNI versions", $"the configuration is \"{CniNode.Shorten(version)}\", this plugin supports {string.Join(", ", CniVersions.All)}");
    }

    /// <summary>Reads one. What a command does not need is not looked at, so that a DEL after a refused ADD succeeds.</summary>
    /// <exception cref="CniFault">Something is missing or wrong.</exception>
    public static CniConfig Read(JsonElement root, string command)
    {
        var version = ReadVersion(root);
        if ((command == "CHECK" && !CniVersions.IsAtLeast(version, "0.4.0")) || (command is "GC" or "STATUS" && !CniVersions.IsAtLeast(version, "1.1.0")))
            throw new CniFault(CniCode.Incompatible, $"{CniCall.CommandVariable} {command}: is not of cniVersion {version}");
        var node = new CniNode(root, "");
        var name = node.Text("name") ?? throw node.Missing("name", NameAllowed);
        if (name.Length == 0 || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) throw node.Wrong("name", name, NameAllowed);
        var network = node.Text("network") ?? name;
        var socket = node.Text("socket") ?? "";
        if (socket.Length > 0 && (socket[0] != '/' || socket.Contains('\0', StringComparison.Ordinal))) throw node.Wrong("socket", socket, "the whole path of the daemon's socket");
        var ipam = node.Object("ipam")?.Text("type") ?? "";
        if (ipam.Contains('/', StringComparison.Ordinal) || ipam.Contains('\0', StringComparison.Ordinal) || ipam is "." or "..") throw node.Wrong("ipam.type", ipam, "the name of an IPAM plugin");
        var config = new CniConfig { Version = version, Name = name, Network = network, Socket = socket, Ipam = ipam == "sleeve" ? "" : ipam };
        if (command == "DEL") return config;
        if (!Names.IsName(network)) throw node.Wrong(node.Find("network") is null ? "name" : "network", network, $"{Names.Allowed} (network names another)");
        config = config with { Subnets = ReadSubnets(node), Vni = node.Number("vni", 1, DataPlane.Wire.Vni.MaxValue), Mtu = node.Number("mtu", 68, 65_535) };
        return command switch
        {
            "GC" => config with { Attachments = ReadAttachments(node) },
            "ADD" => config.WithRequest(node, root),
            "CHECK" => config with { Ifname = ReadIfname(node), PrevResult = CniResult.ReadPrevious(root) },
            _ => config,
        };
    }

    private CniConfig WithRequest(CniNode node, JsonElement root)
    {
        var gateway = node.Text("gateway") ?? "auto";
        if (gateway is not ("auto" or "none") && RequestedAddress.Read(gateway) is null) throw node.Wrong("gateway", gateway, GatewayAllowed);
        if (Ipam.Length > 0 && gateway is not ("auto" or "none")) throw node.Wrong("gateway", gateway, $"auto or none where ipam.type {Ipam} says which");
        var addresses = new List<string>();
        var (run, args) = (node.Object("runtimeConfig"), node.Object("args")?.Object("cni"));
        foreach (var asking in new[] { args, run })
            foreach (var text in asking?.Texts("ips") ?? []) addresses.Add(RequestedAddress.Read(text) ?? throw asking!.Wrong("ips", text, RequestedAddress.Allowed));
        return this with
        {
            Gateway = gateway,
            Ifname = ReadIfname(node),
            Dns = CniDns.ReadAsked(run) ?? CniDns.Read(node.Object("dns")),
            Addresses = addresses,
            Mac = ReadMac(run) ?? ReadMac(args) ?? "",
            Aliases = run is null ? [] : ReadAliases(run),
            PrevResult = CniResult.ReadPrevious(root),
        };
    }

    private static string ReadIfname(CniNode node)
    {
        var name = node.Text("ifname") ?? "";
        return name.Length == 0 || CniCall.IsIfname(name) ? name : throw node.Wrong("ifname", name, Cli.Words.LinkNameAllowed);
    }

    private static List<string> ReadSubnets(CniNode node)
    {
        var subnets = new List<string>();
        foreach (var text in node.Texts("subnet")) subnets.Add(AddressPrefix.TryParse(text, out var prefix) && text.Contains('/', StringComparison.Ordinal) ? prefix.ToString() : throw node.Wrong("subnet", text, SubnetAllowed));
        return subnets;
    }

    private static string? ReadMac(CniNode? node)
    {
        if (node?.Text("mac") is not { Length: > 0 } text) return null;
        return MacAddress.TryParse(text, out var mac) && mac.IsValidSource ? mac.ToString() : throw node.Wrong("mac", text, RequestedAddress.MacAllowed);
    }

    // podman has a list for each network of the container: {"NETWORK": ["NAME"]}; others a list.
    private List<string> ReadAliases(CniNode run)
    {
        var names = run.Find("aliases") switch
        {
            { ValueKind: JsonValueKind.Object } => run.Object("aliases")!.Texts(Name),
            _ => run.Texts("aliases"),
        };
        var aliases = new List<string>();
        foreach (var name in names)
        {
            if (!Names.IsName(name)) throw run.Wrong("aliases", name, Names.Allowed);
            if (!aliases.Contains(name)) aliases.Add(name);
        }

        return aliases;
    }

    private static List<CniAttachment>? ReadAttachments(CniNode node)
    {
        var key = node.Find(Mutated) is null ? MutatedBefore : Mutated;
        if (node.Find(key) is null) return null;
        var attachments = new List<CniAttachment>();
        foreach (var each in node.Objects(key, MaxAttachments))
            attachments.Add(new CniAttachment(each.Text("containerID") ?? throw each.Missing("containerID", "a text"), each.Text("ifname") ?? throw each.Missing("ifname", "a text")));
        return attachments;
    }
}
