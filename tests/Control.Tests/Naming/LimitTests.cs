using System.Net;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Naming.Messages;

namespace Sleeve.Control.Tests.Naming;

/// <summary>What a client may ask, and where names come from.</summary>
public sealed class LimitTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-names").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_client_has_a_burst_then_its_rate_and_others_do_not_suffer()
    {
        var limits = new ClientLimits(new NameOptions { ClientRate = 10, ClientBurst = 20 });
        var (loud, quiet) = (Address("10.1.0.2"), Address("10.1.0.3"));
        Assert.Equal(20, Enumerable.Range(0, 100).Count(_ => limits.TryAsk(loud, 1_000_000)));
        Assert.True(limits.TryAsk(quiet, 1_000_000));
        Assert.Equal(5, Enumerable.Range(0, 100).Count(_ => limits.TryAsk(loud, 1_000_500)));
        Assert.Equal(20, Enumerable.Range(0, 100).Count(_ => limits.TryAsk(loud, 2_000_000)));
    }

    [Fact]
    public void Made_up_clients_share_a_place_when_there_are_too_many()
    {
        var limits = new ClientLimits(new NameOptions { ClientRate = 10, ClientBurst = 20, ClientInFlight = 2 });
        for (var i = 0u; i < ClientLimits.MaxClients; i++) Assert.True(limits.TryAsk(InternetAddress.FromIPv4(i), 1000));
        Assert.Equal(20, Enumerable.Range(0, 100).Count(i => limits.TryAsk(InternetAddress.FromIPv4(1_000_000 + (uint)i), 1000)));
        // A client that was known before has its own place still, and later everybody has.
        Assert.True(limits.TryAsk(InternetAddress.FromIPv4(1), 1000));
        Assert.Equal(100, Enumerable.Range(0, 100).Count(i => limits.TryAsk(InternetAddress.FromIPv4(2_000_000 + (uint)i), 60_000)));
    }

    [Fact]
    public void What_is_under_way_is_counted_by_client()
    {
        var limits = new ClientLimits(new NameOptions { ClientInFlight = 2, ClientConnections = 1 });
        var client = Address("10.1.0.2");
        var place = limits.TryBeginOutside(client, 0)!;
        Assert.NotNull(limits.TryBeginOutside(client, 0));
        Assert.Null(limits.TryBeginOutside(client, 0));
        Assert.NotNull(limits.TryBeginOutside(Address("10.1.0.3"), 0));
        limits.EndOutside(place);
        Assert.NotNull(limits.TryBeginOutside(client, 0));
        var connection = limits.TryBeginConnection(client, 0)!;
        Assert.Null(limits.TryBeginConnection(client, 0));
        limits.EndConnection(connection);
        Assert.NotNull(limits.TryBeginConnection(client, 0));
    }

    [Fact]
    public void The_hosts_resolvers_are_read_as_libc_reads_them()
    {
        const string Text = "# nameserver 192.0.2.9\n; x\nsearch example.com\nnameserver 192.0.2.1\n\tnameserver\t2001:db8::1 # two\r\nnameserver nonsense\nnameserver\nnameserver fe80::1%1\nnameserver 192.0.2.4";
        Assert.Equal(["192.0.2.1", "2001:db8::1", "fe80::1%1", "192.0.2.4"], HostResolvers.Parse(Text).Select(static each => each.ToString()));
        var path = Path.Combine(_folder, "resolv.conf");
        var own = IPAddress.Parse("192.0.2.1");
        var resolvers = new HostResolvers(path, own.Equals);
        Assert.Empty(resolvers.Read(0));
        File.WriteAllText(path, Text + "\nnameserver 192.0.2.5");
        Assert.Empty(resolvers.Read(999));
        // Never ourselves, and no more than three.
        Assert.Equal(["2001:db8::1", "fe80::1%1", "192.0.2.4"], resolvers.Read(1000).Select(static each => each.ToString()));
        File.WriteAllText(path, new string('\n', 70_000) + "nameserver 192.0.2.5");
        Assert.Empty(resolvers.Read(2000));
    }

    [Theory]
    [InlineData("sleeve", true)]
    [InlineData("cluster.internal", true)]
    [InlineData("Sleeve", false)]
    [InlineData("a..b", false)]
    [InlineData("a.", false)]
    [InlineData("-a", false)]
    [InlineData("a_b", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_domain_is_of_plain_labels(string? text, bool isDomain) => Assert.Equal(isDomain, NameOptions.IsDomain(text));

    [Fact]
    public void An_endpoint_is_told_its_gateways_or_a_link_local_address()
    {
        var network = Network("Prod", "10.1.0.0/16 fd00:1::/64").Record!.Value;
        var with = ResolverAdvice.Of(network with { Gateways = [.. Addresses("10.1.0.1 fd00:1::1")] }, new NameOptions(), "eth0");
        Assert.Equal("# made by sleeve for slv1 of network Prod; goes when that is detached\nsearch prod.sleeve\nnameserver 10.1.0.1\nnameserver fd00:1::1\n", with.ToText("slv1"));
        Assert.Empty(with.BridgeAddresses);
        Assert.Empty(with.Routes);
        var without = ResolverAdvice.Of(network, new NameOptions { Domain = "cluster.internal" }, "eth0");
        Assert.Equal(("prod.cluster.internal", "169.254.96.8"), (without.Search, Assert.Single(without.Nameservers)));
        Assert.Equal(Prefix("169.254.96.8/32"), Assert.Single(without.BridgeAddresses));
        Assert.Equal(Prefix("169.254.96.8/32"), Assert.Single(without.Routes));
        // Another network has another: a container that is in both reaches both.
        Assert.Equal("169.254.127.254", $"{ResolverAdvice.LinkLocalOf(new Vni(8127))}");
        Assert.Equal($"{ResolverAdvice.LinkLocalOf(new Vni(5))}", $"{ResolverAdvice.LinkLocalOf(new Vni(5 + 8128))}");
        Assert.Equal("169.254.96.8", Assert.Single(ResolverAdvice.Of(network with { Gateways = [.. Addresses("10.1.0.1")], IsInternal = true }, new NameOptions(), "eth0").Nameservers));
        var six = ResolverAdvice.Of(network with { Subnets = [Prefix("fd00:1::/64")] }, new NameOptions(), "eth7");
        Assert.Equal("fe80::53%eth7", Assert.Single(six.Nameservers));
        Assert.Equal(Prefix("fe80::53/64"), Assert.Single(six.BridgeAddresses));
        Assert.Empty(six.Routes);
    }

    [Fact]
    public void The_resolv_conf_of_a_namespace_is_written_once_and_only_ours_is_removed()
    {
        var red = ResolverAdvice.Of(Network("red", "").Record!.Value, new NameOptions(), "eth0");
        var blue = ResolverAdvice.Of(Network("blue", "").Record!.Value, new NameOptions(), "eth1");
        var path = Path.Combine(_folder, "c1", "resolv.conf");
        Assert.True(NamespaceResolvConf.Write("c1", "slv1", red, static _ => true, _folder));
        Assert.True(NamespaceResolvConf.Write("c1", "slv1", red, static _ => true, _folder));
        Assert.Equal(red.ToText("slv1"), File.ReadAllText(path));
        Assert.Equal(UnixFileMode.OtherRead, File.GetUnixFileMode(path) & UnixFileMode.OtherRead);
        Assert.False(NamespaceResolvConf.Write("c1", "slv2", blue, static _ => true, _folder));
        NamespaceResolvConf.Remove("slv2", _folder);
        Assert.Equal([path], Directory.GetFiles(_folder, "*", SearchOption.AllDirectories));
        // Of a wire that is gone without a word: the next takes its place.
        Assert.True(NamespaceResolvConf.Write("c1", "slv2", blue, static wire => wire != "slv1", _folder));
        Assert.True(NamespaceResolvConf.Write("c1", "slv1", red, static wire => wire != "slv2", _folder));
        NamespaceResolvConf.Remove("slv1", _folder);
        NamespaceResolvConf.Remove("slv1", _folder);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));

        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "nameserver 192.0.2.1\n");
        Assert.False(NamespaceResolvConf.Write("c1", "slv1", red, static _ => true, _folder));
        NamespaceResolvConf.Remove("slv1", _folder);
        Assert.Equal("nameserver 192.0.2.1\n", File.ReadAllText(path));
        foreach (var name in new[] { "", ".", "..", "../x", "/x" }) Assert.Throws<Control.Host.HostException>(() => NamespaceResolvConf.Write(name, "slv1", red, static _ => true, _folder));
    }

    [Fact]
    public void The_desk_answers_as_the_server_would()
    {
        var view = Network("prod", "10.1.0.0/16", ("one", "web www", "10.1.0.2"), ("two", "www", "10.1.0.3"));
        var desk = new NameDesk(new NameOptions(), name => name == "prod" ? view : null, static host => host == "one", static _ => null);
        Assert.Null(desk.List("other"));
        Assert.Null(desk.Resolve("other", "web"));
        Assert.Equal(["web", "www"], desk.List("prod")!.Select(static each => each.Name));
        Assert.Equal([true, false], desk.List("prod")![1].Addresses.Select(static each => each.IsUp));
        Assert.Equal([NameOutcome.Found, NameOutcome.NoData], desk.Resolve("prod", "WWW.")!.Select(static each => each.Outcome));
        Assert.Equal("web.prod.sleeve", Assert.Single(desk.Resolve("prod", "10.1.0.2")!).Pointer);
        Assert.Equal(NameOutcome.Elsewhere, Assert.Single(desk.Resolve("prod", "192.0.2.1")!).Outcome);
        Assert.Equal(NameOutcome.NoName, desk.Resolve("prod", "nobody")![0].Outcome);
    }
}
