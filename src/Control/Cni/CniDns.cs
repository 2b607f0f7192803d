namespace Sleeve.Control.Cni;

/// <summary>What a result says about names (specification, section "ADD Success", key dns). The runtime writes resolv.conf, if anybody does.</summary>
internal sealed record CniDns
{
    private const string ServerAllowed = "the address of a name server";

    /// <summary>Addresses of name servers, the first asked first.</summary>
    public IReadOnlyList<string> Nameservers { get; init; } = [];

    /// <summary>The local domain; "" for none.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Domains to look short names up in.</summary>
    public IReadOnlyList<string> Search { get; init; } = [];

    /// <summary>Options of resolv.conf(5).</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>Whether it says nothing.</summary>
    public bool IsEmpty => Nameservers.Count == 0 && Domain.Length == 0 && Search.Count == 0 && Options.Count == 0;

    /// <summary>Reads the key dns of a configuration or a result; null if there is none.</summary>
    public static CniDns? Read(CniNode? node) => node is null
        ? null
        : new CniDns { Nameservers = Servers(node, "nameservers"), Domain = node.Text("domain") ?? "", Search = node.Texts("search"), Options = node.Texts("options") };

    /// <summary>Reads what the capability dns hands over (conventions, section "dns"); null if it says nothing.</summary>
    public static CniDns? ReadAsked(CniNode? run)
    {
        if (run?.Object("dns") is not { } node) return null;
        var dns = new CniDns { Nameservers = Servers(node, "servers"), Search = node.Texts("searches"), Options = node.Texts("options") };
        return dns.IsEmpty ? null : dns;
    }

    private static IReadOnlyList<string> Servers(CniNode node, string key)
    {
        var servers = node.Texts(key);
        foreach (var server in servers)
            if (!System.Net.IPAddress.TryParse(server, out _)) throw node.Wrong(key, server, ServerAllowed);
        return servers;
    }
}
