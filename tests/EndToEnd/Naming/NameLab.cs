using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Host = Sleeve.EndToEnd.Rig.Host;

namespace Sleeve.EndToEnd.Naming;

/// <summary>
/// A host with a bridge a network, members in namespaces of their own, and the name servers of this process in the host's namespace. The networks' views are made by hand.
/// <code>
///   member ─ eth0 ═ veth ═ bridge br-red  ─┐
///   member ─ eth0 ═ veth ═ bridge br-red  ─┤ host ── NameServers ── dnsmasq on 127.0.0.2 (the host's resolver)
///   member ─ eth0 ═ veth ═ bridge br-blue ─┘
/// </code>
/// </summary>
internal sealed class NameLab : IDisposable
{
    /// <summary>Port of the host's resolver.</summary>
    public const ushort ResolverPort = 5353;

    private readonly Lab _lab;
    private readonly NetworkNamespace _namespace;
    private readonly ConcurrentDictionary<string, NetworkView> _views = new();
    private readonly string _resolvConf = Path.GetTempFileName();
    private readonly List<string> _written = [];
    private readonly List<NamePlace> _places = [];
    private int _links;

    public NameLab(Lab lab, NameOptions? options = null)
    {
        _lab = lab;
        Options = options ?? new NameOptions();
        Machine = lab.AddHost("host");
        _namespace = NetworkNamespace.OpenName(Machine.Namespace);
        File.WriteAllText(_resolvConf, "nameserver 127.0.0.2\n");
        Servers = new NameServers(Options, name => _views.GetValueOrDefault(name), host => !Down.ContainsKey(host), lab.Log, _resolvConf, ResolverPort);
    }

    public NameOptions Options { get; }

    public Host Machine { get; }

    public NameServers Servers { get; }

    /// <summary>Hosts that are down.</summary>
    public ConcurrentDictionary<string, bool> Down { get; } = new();

    /// <summary>Makes a network with its bridge and server.</summary>
    public ResolverAdvice AddNetwork(string name, string subnet, string gateways)
    {
        var record = new NetworkRecord(name, "0123456789abcdef", new Vni((uint)_views.Count + 1)) { Subnets = [Prefix(subnet)], Gateways = [.. Addresses(gateways)] };
        _views[name] = new NetworkView { Record = new Published<NetworkRecord>(record, "one", 1) };
        var advice = ResolverAdvice.Of(record, Options, "eth0");
        AddBridge(name, [.. advice.BridgeAddresses.Select(static each => each.ToString()), .. Addresses(gateways).Select(static gateway => $"{gateway}/{(gateway.IsIPv4 ? 24 : 64)}")]);
        _places.Add(new NamePlace(name, $"br-{name}", advice.Servers) { Namespace = _namespace });
        Servers.Place([.. _places]).GetAwaiter().GetResult();
        Assert.Null(Servers.Desk.ServerOf(name)!.Fault);
        return advice;
    }

    public void AddBridge(string name, IEnumerable<string> addresses)
    {
        Machine.Run($"ip link add br-{name} type bridge mcast_snooping 0");
        Machine.Run($"ip link set br-{name} up");
        foreach (var address in addresses) Machine.Run($"ip addr add {address} dev br-{name}{(address.Contains(':', StringComparison.Ordinal) ? " nodad" : "")}");
    }

    /// <summary>Attaches a member: a namespace with eth0 at the network's bridge, and what names need.</summary>
    public Host AddMember(string name, string network, string address, ResolverAdvice advice)
    {
        var member = _lab.AddHost(name);
        Plug(member, network);
        member.Run($"ip addr add {address} dev eth0{(address.Contains(':', StringComparison.Ordinal) ? " nodad" : "")}");
        foreach (var route in advice.Routes) member.Run($"ip route add {route} dev eth0");
        Assert.True(NamespaceResolvConf.Write(member.Namespace, $"slv-{member.Namespace}", advice, static _ => false));
        _written.Add($"slv-{member.Namespace}");
        Publish(network, name, "one", address[..address.IndexOf('/', StringComparison.Ordinal)]);
        return member;
    }

    public void Plug(Host member, string network)
    {
        var port = $"p{++_links}";
        Machine.Run($"ip link add {port} type veth peer name eth0 netns {member.Namespace}");
        Machine.Run($"ip link set {port} master br-{network} up");
        member.Run("sysctl -qw net.ipv6.conf.eth0.addr_gen_mode=0");
        member.Run("ip link set eth0 up");
    }

    /// <summary>Publishes an endpoint, as the store would have it.</summary>
    public void Publish(string network, string names, string host, string addresses)
    {
        var words = names.Split(' ');
        var record = new EndpointRecord(words[0], MacAddress.Zero, [.. Addresses(addresses)]) { Name = words[0], Aliases = [.. words.Skip(1)] };
        _views[network] = _views[network] with { Endpoints = _views[network].Endpoints.SetItem((host, words[0]), new Published<EndpointRecord>(record, host, _views[network].Endpoints.Count + 2)) };
    }

    public void Withdraw(string network, string name, string host) => _views[network] = _views[network] with { Endpoints = _views[network].Endpoints.Remove((host, name)) };

    /// <summary>Runs dnsmasq where the host's resolver stands.</summary>
    public void StartResolver(params string[] records)
    {
        _lab.Own(new BackgroundProcess(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--bind-interfaces", "--listen-address=127.0.0.2",
                string.Create(CultureInfo.InvariantCulture, $"--port={ResolverPort}"), .. records]));
        Wait.Until(static () => Command.Run(["dig", "+time=1", "+tries=1", "-p", "5353", "@127.0.0.2", "example.com"]).ExitCode == 0, "dnsmasq answers");
    }

    /// <summary>What dig in a member prints.</summary>
    public static string Dig(Host member, string words)
    {
        var result = member.Try($"dig +time=2 +tries=1 {words}");
        Assert.DoesNotContain("malformed", result.Output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("WARNING", result.Output, StringComparison.Ordinal);
        return result.Output;
    }

    public void Dispose()
    {
        Servers.DisposeAsync().AsTask().GetAwaiter().GetResult();
        foreach (var wire in _written) NamespaceResolvConf.Remove(wire);
        _namespace.Dispose();
        File.Delete(_resolvConf);
    }

    private static IEnumerable<InternetAddress> Addresses(string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(static word => InternetAddress.TryParse(word, out var address) ? address : throw new FormatException(word));

    private static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);
}
