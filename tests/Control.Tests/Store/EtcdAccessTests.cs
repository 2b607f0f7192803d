using System.Diagnostics;
using System.Net.Security;
using System.Text.RegularExpressions;
using Sleeve.Control.Api;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Api;

namespace Sleeve.Control.Tests.Store;

/// <summary>A real etcd with TLS, and with users and roles as docs/store.md sets them up.</summary>
public sealed partial class EtcdAccessTests : IDisposable
{
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromSeconds(100));
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-roles-").FullName;

    private CancellationToken Soon => _patience.Token;

    // The commands of the documentation, as they stand there.
    [GeneratedRegex("<!-- roles -->\\s*```sh\\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Roles { get; }

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private Task<StoreOutcome> PutAsync(EtcdStore store, string key, string? value) => store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value)]), Soon);

    [SkippableFact]
    public async Task Over_TLS_both_sides_show_who_they_are()
    {
        RealEtcd.Require();
        using var certificates = new Certificates();
        certificates.AddAuthority("ca");
        certificates.AddAuthority("stranger");
        // etcd's gateway connects to etcd itself with the server's certificate.
        certificates.Add("server", "ca", "server client");
        certificates.Add("client", "ca", "client");
        certificates.Add("other", "stranger", "client");
        SslClientAuthenticationOptions Tls(string client, string authority) =>
            ApiTls.ForClient(certificates[$"{client}.crt"], certificates[$"{client}.key"], certificates[$"{authority}.crt"], ("cert", "key", "ca"));
        using var handler = new SocketsHttpHandler { SslOptions = Tls("client", "ca") };
        await using var etcd = await RealEtcd.StartAsync(
            1, "https", handler, "--cert-file", certificates["server.crt"], "--key-file", certificates["server.key"], "--client-cert-auth", "--trusted-ca-file", certificates["ca.crt"]);
        var options = new EtcdStoreOptions(etcd.Endpoints) { Root = "/sleeve/1/", Tls = Tls("client", "ca") };
        await using var store = new EtcdStore(options);
        var put = await PutAsync(store, "a", "1");
        await foreach (var batch in store.WatchAsync("", put.Revision, Soon))
        {
            Assert.Equal("1", batch.Changes[0].Entry!.Value);
            break;
        }

        foreach (var (client, authority) in new[] { ("other", "ca"), ("client", "stranger") })
        {
            await using var wrong = new EtcdStore(options with { Tls = Tls(client, authority) });
            await Assert.ThrowsAsync<StoreUnavailableException>(() => wrong.RangeAsync("", Soon));
        }

        await using var bare = new EtcdStore(options with { Tls = null, Endpoints = [new UriBuilder(etcd.Endpoints[0]) { Scheme = "http" }.Uri] });
        await Assert.ThrowsAsync<StoreUnavailableException>(() => bare.RangeAsync("", Soon));
    }

    private async Task RunAsync(string script, Uri endpoint)
    {
        var start = new ProcessStartInfo("bash") { RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = _folder };
        foreach (var word in (string[])["-euo", "pipefail", "-c", script]) start.ArgumentList.Add(word);
        start.Environment["ETCDCTL_API"] = "3";
        start.Environment["ETCDCTL_ENDPOINTS"] = endpoint.Authority;
        using var process = Process.Start(start)!;
        var said = process.StandardError.ReadToEndAsync(Soon);
        await process.StandardOutput.ReadToEndAsync(Soon);
        await process.WaitForExitAsync(Soon);
        Assert.True(process.ExitCode == 0, await said);
    }

    private static string Documentation()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder)!;
        return Roles.Match(File.ReadAllText(Path.Combine(folder, "docs", "store.md"))).Groups[1].Value;
    }

    [SkippableFact]
    public async Task With_the_roles_of_the_documentation_a_host_writes_its_own_keys_only()
    {
        RealEtcd.Require();
        Skip.IfNot(RealEtcd.Find("etcdctl"), "needs etcdctl (Debian: apt-get install etcd-client)");
        await using var etcd = await RealEtcd.StartAsync(1, more: ["--bcrypt-cost", "4"]);
        foreach (var name in new[] { "root", "a", "b" }) await File.WriteAllTextAsync(Path.Combine(_folder, $"{name}.password"), $"secret-of-{name}\n", Soon);
        var script = Documentation();
        Assert.Contains("etcdctl auth enable", script, StringComparison.Ordinal);
        await RunAsync(script, etcd.Endpoints[0]);

        EtcdStore StoreOf(string? user, string password) =>
            new(new EtcdStoreOptions(etcd.Endpoints) { Root = "/sleeve/1/", User = user, PasswordFile = Path.Combine(_folder, $"{password}.password"), Timeout = TimeSpan.FromSeconds(20) });
        await using var a = StoreOf("sleeve-a", "a");
        await using var b = StoreOf("sleeve-b", "b");
        var lease = await a.GrantAsync(TimeSpan.FromSeconds(60), Soon);
        await a.CommitAsync(new StoreTransaction([], [new StoreWrite("alive/a", "", lease), new StoreWrite("peers/a", "{}"), new StoreWrite("hosts/a/networks/net", "{}")]), Soon);
        Assert.True(await a.KeepAliveAsync(lease, Soon));
        foreach (var key in new[] { "networks/net", "vnis/1", "addresses/net/10.0.0.1", "macs/net/02:00:00:00:00:01", "blocks/net/10.0.0.0_24", "audits/1" }) Assert.True((await PutAsync(b, key, "")).IsDone);
        foreach (var key in new[] { "alive/a", "peers/a", "peers/ab", "hosts/a/networks/net", "other" })
        {
            var refusal = await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(b, key, "x"));
            Assert.Contains("permission denied", refusal.Message, StringComparison.Ordinal);
            Assert.Contains("sleeve-b", refusal.Message, StringComparison.Ordinal);
        }

        await Assert.ThrowsAsync<StoreRefusedException>(() => b.RevokeAsync(lease, Soon));
        var slice = await b.RangeAsync("", Soon);
        Assert.Equal(9, slice.Entries.Count);
        await using var watch = b.WatchAsync("", slice.Revision, Soon).GetAsyncEnumerator(Soon);
        Assert.True(await watch.MoveNextAsync());

        // Outside of the root nobody may even read.
        await using var outside = new EtcdStore(new EtcdStoreOptions(etcd.Endpoints) { Root = "/other/", User = "sleeve-a", PasswordFile = Path.Combine(_folder, "a.password") });
        await Assert.ThrowsAsync<StoreRefusedException>(() => outside.RangeAsync("", Soon));
        await Assert.ThrowsAsync<StoreRefusedException>(async () =>
        {
            await foreach (var batch in outside.WatchAsync("", 1, Soon)) Assert.Fail($"{batch}");
        });
        await using var wrong = StoreOf("sleeve-a", "b");
        var no = await Assert.ThrowsAsync<StoreRefusedException>(() => wrong.RangeAsync("", Soon));
        Assert.DoesNotContain("secret", no.Message, StringComparison.Ordinal);
        await using var nobody = StoreOf(null, "a");
        await Assert.ThrowsAsync<StoreRefusedException>(() => nobody.RangeAsync("", Soon));
        await using var missing = StoreOf("sleeve-a", "missing");
        Assert.Contains("missing.password", (await Assert.ThrowsAsync<StoreRefusedException>(() => missing.RangeAsync("", Soon))).Message, StringComparison.Ordinal);

        // Tokens are in the memory of etcd: after a restart they count no more, and others are asked for without a word. Of a watch too.
        etcd.Kill(0);
        etcd.Start(0);
        for (var isDone = false; !isDone;)
        {
            try
            {
                isDone = (await PutAsync(a, "peers/a", "again")).IsDone;
            }
            catch (StoreUnavailableException)
            {
                await Task.Delay(100, Soon);
            }
        }

        await using var resumed = b.WatchAsync("", slice.Revision + 1, Soon).GetAsyncEnumerator(Soon);
        Assert.True(await resumed.MoveNextAsync());
        Assert.Equal("again", resumed.Current.Changes[^1].Entry!.Value);
    }
}
