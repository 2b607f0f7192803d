using System.Text;
using Sleeve.Control.Cni;

namespace Sleeve.Control.Tests.Cni;

/// <summary>What the plugin takes and refuses, before a daemon is asked.</summary>
public class ProgramTests
{
    private const int DaemonAway = CniCode.TryAgain;

    [Theory]
    [InlineData("""{"cniVersion":"1.0.0"}""", "1.0.0")]
    [InlineData("""{"cniVersion":"0.3.1"}""", "0.3.1")]
    [InlineData("""{"cniVersion":"9.9.9"}""", "1.1.0")]
    [InlineData("{}", "1.1.0")]
    [InlineData("", "1.1.0")]
    public void VERSION_answers_what_is_supported(string input, string version) =>
        Assert.Equal((0, $$"""{"cniVersion":"{{version}}","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}""" + "\n"), CniCalls.Serve("VERSION", input));

    [Theory]
    [InlineData("VERSION", "nope", CniCode.Decode)]
    [InlineData("ADD", "not json", CniCode.Decode)]
    [InlineData("ADD", "", CniCode.Decode)]
    [InlineData("ADD", "[]", CniCode.Decode)]
    [InlineData("ADD", "null", CniCode.Decode)]
    [InlineData("ADD", "{}", CniCode.Incompatible)]
    [InlineData("ADD", """{"cniVersion":"0.2.0","name":"blue"}""", CniCode.Incompatible)]
    [InlineData("ADD", """{"cniVersion":"9.9.9","name":"blue"}""", CniCode.Incompatible)]
    [InlineData("ADD", """{"cniVersion":1,"name":"blue"}""", CniCode.BadConfig)]
    [InlineData("ADD", """{"cniVersion":"1.0.0"}""", CniCode.BadConfig)]
    [InlineData("ADD", """{"cniVersion":"1.0.0","name":"../x"}""", CniCode.BadConfig)]
    [InlineData("BOGUS", """{"cniVersion":"1.0.0","name":"blue"}""", CniCode.BadEnvironment)]
    [InlineData("add", """{"cniVersion":"1.0.0","name":"blue"}""", CniCode.BadEnvironment)]
    [InlineData("CHECK", """{"cniVersion":"0.3.1","name":"blue"}""", CniCode.Incompatible)]
    [InlineData("GC", """{"cniVersion":"1.0.0","name":"blue"}""", CniCode.Incompatible)]
    [InlineData("STATUS", """{"cniVersion":"1.0.0","name":"blue"}""", CniCode.Incompatible)]
    [InlineData("CHECK", """{"cniVersion":"1.0.0","name":"blue"}""", CniCode.BadConfig)]
    public void What_cannot_be_served_is_an_error_of_the_specification(string command, string input, int code) => Assert.Equal(code, CniCalls.CodeOf(CniCalls.Serve(command, input)));

    [Theory]
    [InlineData("\"network\":\"a b\"", "network a b: must be 1 to 63 of")]
    [InlineData("\"network\":7", "network 7: must be a text")]
    [InlineData("\"socket\":\"relative\"", "socket relative: must be the whole path")]
    [InlineData("\"gateway\":\"10.1.0.1/24x\"", "gateway 10.1.0.1/24x: must be auto, none, or an IPv4 or IPv6 address")]
    [InlineData("\"subnet\":\"10.1.0.0\"", "subnet 10.1.0.0: must be an IPv4 or IPv6 prefix")]
    [InlineData("\"subnet\":[\"10.1.0.0/16\",7]", "subnet 7: must be a text")]
    [InlineData("\"vni\":0", "vni 0: must be a number from 1 to 16777215")]
    [InlineData("\"vni\":1.5", "vni 1.5: must be a number")]
    [InlineData("\"vni\":\"5\"", "vni \"5\": must be a number")]
    [InlineData("\"mtu\":99999999999999999999", "mtu 99999999999999999999: must be a number from 68 to 65535")]
    [InlineData("\"ifname\":\"much-too-long-for-one\"", "ifname much-too-long-for-one: must be an interface name")]
    [InlineData("\"ipam\":[]", "ipam []: must be an object")]
    [InlineData("\"ipam\":{\"type\":\"../host-local\"}", "ipam.type ../host-local: must be the name of an IPAM plugin")]
    [InlineData("\"ipam\":{\"type\":\"host-local\"},\"gateway\":\"10.1.0.1\"", "gateway 10.1.0.1: must be auto or none where ipam.type host-local says which")]
    [InlineData("\"dns\":{\"nameservers\":[\"x\"]}", "dns.nameservers x: must be the address of a name server")]
    [InlineData("\"runtimeConfig\":{\"ips\":[\"224.0.0.1\"]}", "runtimeConfig.ips 224.0.0.1: must be an IPv4 or IPv6 unicast address")]
    [InlineData("\"runtimeConfig\":{\"mac\":\"01:00:5e:00:00:01\"}", "runtimeConfig.mac 01:00:5e:00:00:01: must be a unicast MAC")]
    [InlineData("\"runtimeConfig\":{\"aliases\":{\"blue\":[\"-x\"]}}", "runtimeConfig.aliases -x: must be 1 to 63")]
    [InlineData("\"args\":{\"cni\":{\"ips\":[1]}}", "args.cni.ips 1: must be a text")]
    [InlineData("\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.2\"}]}", "prevResult.ips[0].address 10.1.0.2: must be an address with the length of its network")]
    [InlineData("\"prevResult\":{\"ips\":[{}]}", "prevResult.ips[0].address: missing")]
    [InlineData("\"prevResult\":{\"routes\":[{\"dst\":\"x\"}]}", "prevResult.routes[0].dst x: must be")]
    public void A_wrong_key_is_named_with_its_value_and_what_is_allowed(string more, string message)
    {
        var answer = CniCalls.Serve("ADD", $$"""{"cniVersion":"1.0.0","name":"blue","type":"sleeve",{{more}}}""");
        Assert.Equal(CniCode.BadConfig, CniCalls.CodeOf(answer));
        Assert.StartsWith(message, CniCalls.MessageOf(answer), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"network\":\"a b\"")]
    [InlineData("\"gateway\":7,\"subnet\":7,\"vni\":0,\"mtu\":0,\"ifname\":7,\"dns\":7")]
    [InlineData("\"runtimeConfig\":7,\"args\":7,\"prevResult\":7")]
    public void A_DEL_after_a_refused_ADD_succeeds(string more)
    {
        Assert.Equal(CniCode.BadConfig, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain(more), ("CNI_ARGS", "IgnoreUnknown=1"))));
        Assert.Equal((0, ""), CniCalls.Serve("DEL", CniCalls.Plain(more), ("CNI_NETNS", ""), ("CNI_ARGS", "nonsense")));
    }

    [Theory]
    [InlineData("CNI_CONTAINERID", "")]
    [InlineData("CNI_CONTAINERID", "-x")]
    [InlineData("CNI_CONTAINERID", "a/b")]
    [InlineData("CNI_IFNAME", "")]
    [InlineData("CNI_IFNAME", "a b")]
    [InlineData("CNI_IFNAME", "..")]
    [InlineData("CNI_NETNS", "")]
    [InlineData("CNI_NETNS", "relative")]
    [InlineData("CNI_ARGS", "x")]
    [InlineData("CNI_ARGS", "=x")]
    [InlineData("CNI_ARGS", "IP=10.1.0.300")]
    [InlineData("CNI_ARGS", "MAC=ff:ff:ff:ff:ff:ff")]
    [InlineData("CNI_ARGS", "IgnoreUnknown=perhaps")]
    [InlineData("CNI_ARGS", "FOO=bar")]
    [InlineData("CNI_ARGS", "IgnoreUnknown=0;FOO=bar")]
    public void A_wrong_variable_is_code_4(string key, string value) => Assert.Equal(CniCode.BadEnvironment, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain(), (key, value))));

    [Theory]
    [InlineData("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=1;K8S_POD_INFRA_CONTAINER_ID=c1")]
    [InlineData("FOO=bar;IP=10.1.0.7,fd00::7;MAC=02:00:00:00:00:07;IgnoreUnknown=true")]
    [InlineData("K8S_POD_NAME=a.name.that.is.longer.than.a.label.of.DNS.may.be.and.that.therefore.is.no.name")]
    public void Arguments_come_in_any_order(string value) => Assert.Equal(DaemonAway, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain(), ("CNI_ARGS", value))));

    [Fact]
    public void Without_a_daemon_what_is_there_is_not_gone()
    {
        Assert.Equal(DaemonAway, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain())));
        Assert.Equal(DaemonAway, CniCalls.CodeOf(CniCalls.Serve("DEL", CniCalls.Plain())));
        Assert.Equal((0, ""), CniCalls.Serve("DEL", CniCalls.Plain(), ("CNI_NETNS", "")));
        Assert.Equal((0, ""), CniCalls.Serve("DEL", CniCalls.Plain(), ("CNI_NETNS", "/run/netns/none-of-that-name")));
        Assert.Equal((0, ""), CniCalls.Serve("DEL", CniCalls.Plain(), ("CNI_NETNS", "/etc/hostname")));
        Assert.Equal(CniCode.LimitedConnectivity, CniCalls.CodeOf(CniCalls.Serve("STATUS", CniCalls.Plain(version: "1.1.0"))));
        Assert.Equal(DaemonAway, CniCalls.CodeOf(CniCalls.Serve("GC", CniCalls.Plain("\"cni.dev/valid-attachments\":[]", "1.1.0"))));
        Assert.Equal((0, ""), CniCalls.Serve("GC", CniCalls.Plain(version: "1.1.0")));
        Assert.Equal((0, ""), CniCalls.Serve("GC", CniCalls.Plain("\"cni.dev/valid-attachments\":null", "1.1.0")));
    }

    [Theory]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("[7]")]
    [InlineData("[{\"containerID\":\"c1\"}]")]
    [InlineData("[{\"containerID\":7,\"ifname\":\"eth0\"}]")]
    public void A_wrong_list_of_attachments_deletes_nothing(string list) =>
        Assert.Equal(CniCode.BadConfig, CniCalls.CodeOf(CniCalls.Serve("GC", CniCalls.Plain($"\"cni.dev/valid-attachments\":{list}", "1.1.0"))));

    [Fact]
    public void Input_has_limits()
    {
        Assert.Equal(CniCode.Decode, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain($"\"x\":\"{new string('x', CniProgram.MaxInput)}\""))));
        Assert.Equal(CniCode.Decode, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain($"\"x\":{new string('[', 100)}{new string(']', 100)}"))));
        Assert.Equal(CniCode.BadConfig, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain($"\"subnet\":[{string.Join(',', Enumerable.Repeat("\"10.1.0.0/16\"", 2000))}]"))));
        Assert.Equal(CniCode.BadEnvironment, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain(), ("CNI_ARGS", string.Concat(Enumerable.Repeat("IgnoreUnknown=1;", 100))))));
    }

    [Fact]
    public void An_IPAM_plugin_that_is_not_there_is_a_wrong_configuration_and_one_that_fails_is_passed_on()
    {
        Assert.Equal(CniCode.BadConfig, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain("\"ipam\":{\"type\":\"none-of-that-name\"}"))));
        var folder = Directory.CreateTempSubdirectory("sleeve-ipam-").FullName;
        try
        {
            (string Script, int Code)[] cases =
            [
                ("echo '{\"code\":21,\"msg\":\"full\"}'; exit 1", 21), ("echo oops >&2; exit 1", CniCode.Ipam), ("echo '{\"ips\":[]}'", CniCode.Ipam), ("echo x", CniCode.Ipam), ("echo '{\"ips\":[{\"address\":\"10.0.0.1\"}]}'", CniCode.Ipam),
                // What it gave is good, and then there is no daemon.
                ("echo '{\"ips\":[{\"address\":\"10.0.0.1/24\"}]}'", DaemonAway),
            ];
            foreach (var (script, code) in cases)
            {
                var path = Path.Combine(folder, "made-up");
                File.WriteAllText(path, $"#!/bin/sh\n[ $CNI_COMMAND = ADD ] || {{ echo $CNI_COMMAND >> {folder}/told; exit 0; }}\ncat >/dev/null\n{script}\n");
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                Assert.Equal(code, CniCalls.CodeOf(CniCalls.Serve("ADD", CniCalls.Plain("\"ipam\":{\"type\":\"made-up\"}"), ("CNI_PATH", folder))));
                Assert.Equal("DEL\n", File.ReadAllText(Path.Combine(folder, "told")));
                File.Delete(Path.Combine(folder, "told"));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Ids_are_names_and_of_one_attachment_each()
    {
        var ids = new[] { ("blue", "c1", "eth0"), ("blue", "c1", "eth1"), ("blue", "c2", "eth0"), ("green", "c1", "eth0"), ("blue", new string('a', 255), "eth0"), ("blue", "..--", "eth0") }
            .Select(static each => CniDaemon.Ids.Of(each.Item1, new CniAttachment(each.Item2, each.Item3))).ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(ids, static id => Assert.True(Sleeve.Control.Networks.Names.IsName(id), id));
        Assert.Equal(ids[0], CniDaemon.Ids.Of("blue", new CniAttachment("c1", "eth0")));
        Assert.StartsWith(CniDaemon.Ids.PrefixOf("blue"), ids[0], StringComparison.Ordinal);
        Assert.False(ids[0].StartsWith(CniDaemon.Ids.PrefixOf("green"), StringComparison.Ordinal));
    }

    [Fact]
    public void No_byte_of_stdin_is_an_exception()
    {
        foreach (var input in (byte[][])[[0xFF, 0xFE], [0], "{\"cniVersion\":\"1.0.0\",\"name\":\"\\ud800\"}"u8.ToArray(), Encoding.Unicode.GetBytes("{}"), [0xEF, 0xBB, 0xBF, .. "{}"u8]])
            Assert.InRange(CniCalls.CodeOf(CniCalls.Serve("ADD", input)), 1, CniCode.BadConfig);
    }
}
