using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Sleeve.Control.Tests.Store;

/// <summary>A real etcd of one or more members on loopback, in a folder of its own.</summary>
internal sealed class RealEtcd : IAsyncDisposable
{
    private const string Program = "etcd";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-etcd-").FullName;
    private readonly Member[] _members;
    private readonly HttpClient _http;
    private readonly string[] _more;

    private RealEtcd(int members, string scheme, HttpMessageHandler? handler, string[] more)
    {
        _more = more;
        _members = [.. Enumerable.Range(0, members).Select(i => new Member($"m{i}", new Uri($"{scheme}://127.0.0.1:{FreePort()}/"), new Uri($"http://127.0.0.1:{FreePort()}/")))];
        _http = new HttpClient(handler ?? new SocketsHttpHandler()) { Timeout = TimeSpan.FromSeconds(5) };
    }

    public static bool IsHere { get; } = Find(Program);

    public Uri[] Endpoints => [.. _members.Select(static member => member.Client)];

    /// <summary>Skips the test unless etcd is here.</summary>
    public static void Require() => Skip.IfNot(IsHere, "needs etcd (Debian: apt-get install etcd-server)");

    internal static bool Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, program)));

    public static async Task<RealEtcd> StartAsync(int members, string scheme = "http", HttpMessageHandler? handler = null, params string[] more)
    {
        Require();
        var etcd = new RealEtcd(members, scheme, handler, more);
        try
        {
            for (var i = 0; i < members; i++) etcd.Start(i);
            await etcd.WaitForLeaderAsync();
            return etcd;
        }
        catch
        {
            await etcd.DisposeAsync();
            throw;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Starts a member, again if it was killed.</summary>
    public void Start(int index)
    {
        var member = _members[index];
        static string Bare(Uri uri) => uri.GetLeftPart(UriPartial.Authority);
        var start = new ProcessStartInfo(Program) { RedirectStandardError = true, RedirectStandardOutput = true };
        string[] words =
        [
            "--name", member.Name, "--data-dir", Path.Combine(_folder, member.Name), "--listen-client-urls", Bare(member.Client), "--advertise-client-urls", Bare(member.Client),
            "--listen-peer-urls", Bare(member.Peer), "--initial-advertise-peer-urls", Bare(member.Peer), "--initial-cluster", string.Join(',', _members.Select(static each => $"{each.Name}={Bare(each.Peer)}")),
            "--initial-cluster-token", Path.GetFileName(_folder), "--logger", "zap", "--log-level", "error", .. _more,
        ];
        foreach (var word in words) start.ArgumentList.Add(word);
        start.Environment["ETCD_UNSUPPORTED_ARCH"] = "arm64";
        var process = Process.Start(start)!;
        process.ErrorDataReceived += (_, said) => member.Said(said.Data);
        process.OutputDataReceived += (_, said) => member.Said(said.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        member.Process = process;
    }

    /// <summary>Kills a member as kill -9 does.</summary>
    public void Kill(int index)
    {
        var process = _members[index].Process!;
        process.Kill();
        process.WaitForExit();
        process.Dispose();
        _members[index].Process = null;
    }

    /// <summary>Sends a member a signal, such as STOP.</summary>
    public void Signal(int index, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_members[index].Process!.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Which member leads.</summary>
    public async Task<int> WaitForLeaderAsync(int except = -1)
    {
        var started = Stopwatch.StartNew();
        while (true)
        {
            for (var i = 0; i < _members.Length; i++)
            {
                if (_members[i].Process is null || i == except) continue;
                try
                {
                    var status = await PostAsync("/v3/maintenance/status", "{}", i);
                    if (status.TryGetProperty("leader", out var leader) && leader.GetString() == status.GetProperty("header").GetProperty("member_id").GetString()) return i;
                }
                catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException or JsonException)
                {
                    // Not yet.
                }
            }

            if (started.Elapsed > Patience) throw new TimeoutException($"etcd has no leader: {string.Join('\n', _members.Select(static member => member.Text))}");
            await Task.Delay(50);
        }
    }

    public Task CompactAsync(long revision) => PostAsync("/v3/kv/compaction", $$"""{"revision":"{{revision}}"}""");

    /// <summary>Asks a member, past the store that is tested.</summary>
    public async Task<JsonElement> PostAsync(string path, string json, int member = 0)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var response = await _http.PostAsync(new Uri(_members[member].Client, path), content);
        var text = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode) throw new HttpRequestException($"{path}: {text}");
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    public async ValueTask DisposeAsync()
    {
        await Task.Yield();
        _http.Dispose();
        for (var i = 0; i < _members.Length; i++)
            if (_members[i].Process is not null) Kill(i);
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class Member(string name, Uri client, Uri peer)
    {
        private readonly StringBuilder _text = new();

        public string Name { get; } = name;

        public Uri Client { get; } = client;

        public Uri Peer { get; } = peer;

        public Process? Process { get; set; }

        public string Text
        {
            get
            {
                lock (_text) return _text.ToString();
            }
        }

        public void Said(string? line)
        {
            lock (_text) _text.AppendLine(line);
        }
    }
}
