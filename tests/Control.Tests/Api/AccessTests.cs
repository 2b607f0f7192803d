using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Sleeve.Control.Tests.Cli;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>Who may use the API: mode and group of sockets, the read-only socket, mutual TLS.</summary>
[Collection(ConsoleTests.Name)]
public class AccessTests
{
    private const string Url = "https://127.0.0.1:4433/";

    [SkippableFact]
    public async Task A_read_only_socket_shows_and_explains_and_refuses_the_rest()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--socket-ro", "--socket-mode", "0660", "--socket-ro-mode", "644"));
        Assert.Contains(vtep.Lines, line => line.Contains("-ro", StringComparison.Ordinal));
        Assert.Equal(Convert.ToInt32("660", 8), (int)File.GetUnixFileMode(up.Socket));
        Assert.Equal(Convert.ToInt32("644", 8), (int)File.GetUnixFileMode(up.Socket + "-ro"));
        using var api = new ApiCaller(up.Socket + "-ro");
        foreach (var path in (string[])["v1/stats", "v1/segments/vx0/fdb", "v1/segments/vx0/remotes", "v1/segments/vx0/neighbours", "openapi/v1.json"])
            await api.ExpectAsync(200, $"GET {path}");

        await api.ExpectAsync(200, "POST v1/explain", """{"dev":"vx0","mac":"02:00:00:00:00:02"}""");
        string[] refused =
        [
            "PUT v1/segments/vx0/fdb/02:00:00:00:00:02", "DELETE v1/segments/vx0/fdb/02:00:00:00:00:02", "POST v1/segments/vx0/fdb/add", "POST v1/segments/vx0/fdb/flush",
            "PUT v1/segments/vx0/remotes", "PUT v1/segments/vx0/remotes/192.0.2.2", "PUT v1/segments/vx0/neighbours/10.0.0.1", "DELETE v1/capture", "GET v1/capture?dev=any",
            "POST v1/stats", "PATCH v1/segments/vx0", "OPTIONS v1/stats", "POST v1/Explain/x", "BREW /",
        ];
        foreach (var request in refused) Assert.Equal("urn:sleeve:problem:read-only", (await api.ExpectAsync(403, request, "{}")).Problem);
        Assert.Equal("[]", (await api.ExpectAsync(200, "GET v1/segments/vx0/fdb")).Text);
        var (events, response) = await api.OpenAsync("v1/events");
        Assert.Contains("listening", await events.ReadLineAsync(), StringComparison.Ordinal);
        response.Dispose();
        Assert.Equal("sleeve fdb add: PUT", Outcome.Of($"fdb add 02:00:00:00:00:02 dev vx0 dst 192.0.2.2 --socket {up.Socket}-ro").Errors.Replace("POST", "PUT", StringComparison.Ordinal)[..19]);
        Assert.Equal(0, vtep.Stop().Code);
        Assert.Empty(Directory.GetFileSystemEntries(up.Folder));
    }

    [SkippableFact]
    public void A_group_gets_the_socket()
    {
        Skip.IfNot(Environment.UserName == "root", "needs to be root, to give a file to a group");
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--socket-group", "daemon", "--socket-mode", "0660"));
        Assert.Equal("0:1 660", up.Network.Run("stat", "-c", "%u:%g %a", up.Socket).Trim());
        Assert.Equal(0, vtep.Stop().Code);
        using var none = RunningVtep.Begin(up.Network, up.Words("vx0", "--socket-group", "sleeve-none"));
        Assert.Equal("sleeve up: --socket-group sleeve-none: there is no such group (groupadd --system sleeve-none makes it)", none.End().ErrorLines[^1]);
        Assert.Empty(Directory.GetFileSystemEntries(up.Folder));
    }

    [SkippableFact]
    public async Task Over_TCP_a_client_needs_a_certificate_of_the_authority()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var files = MakeCertificates();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", Tls(files)));
        using (var api = CallerOf(up, files, "client")) await api.ExpectAsync(204, "PUT v1/segments/vx0/fdb/02:00:00:00:00:05", "{\"dst\":\"192.0.2.2\"}");
        // The page is not for everybody who has a certificate.
        using (var api = CallerOf(up, files, "client")) await api.ExpectAsync(404, "GET /");
        foreach (var stranger in (string?[])[null, "stranger", "old", "server"])
        {
            using var api = CallerOf(up, files, stranger);
            await Assert.ThrowsAsync<HttpRequestException>(() => api.SendAsync("GET v1/stats"));
        }

        // What is no TLS gets no answer.
        using var socket = Connect(up);
        socket.Send("GET /v1/stats HTTP/1.1\r\nHost: x\r\n\r\n"u8);
        socket.ReceiveTimeout = 30_000;
        var answer = new byte[100];
        Assert.DoesNotContain("HTTP", System.Text.Encoding.ASCII.GetString(answer, 0, TryReceive(socket, answer)), StringComparison.Ordinal);
        foreach (var old in new[] { SslProtocols.Tls12, SslProtocols.Tls13 })
        {
            using var api = CallerOf(up, files, "client", old);
            await api.ExpectAsync(200, "GET v1/stats");
        }

#pragma warning disable CA5397, SYSLIB0039, CS0618 // that they are refused is what is tested
        using var ancient = CallerOf(up, files, "client", SslProtocols.Tls11);
#pragma warning restore CA5397, SYSLIB0039, CS0618
        await Assert.ThrowsAsync<HttpRequestException>(() => ancient.SendAsync("GET v1/stats"));
    }

    [SkippableFact]
    public void The_command_line_is_a_client_over_TCP_too()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var files = MakeCertificates();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", Tls(files)));
        Assert.Equal((0, ""), Run(up, files, "client", "fdb add 02:00:00:00:00:05 dev vx0 dst 192.0.2.2 --socket https://127.0.0.1:4433"));
        Assert.Equal((0, ""), Run(up, files, "client", "fdb show dev vx0", ("SLEEVE_API", "https://127.0.0.1:4433")));
        var (code, error) = Run(up, files, "stranger", "fdb show dev vx0 --socket https://127.0.0.1:4433");
        Assert.Equal(1, code);
        Assert.StartsWith("sleeve fdb show: https://127.0.0.1:4433", error, StringComparison.Ordinal);
        (code, error) = Run(up, files, "client", "fdb show dev vx0 --socket https://127.0.0.1:4434");
        Assert.Equal((1, "sleeve fdb show: https://127.0.0.1:4434 cannot be reached: Connection refused\n"), (code, error));
        (code, error) = Run(up, files, "none", "fdb show dev vx0 --socket https://127.0.0.1:4433");
        Assert.Equal(1, code);
        Assert.StartsWith("sleeve fdb show: SLEEVE_API_CERT ", error, StringComparison.Ordinal);
        (code, error) = Run(up, files, "client", "fdb show dev vx0 --socket https://127.0.0.1:4433/v1");
        Assert.Equal((2, "sleeve fdb show: --socket https://127.0.0.1:4433/v1: must be a path of 1 to 107 bytes, or https://HOST:PORT\n"), (code, error));
    }

    [SkippableFact]
    public async Task A_certificate_that_was_renewed_is_used_and_a_broken_one_is_not()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var files = MakeCertificates();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", Tls(files)));
        Assert.Equal("CN=server", SubjectOf(up, files));
        files.Add("server2", "ca", "server");
        File.Copy(files["server2.crt"], files["server.crt"], overwrite: true);
        File.Copy(files["server2.key"], files["server.key"], overwrite: true);
        Eventually.Holds(() => SubjectOf(up, files) == "CN=server2");
        File.WriteAllText(files["server.crt"], "broken");
        Eventually.Holds(() =>
        {
            Assert.Equal("CN=server2", SubjectOf(up, files));
            return vtep.Lines.Any(line => line.Contains("the certificate in use stays", StringComparison.Ordinal));
        });
        using var api = CallerOf(up, files, "client");
        await api.ExpectAsync(200, "GET v1/stats");
    }

    [SkippableTheory]
    [InlineData("server.crt", "nothing here", "must have a PEM certificate in it (-----BEGIN CERTIFICATE-----)")]
    [InlineData("server.key", "nothing here", "must be the PEM key, not encrypted, of the first certificate in")]
    [InlineData("ca.crt", null, "cannot be read: ")]
    public void A_file_that_is_none_is_named_and_leaves_no_trace(string file, string? content, string reason)
    {
        using var up = UpNetwork.CreateOrSkip();
        using var files = MakeCertificates();
        if (content is null) File.Delete(files[file]);
        else File.WriteAllText(files[file], content);
        using var vtep = RunningVtep.Begin(up.Network, up.Words("vx0", Tls(files)));
        var outcome = vtep.End();
        Assert.Equal(1, outcome.Code);
        Assert.Contains(files[file], outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Contains(reason, outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(up.Folder));
    }

    [Theory]
    [InlineData("--api 192.0.2.1:4433", "--api-cert: missing; it must be a file: --api, --api-cert, --api-key and --api-client-ca go together, given is --api")]
    [InlineData("--api-key k --api-cert c --api-client-ca a", "--api: missing; it must be an IP address and a port, such as 192.0.2.1:4433 or [2001:db8::1]:4433: --api, --api-cert")]
    [InlineData("--api 192.0.2.1 --api-key k --api-cert c --api-client-ca a", "--api 192.0.2.1: must be an IP address and a port")]
    [InlineData("--api host:1 --api-key k --api-cert c --api-client-ca a", "--api host:1: must be an IP address and a port")]
    [InlineData("--status-page", "--status-page: needs --api; on the unix sockets it is there anyway")]
    [InlineData("--socket-ro-mode 0666", "--socket-ro-mode: needs --socket-ro")]
    [InlineData("--socket-mode 0777", "--socket-mode 0777: must be three octal digits of read and write bits, such as 0660")]
    [InlineData("--socket-mode 060", "--socket-mode 060: must be three octal digits")]
    [InlineData("--socket-mode 1660", "--socket-mode 1660: must be three octal digits")]
    public void What_does_not_go_together_is_refused(string words, string error)
    {
        var outcome = Outcome.Of($"up vx0 --vni 1 --local 192.0.2.1 {words}");
        Assert.Equal(2, outcome.Code);
        Assert.Contains(outcome.ErrorLines, line => line.StartsWith($"sleeve up: {error}", StringComparison.Ordinal));
    }

    private static Certificates MakeCertificates()
    {
        var files = new Certificates();
        files.AddAuthority("ca");
        files.AddAuthority("other");
        files.Add("server", "ca", "server");
        files.Add("client", "ca", "client");
        files.Add("old", "ca", "client", isExpired: true);
        files.Add("stranger", "other", "client");
        return files;
    }

    private static string[] Tls(Certificates files) =>
        ["--api", "127.0.0.1:4433", "--api-cert", files["server.crt"], "--api-key", files["server.key"], "--api-client-ca", files["ca.crt"]];

    private static Socket Connect(UpNetwork up)
    {
        var socket = up.Network.Namespace.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        socket.Connect(IPAddress.Loopback, 4433);
        return socket;
    }

    private static int TryReceive(Socket socket, byte[] answer)
    {
        try
        {
            return socket.Receive(answer);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private static ApiCaller CallerOf(UpNetwork up, Certificates files, string? client, SslProtocols protocols = SslProtocols.None)
    {
        var tls = new SslClientAuthenticationOptions { EnabledSslProtocols = protocols, CertificateChainPolicy = Trust(files) };
        if (client is not null)
        {
            using var own = X509Certificate2.CreateFromPemFile(files[$"{client}.crt"], files[$"{client}.key"]);
            tls.ClientCertificateContext = SslStreamCertificateContext.Create(X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null), null, offline: true);
        }

        return new ApiCaller(new SocketsHttpHandler { UseProxy = false, SslOptions = tls, ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(new NetworkStream(Connect(up), true)) }, Url);
    }

    private static X509ChainPolicy Trust(Certificates files)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(files["ca.crt"]);
        return policy;
    }

    private static string SubjectOf(UpNetwork up, Certificates files)
    {
        using var stream = new SslStream(new NetworkStream(Connect(up), ownsSocket: true));
        stream.AuthenticateAsClient(new SslClientAuthenticationOptions { TargetHost = "127.0.0.1", CertificateChainPolicy = Trust(files) });
        return stream.RemoteCertificate!.Subject;
    }

    // In the namespace, where the API is.
    private static (int Code, string Error) Run(UpNetwork up, Certificates files, string client, string words, params (string Name, string Value)[] more) => up.Network.Namespace.Run(() =>
    {
        string[] all = [.. RunningVtep.Executable, .. words.Split(' ')];
        var start = new ProcessStartInfo(all[0], all[1..]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["SLEEVE_API_CERT"] = files[$"{client}.crt"];
        start.Environment["SLEEVE_API_KEY"] = files[$"{client}.key"];
        start.Environment["SLEEVE_API_CACERT"] = files["ca.crt"];
        foreach (var (name, value) in more) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error);
    });
}
