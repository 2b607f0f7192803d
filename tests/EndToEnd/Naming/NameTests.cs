using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Naming;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Naming;

/// <summary>Names as real clients get them: dig (BIND) and glibc's resolver in members' namespaces, with dnsmasq as the host's resolver.</summary>
public sealed class NameTests(ITestOutputHelper output) : LabTest(output)
{
    private static string[] Words(string text) => Command.Split(text.ReplaceLineEndings(" "));

    private NameLab NewNames(NameOptions? options = null)
    {
        Requirements.Programs("dig", "getent");
        return new NameLab(NewLab(), options);
    }

    [SkippableFact]
    public void Members_find_each_other_by_name()
    {
        using var lab = NewNames();
        var red = lab.AddNetwork("red", "10.1.0.0/24", "10.1.0.1 fd00:1::1");
        var web = lab.AddMember("web", "red", "10.1.0.2/24", red);
        web.Run("ip addr add fd00:1::2/64 dev eth0 nodad");
        lab.Publish("red", "web www", "one", "10.1.0.2 fd00:1::2");
        var db = lab.AddMember("db", "red", "10.1.0.3/24", red);
        lab.Publish("red", "db2 pool", "two", "10.1.0.4");
        lab.Publish("red", "db3 pool", "two", "10.1.0.5");

        // BIND's client, which is told when a message is not as it should be.
        Assert.Equal("10.1.0.2\n", NameLab.Dig(db, "+short @10.1.0.1 web"));
        Assert.Equal("10.1.0.2\n", NameLab.Dig(db, "+short +search WWW"));
        Assert.Equal("fd00:1::2\n", NameLab.Dig(db, "+short web.red.sleeve AAAA"));
        Assert.Equal("web.red.sleeve.\n", NameLab.Dig(db, "+short -x 10.1.0.2"));
        Assert.Equal("web.red.sleeve.\n", NameLab.Dig(db, "+short -x fd00:1::2"));
        Assert.Equal("10.1.0.2\n", NameLab.Dig(db, "+short +tcp web.red"));
        var missing = NameLab.Dig(db, "nobody.red.sleeve");
        Assert.Contains("status: NXDOMAIN", missing, StringComparison.Ordinal);
        Assert.Contains("flags: qr aa rd ra;", missing, StringComparison.Ordinal);
        Assert.Contains("red.sleeve.\t\t1\tIN\tSOA\tred.sleeve. hostmaster.red.sleeve. ", missing, StringComparison.Ordinal);
        Assert.Contains("status: NOERROR", NameLab.Dig(db, "db.red.sleeve AAAA"), StringComparison.Ordinal);
        Assert.Contains("RFC8482", NameLab.Dig(db, "+notcp web ANY"), StringComparison.Ordinal);
        Assert.Contains("status: BADVERS", NameLab.Dig(db, "+edns=1 +noednsneg web"), StringComparison.Ordinal);
        Assert.Contains("status: REFUSED", NameLab.Dig(db, "version.bind TXT CH"), StringComparison.Ordinal);
        var firsts = Enumerable.Range(0, 40).Select(_ => NameLab.Dig(db, "+short pool").Split('\n')[0]).ToHashSet();
        Assert.Equal(["10.1.0.4", "10.1.0.5"], firsts.Order());

        // glibc: /etc/netns/NAME/resolv.conf, its search line, the address of a name and the name of an address, and whoever uses it.
        Assert.Equal(["10.1.0.2", "STREAM", "web.red.sleeve"], Words(db.Run("getent ahostsv4 web"))[..3]);
        Assert.Equal("fd00:1::2", Words(db.Run("getent ahostsv6 www.red"))[0]);
        Assert.Equal(["10.1.0.2", "web.red.sleeve"], Words(db.Run("getent hosts 10.1.0.2")));
        Assert.NotEqual(0, db.Try("getent hosts nobody").ExitCode);
        Assert.Contains("1 received", db.Run("ping -4 -c 1 -W 2 web"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Other_names_come_from_the_hosts_resolver_and_large_answers_by_TCP()
    {
        Requirements.Programs("dnsmasq");
        using var lab = NewNames();
        var red = lab.AddNetwork("red", "10.1.0.0/24", "10.1.0.1");
        var member = lab.AddMember("member", "red", "10.1.0.2/24", red);
        lab.StartResolver(["--address=/example.com/192.0.2.80", "--address=/nobody.red.sleeve/192.0.2.99", "--host-record=ptr.example.org,192.0.2.77", "--edns-packet-max=1232",
            .. Enumerable.Range(1, 120).Select(static i => $"--host-record=large.example.org,198.51.100.{i}")]);
        Assert.Equal("192.0.2.80\n", NameLab.Dig(member, "+short www.example.com"));
        Assert.Equal("ptr.example.org.\n", NameLab.Dig(member, "+short -x 192.0.2.77"));
        Assert.Equal("192.0.2.80", Words(member.Run("getent hosts example.com"))[0]);
        Assert.Contains("status: NXDOMAIN", NameLab.Dig(member, "nobody.red.sleeve"), StringComparison.Ordinal);
        Assert.Contains("flags: qr tc", NameLab.Dig(member, "+ignore +noall +comments large.example.org").Replace(" aa", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(120, NameLab.Dig(member, "+short large.example.org").Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct().Count(static line => line.StartsWith("198.51.100.", StringComparison.Ordinal)));
        // Own names that do not fit either.
        for (var i = 10; i < 200; i++) lab.Publish("red", $"n{i} all", "two", $"10.1.0.{i}");
        Assert.Contains(" tc ", NameLab.Dig(member, "+ignore +noall +comments all"), StringComparison.Ordinal);
        Assert.Equal(190, NameLab.Dig(member, "+short all").Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct().Count(static line => line.StartsWith("10.1.0.", StringComparison.Ordinal)));
        Assert.Equal(190, member.Run("getent ahostsv4 all").Split('\n').Count(static line => line.Contains("STREAM", StringComparison.Ordinal)));
    }

    [SkippableFact]
    public void Who_is_in_another_network_cannot_ask_and_the_same_subnet_does_not_leak()
    {
        using var lab = NewNames();
        // Two networks with one subnet and one gateway address, and a third that has a route to everything.
        var red = lab.AddNetwork("red", "10.1.0.0/24", "10.1.0.1");
        var blue = lab.AddNetwork("blue", "10.1.0.0/24", "10.1.0.1");
        var green = lab.AddNetwork("green", "10.3.0.0/24", "10.3.0.1");
        var inRed = lab.AddMember("in-red", "red", "10.1.0.2/24", red);
        var inBlue = lab.AddMember("in-blue", "blue", "10.1.0.2/24", blue);
        var inGreen = lab.AddMember("in-green", "green", "10.3.0.2/24", green);
        inGreen.Run("ip route add default via 10.3.0.1");
        lab.Publish("red", "web", "one", "10.1.0.7");
        lab.Publish("blue", "web", "one", "10.1.0.8");
        foreach (var (member, own, address) in new[] { (inRed, "in-red", "10.1.0.7"), (inBlue, "in-blue", "10.1.0.8") })
        {
            Assert.Equal($"{address}\n", NameLab.Dig(member, "+short web"));
            Assert.Equal($"{address}\n", NameLab.Dig(member, "+short +tcp web"));
            Assert.Equal($"{own}.{own[3..]}.sleeve.\n", NameLab.Dig(member, "+short -x 10.1.0.2"));
        }

        Assert.Contains("status: NXDOMAIN", NameLab.Dig(inBlue, "web.red.sleeve"), StringComparison.Ordinal);
        Assert.Contains("status: NXDOMAIN", NameLab.Dig(inBlue, "in-red"), StringComparison.Ordinal);
        // The address answers pings, so there is a way, but nobody who tells names.
        Assert.Contains("1 received", inGreen.Run("ping -c 1 -W 2 10.1.0.1"), StringComparison.Ordinal);
        Assert.NotEqual(0, inGreen.Try("dig +time=1 +tries=1 @10.1.0.1 web").ExitCode);
        Assert.NotEqual(0, inGreen.Try("dig +time=1 +tries=1 +tcp @10.1.0.1 web").ExitCode);
        // The host itself may know what it serves, but is not helped to ask itself in a circle.
        Assert.Equal("10.3.0.2\n", NameLab.Dig(lab.Machine, "+short @10.3.0.1 in-green"));
        Assert.Contains("status: SERVFAIL", NameLab.Dig(lab.Machine, "@10.3.0.1 example.com"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_network_without_a_gateway_has_its_names_on_a_link_local_address()
    {
        using var lab = NewNames();
        var red = lab.AddNetwork("red", "10.1.0.0/24", "");
        var blue = lab.AddNetwork("blue", "10.1.0.0/24", "");
        var six = lab.AddNetwork("six", "fd00:6::/64", "");
        var inRed = lab.AddMember("in-red", "red", "10.1.0.2/24", red);
        var inBlue = lab.AddMember("in-blue", "blue", "10.1.0.3/24", blue);
        var inSix = lab.AddMember("in-six", "six", "fd00:6::2/64", six);
        Assert.Equal("10.1.0.2", Words(inRed.Run("getent ahostsv4 in-red"))[0]);
        Assert.Equal("10.1.0.3", Words(inBlue.Run("getent ahostsv4 in-blue"))[0]);
        Assert.NotEqual(0, inBlue.Try("getent ahostsv4 in-red").ExitCode);
        Wait.Until(() => inSix.Try("getent ahostsv6 in-six").ExitCode == 0, "in-six is found by fe80::53");
        Assert.Equal("fd00:6::2", Words(inSix.Run("getent ahostsv6 in-six"))[0]);
    }

    [SkippableFact]
    public void The_dead_are_gone_within_a_second_and_servers_outlive_their_bridge()
    {
        using var lab = NewNames();
        var red = lab.AddNetwork("red", "10.1.0.0/24", "10.1.0.1");
        var member = lab.AddMember("member", "red", "10.1.0.2/24", red);
        lab.Publish("red", "alpha pool", "two", "10.1.0.3");
        lab.Publish("red", "b pool", "three", "10.1.0.4");
        Assert.Equal(2, Addresses().Length);
        lab.Down["two"] = true;
        AssertGone("10.1.0.3");
        lab.Down.Clear();
        Assert.Equal(2, Addresses().Length);
        lab.Withdraw("red", "b", "three");
        AssertGone("10.1.0.4");
        Assert.Contains("status: NXDOMAIN", NameLab.Dig(member, "b"), StringComparison.Ordinal);

        lab.Machine.Run("ip link del br-red");
        member.Try("ip link del eth0");
        lab.AddBridge("red", ["10.1.0.1/24"]);
        lab.Plug(member, "red");
        member.Run("ip addr add 10.1.0.2/24 dev eth0");
        Wait.Until(() => member.Try("dig +time=1 +tries=1 +short @10.1.0.1 alpha").Output == "10.1.0.3\n", "the server stands on the new bridge", TimeSpan.FromSeconds(15));

        string[] Addresses() => NameLab.Dig(member, "+short pool").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        void AssertGone(string address)
        {
            var clock = Stopwatch.StartNew();
            Wait.Until(() => !Addresses().Contains(address), $"{address} is gone");
            Output.WriteLine($"{address} gone after {clock.ElapsedMilliseconds} ms, kept for 1 s at most");
        }
    }

    [SkippableFact]
    public void A_flood_of_one_member_does_not_keep_another_from_its_names()
    {
        using var lab = NewNames();
        var red = lab.AddNetwork("red", "10.1.0.0/24", "10.1.0.1");
        var loud = lab.AddMember("loud", "red", "10.1.0.2/24", red);
        var quiet = lab.AddMember("quiet", "red", "10.1.0.3/24", red);
        using var socket = loud.InNamespace(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        byte[] query = [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, .. "quiet"u8, 0, 0, 1, 0, 1];
        var to = new IPEndPoint(IPAddress.Parse("10.1.0.1"), 53);
        using var stop = new CancellationTokenSource();
        // Some twenty thousand a second, ten times what a client may ask; more would fill the socket's buffer, which nobody can share out.
        var sending = new Thread(() =>
        {
            for (; !stop.IsCancellationRequested; Thread.Sleep(1))
                for (var i = 0; i < 20; i++) socket.SendTo(query, to);
        });
        sending.Start();
        var tally = lab.Servers.Desk.ServerOf("red")!.Tally;
        try
        {
            Wait.Until(() => tally[NameEvent.Limited] > 5000, "the flood is limited", TimeSpan.FromSeconds(30));
            Assert.Equal("10.1.0.2\n", quiet.Run("dig +time=2 +tries=8 +short loud"));
        }
        finally
        {
            stop.Cancel();
            sending.Join();
        }

        Output.WriteLine($"{tally[NameEvent.Query]} questions, {tally[NameEvent.Limited]} dropped");
    }
}
