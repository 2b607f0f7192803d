using System.Text;
using System.Text.Json;
using Sleeve.Control.Cni;

namespace Sleeve.Fuzz;

/// <summary>What runtimes, and people who write configurations, hand to the CNI plugin. There is no daemon behind it, so that nothing can be done: every answer is an error of the specification, or nothing to do.</summary>
public sealed class CniFuzzTests
{
    private const int Rounds = 8_000;

    private static readonly int[] Codes = [1, 2, 3, 4, 5, 6, 7, 11, 50, 51, 100, 101, 102];

    private static readonly string[] Configurations =
    [
        """{"cniVersion":"1.0.0","name":"blue","type":"sleeve","socket":"/none/s","network":"blue","subnet":["10.1.0.0/16","fd00::/64"],"vni":5000,"mtu":1450,"gateway":"auto","capabilities":{"ips":true}}""",
        """{"cniVersion":"1.1.0","name":"blue","socket":"/none/s","cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}],"cni.dev/attachments":[]}""",
        """{"cniVersion":"0.4.0","name":"blue","socket":"/none/s","runtimeConfig":{"ips":["10.1.0.7/24"],"mac":"02:00:00:00:00:07","aliases":{"blue":["web"]},"dns":{"servers":["9.9.9.9"]}},"args":{"cni":{"ips":["10.1.0.7"]}},"ipam":{},"dns":{"nameservers":["9.9.9.9"],"search":["x"],"options":[]}}""",
        """{"cniVersion":"1.0.0","name":"blue","socket":"/none/s","prevResult":{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"/proc/self/ns/net"}],"ips":[{"address":"10.1.0.7/24","gateway":"10.1.0.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}],"dns":{}}}""",
        """{"cniVersion":"0.3.1","name":"blue","socket":"/none/s","ipam":{"type":"none"}}""",
        "{}", "[]", "null", "",
    ];

    private static readonly string[] Arguments = ["IgnoreUnknown=1;K8S_POD_NAME=web-0;IP=10.1.0.7;MAC=02:00:00:00:00:07", "IP=fd00::7,10.1.0.7", "K8S_POD_NAMESPACE=default", "=;=;x"];
    private static readonly string[] Commands = ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION", "", "add"];
    private static readonly string[] Texts = ["c1", "eth0", "/proc/self/ns/net", "/run/netns/x", "", "..", "a b", "/", new('x', 300)];

    [Fact]
    public void Every_answer_of_the_CNI_plugin_is_one_of_the_specification()
    {
        var random = new Random(53);
        var inputs = new Mutator(random, [.. Configurations.Select(Encoding.UTF8.GetBytes)]);
        var arguments = new Mutator(random, [.. Arguments.Select(Encoding.UTF8.GetBytes)]);
        var served = 0;
        for (var i = 0; i < Rounds; i++)
        {
            var input = random.Next(8) == 0 ? Encoding.UTF8.GetBytes(Configurations[random.Next(Configurations.Length)]) : inputs.Next();
            // A change may have it look for the daemon's own socket, which there may be on this machine.
            if (input.AsSpan().IndexOf("\"/none/s\""u8) >= 0 || Array.IndexOf(Configurations, Encoding.UTF8.GetString(input)) >= 5) served++;
            else if (input.AsSpan().IndexOf("\"name\""u8) >= 0) continue;
            var variables = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["CNI_COMMAND"] = Commands[random.Next(Commands.Length)],
                ["CNI_CONTAINERID"] = random.Next(4) == 0 ? Texts[random.Next(Texts.Length)] : "c1",
                ["CNI_IFNAME"] = random.Next(4) == 0 ? Texts[random.Next(Texts.Length)] : "eth0",
                ["CNI_NETNS"] = random.Next(3) == 0 ? Texts[random.Next(Texts.Length)] : "/proc/self/ns/net",
                ["CNI_ARGS"] = random.Next(3) == 0 ? Encoding.UTF8.GetString(arguments.Next()) : "",
                ["CNI_PATH"] = "/none:/nowhere",
            };
            using var stdin = new MemoryStream(input);
            var (code, answer) = CniProgram.Serve(variables.GetValueOrDefault, stdin);
            if (code == 0 && answer.Length == 0) continue;
            using var json = JsonDocument.Parse(answer);
            Assert.True(CniVersions.IsSupported(json.RootElement.GetProperty("cniVersion").GetString()!));
            if (code == 0) Assert.Equal("VERSION", variables["CNI_COMMAND"]);
            else Assert.True(Codes.Contains(json.RootElement.GetProperty("code").GetInt32()), $"{Encoding.UTF8.GetString(input)}: {Encoding.UTF8.GetString(answer)}");
        }

        Assert.True(served > Rounds / 10, $"only {served} of {Rounds} were served");
    }
}
