using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Docker;

/// <summary>The plugin's socket without a dockerd: whatever comes, the answer has the form of its protocol, and nothing half is left.</summary>
public sealed class PluginTests(ITestOutputHelper output) : ClusterTest(output)
{
    private const int Rounds = 3000;
    private const string Network = "33e4b1b8168fc6b1b4d8b81f40e689af8b9b32ef1bcce4cffaffbb9c9e848186";
    private const string Endpoint = "324ae6143002821deec530ff04b7b92aa75bf5af23b6170ec56e1a317ecd2410";

    // As dockerd sends them.
    private static readonly (string Method, string Body)[] Requests =
    [
        ("Plugin.Activate", ""),
        ("NetworkDriver.GetCapabilities", ""),
        ("IpamDriver.GetCapabilities", ""),
        ("IpamDriver.GetDefaultAddressSpaces", ""),
        ("IpamDriver.RequestPool", """{"AddressSpace":"sleeve","Pool":"10.77.0.0/24","SubPool":"10.77.0.128/25","Options":{},"V6":false}"""),
        ("IpamDriver.RequestAddress", """{"PoolID":"10.77.0.0/24","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}}"""),
        ("NetworkDriver.CreateNetwork", $$$"""{"NetworkID":"{{{Network}}}","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":{"vni":"4242","mtu":"1400"}},"IPv4Data":[{"AddressSpace":"sleeve","AuxAddresses":{"dns":"10.77.0.9/24"},"Gateway":"10.77.0.1/24","Pool":"10.77.0.0/24"}],"IPv6Data":[]}"""),
        ("IpamDriver.RequestAddress", """{"PoolID":"10.77.0.0/24","Address":"","Options":null}"""),
        ("NetworkDriver.CreateEndpoint", $$$"""{"NetworkID":"{{{Network}}}","EndpointID":"{{{Endpoint}}}","Interface":{"Address":"10.77.0.130/24","AddressIPv6":"","MacAddress":"02:11:22:33:44:55"},"Options":{"com.docker.network.endpoint.exposedports":[],"com.docker.network.endpoint.macaddress":"AhEiM0RV"}}"""),
        ("NetworkDriver.EndpointOperInfo", $$"""{"NetworkID":"{{Network}}","EndpointID":"{{Endpoint}}"}"""),
        ("NetworkDriver.Join", $$$"""{"NetworkID":"{{{Network}}}","EndpointID":"{{{Endpoint}}}","SandboxKey":"/run/docker-exec/netns/8256e9f797ae","Options":{}}"""),
        ("NetworkDriver.Leave", $$"""{"NetworkID":"{{Network}}","EndpointID":"{{Endpoint}}"}"""),
        ("NetworkDriver.DeleteEndpoint", $$"""{"NetworkID":"{{Network}}","EndpointID":"{{Endpoint}}"}"""),
        ("IpamDriver.ReleaseAddress", """{"PoolID":"10.77.0.0/24","Address":"10.77.0.130"}"""),
        ("IpamDriver.ReleasePool", """{"PoolID":"10.77.0.0/24"}"""),
        ("NetworkDriver.DeleteNetwork", $$"""{"NetworkID":"{{Network}}"}"""),
        ("NetworkDriver.DiscoverNew", """{"DiscoveryType":1,"DiscoveryData":{"Address":"127.0.0.1","Self":true}}"""),
    ];

    private static readonly (string Method, string Body, int Status, string Said)[] Bad =
    [
        ("NetworkDriver.CreateNetwork", "{", 400, "Err"),
        ("NetworkDriver.CreateNetwork", "[]", 400, "Err"),
        ("NetworkDriver.CreateNetwork", "{}", 200, "NetworkID: must be"),
        ("NetworkDriver.CreateNetwork", "{\"NetworkID\":7}", 400, "Err"),
        ("NetworkDriver.CreateNetwork", "{\"NetworkID\":\"../x\"}", 200, "NetworkID: must be"),
        ("NetworkDriver.CreateNetwork", "{\"NetworkID\":\"abc\",\"IPv4Data\":[{\"Pool\":\"10.0.0.0\"}]}", 200, "must be ADDRESS/LENGTH"),
        ("NetworkDriver.CreateEndpoint", "{\"NetworkID\":\"abc\",\"EndpointID\":\"def\"}", 200, "this driver knows none of that id"),
        ("NetworkDriver.Join", "{\"NetworkID\":\"abc\"}", 200, "EndpointID: must be"),
        ("NetworkDriver.Fly", "{}", 404, "no such method; this plugin has IpamDriver.GetCapabilities"),
        ("", "", 404, "no such method"),
        ("IpamDriver.RequestPool", "{\"Pool\":\"10.0.0.1/24\"}", 200, "\"Error\":\"Pool 10.0.0.1/24: must be ADDRESS/LENGTH with zero host bits"),
        ("IpamDriver.RequestPool", "{\"Pool\":7}", 400, "\"Error\":"),
        ("IpamDriver.RequestPool", "{\"AddressSpace\":\"mars\"}", 200, "AddressSpace mars: must be sleeve"),
        ("IpamDriver.RequestAddress", "{\"PoolID\":\"a/b/c/d\"}", 200, "must be one that RequestPool gave"),
        ("IpamDriver.RequestAddress", "{\"PoolID\":\"10.0.0.0/24\",\"Address\":\"10.0.1.1\"}", 200, "must be one of 10.0.0.0/24"),
    ];

    private static readonly string[] Pieces = ["null", "{}", "[]", "\"\"", "-1", "1e999", "\"\\u0000\"", "true", "4242", "\"10.77.0.0/0\"", "\"fd00::/64\"", "\"../../x\"", "{\"a\":{\"a\":{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}}}", "\"\uD800\""];

    [SkippableFact]
    public void Every_request_of_a_network_is_answered_as_dockerd_expects_and_twice_is_as_once()
    {
        var (daemon, plugin) = Given();
        foreach (var (method, body) in Requests)
        {
            for (var twice = 0; twice < 2; twice++)
            {
                var (status, answer) = plugin(method, Encoding.UTF8.GetBytes(body));
                Assert.True(status == 200, $"{method}: {status} {answer}");
                Assert.DoesNotContain("Err", answer, StringComparison.Ordinal);
                if (method == "NetworkDriver.CreateEndpoint") Assert.Equal("""{"Interface":{}}""", answer);
                if (method == "NetworkDriver.Join") Assert.StartsWith("""{"InterfaceName":{"SrcName":"sld324ae6143002","DstPrefix":"eth"},"StaticRoutes":[{"Destination":"169.254.""", answer, StringComparison.Ordinal);
            }
        }

        Assert.Empty(daemon.Get("networks").EnumerateArray());
        AuditFindsNothing(daemon);
    }

    [SkippableFact]
    public void Bad_requests_are_refused_in_the_form_of_their_protocol()
    {
        var (daemon, plugin) = Given();
        foreach (var (method, body, status, said) in Bad)
        {
            var answer = plugin(method, Encoding.UTF8.GetBytes(body));
            Assert.True(answer.Status == status, $"{method} {body}: {answer.Status} {answer.Body}");
            Assert.Contains(said, answer.Body.Replace("\\u0022", "\"", StringComparison.Ordinal), StringComparison.Ordinal);
        }

        Assert.Empty(daemon.Get("networks").EnumerateArray());
    }

    [SkippableFact]
    public void Whatever_comes_is_answered_and_leaves_nothing()
    {
        var (daemon, plugin) = Given();
        var random = new Random(28);
        var answers = new Dictionary<int, int>();
        for (var i = 0; i < Rounds; i++)
        {
            var (method, body) = Requests[random.Next(Requests.Length)];
            var (status, answer) = plugin(random.Next(50) == 0 ? "NetworkDriver.\u00e9" : method, Mutate(random, body));
            answers[status] = answers.GetValueOrDefault(status) + 1;
            Assert.Contains(status, (int[])[200, 400, 404]);
            using var document = JsonDocument.Parse(answer);
            Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
        }

        Output.WriteLine(string.Join(", ", answers.Select(static each => $"{each.Key}: {each.Value}")));
        var (large, said) = plugin("NetworkDriver.Join", new byte[200_000]);
        Assert.Equal((413, true), (large, said.Contains("Err", StringComparison.Ordinal)));
        Assert.False(daemon.Process.HasExited);
        // What was made is removed as dockerd would, and then there is nothing.
        foreach (var endpoint in daemon.Get("endpoints").EnumerateArray())
            Assert.Equal(200, plugin("NetworkDriver.DeleteEndpoint", Encoding.UTF8.GetBytes($$"""{"NetworkID":"{{Network}}","EndpointID":"{{endpoint.GetProperty("id").GetString()}}"}""")).Status);
        foreach (var network in daemon.Get("networks").EnumerateArray()) daemon.Run($"net rm {network.GetProperty("name").GetString()}").Ok();
        Assert.Empty(daemon.Get("endpoints").EnumerateArray());
        AuditFindsNothing(daemon);
    }

    private static byte[] Mutate(Random random, string body)
    {
        var text = body;
        switch (random.Next(4))
        {
            case 0:
                break;
            case 1:
                // A value becomes another of any type.
                if (text.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon)
                {
                    for (var skip = random.Next(6); skip > 0 && text.IndexOf(':', colon + 1) is >= 0 and var next; skip--) colon = next;
                    var end = text.IndexOfAny([',', '}'], colon);
                    if (end > 0) text = $"{text[..(colon + 1)]}{Pieces[random.Next(Pieces.Length)]}{text[end..]}";
                }

                break;
            case 2:
                text = text[..random.Next(text.Length + 1)];
                break;
            default:
                var bytes = Encoding.UTF8.GetBytes(text);
                for (var i = random.Next(4); i >= 0 && bytes.Length > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return bytes;
        }

        return Encoding.UTF8.GetBytes(text);
    }

    private (SleeveDaemon Daemon, Func<string, byte[], (int Status, string Body)> Plugin) Given()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-plugin-").FullName;
        var (_, daemons) = GivenCluster(1, $"docker: on\ndocker-plugins: {folder}\ndocker-socket: {folder}/none.sock\n");
        daemons[0].WaitForText("driver of Docker on");
        var client = daemons[0].Host.Lab.Own(new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(folder, "sleeve.sock")), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        }));
        return (daemons[0], (method, body) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"http://plugin/{method}") { Content = new ByteArrayContent(body) };
            // As Docker does.
            request.Headers.Host = "";
            // One that is refused for its length is answered before it is sent, and the connection closed.
            if (body.Length > 100_000) request.Headers.ExpectContinue = true;
            using var response = client.Send(request);
            using var reader = new StreamReader(response.Content.ReadAsStream());
            return ((int)response.StatusCode, reader.ReadToEnd());
        });
    }
}
