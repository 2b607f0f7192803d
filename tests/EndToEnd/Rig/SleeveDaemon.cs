using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Sleeve.EndToEnd.Rig;

/// <summary>What the API of a daemon answered.</summary>
public sealed record ApiAnswer(HttpStatusCode Status, string Body, string? Unsaved)
{
    /// <summary>Done, and not only asked for.</summary>
    public bool IsDone => (int)Status is >= 200 and < 300;

    /// <summary>The body; throws if it was not done.</summary>
    public string Ok() => IsDone ? Body : throw new CommandFailedException($"{(int)Status}: {Body}");
}

/// <summary>
/// A `sleeve daemon` on a host of the lab, with a configuration file and a folder for its state; started, killed and started again. With the lab it is
/// ended, and what it leaves is purged.
/// </summary>
public sealed class SleeveDaemon : IDisposable
{
    /// <summary>Where its commands come in.</summary>
    public const string Socket = "/run/sleeve/sleeve.sock";

    // On a machine that does other things too.
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    private readonly HttpClient _client;
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-daemon-").FullName;

    private SleeveDaemon(Host host, bool isMember)
    {
        Host = host;
        StateFolder = Path.Combine(_folder, "state");
        SocketPath = isMember ? Path.Combine(_folder, "run", "sleeve.sock") : Socket;
        _client = new HttpClient(new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.Zero, ConnectCallback = ConnectAsync }) { Timeout = TimeSpan.FromSeconds(60) };
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Where its commands come in: of its own if it is one of several on this machine.</summary>
    public string SocketPath { get; }

    private bool IsMember => SocketPath != Socket;

    /// <summary>Where it runs.</summary>
    public Host Host { get; }

    /// <summary>Its configuration file.</summary>
    public string ConfigPath => Path.Combine(_folder, "sleeve.yaml");

    /// <summary>Its state.</summary>
    public string StateFolder { get; set; }

    /// <summary>Words before the program's, such as `prlimit --nofile=64`.</summary>
    public IReadOnlyList<string> Wrapper { get; set; } = [];

    /// <summary>The program as it runs, or ran last.</summary>
    public BackgroundProcess Process { get; private set; } = null!;

    /// <summary>Writes a configuration file for a daemon of a host, which is not started yet.</summary>
    /// <param name="host">Where; its underlay address is the local one.</param>
    /// <param name="segments">The segments, each a mapping such as `{ifname: vx0, vni: 100}`.</param>
    public static SleeveDaemon Make(Host host, params string[] segments)
    {
        Requirements.Tap();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "about sleeve daemon");
        var daemon = host.Lab.Own(new SleeveDaemon(host, isMember: false));
        daemon.Write(segments);
        return daemon;
    }

    /// <summary>One of several daemons on this machine, each with files and a socket of its own and the name of its host; not started yet.</summary>
    /// <param name="host">Where; its underlay address is the local one.</param>
    /// <param name="more">More of the configuration file, in whole lines.</param>
    public static SleeveDaemon MakeMember(Host host, string more = "")
    {
        Requirements.Tap();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "about sleeve daemon");
        var daemon = host.Lab.Own(new SleeveDaemon(host, isMember: true));
        Directory.CreateDirectory(Path.GetDirectoryName(daemon.SocketPath)!);
        daemon.WriteText($"name: {host.Name}\nlocal: {host.Address}\nworkers: {SleeveProgram.Workers}\n{more}");
        return daemon;
    }

    /// <summary>Writes the configuration file anew; nobody is told.</summary>
    public void Write(params string[] segments) => WriteText($"local: {Host.Address}\nworkers: {SleeveProgram.Workers}\nsegments:{(segments.Length == 0 ? " []" : "")}\n{string.Concat(segments.Select(static each => $"- {each}\n"))}");

    /// <summary>Writes any text to it.</summary>
    public void WriteText(string text) => File.WriteAllText(ConfigPath, text);

    /// <summary>Starts it and waits until it says that it is ready.</summary>
    public SleeveDaemon Start()
    {
        Launch().WaitForText("\nsleeve daemon: ready", StartPatience);
        return this;
    }

    /// <summary>Starts it.</summary>
    public BackgroundProcess Launch()
    {
        Process?.Dispose();
        string[] words = [.. Wrapper, .. SleeveProgram.Words, "daemon", "--config", ConfigPath, "--state", StateFolder, .. IsMember ? new[] { "--socket", SocketPath } : []];
        Host.Lab.Log($"[{Host.Name}] {string.Join(' ', words)} &");
        return Process = new BackgroundProcess(["ip", "netns", "exec", Host.Namespace, .. words]);
    }

    /// <summary>Ends it at once.</summary>
    public void Kill()
    {
        Process.Signal(LibC.SIGKILL);
        Assert.True(Process.WaitForExit(StartPatience));
    }

    /// <summary>Ends it as a service manager would.</summary>
    public void Stop()
    {
        Process.Signal();
        if (!Process.WaitForExit(StartPatience)) throw new TimeoutException($"SIGTERM did not end it: {Process.Error}");
        Host.Lab.Log($"[{Host.Name}] sleeve daemon said: {Process.Error.TrimEnd()}");
        if (Process.ExitCode != 0) throw new CommandFailedException($"SIGTERM ended it with {Process.ExitCode}: {Process.Error}");
    }

    /// <summary>Runs a command of `sleeve` on its host.</summary>
    public CommandResult Run(string line, TimeSpan? timeout = null) =>
        IsMember ? Host.Try(["env", $"SLEEVE_API={SocketPath}", .. SleeveProgram.Words, .. Command.Split(line)], timeout) : SleeveProgram.Run(Host, line, timeout);

    /// <summary>Waits until it has said something.</summary>
    public void WaitForText(string text) => Process.WaitForText(text, StartPatience);

    /// <summary>Asks its API.</summary>
    public ApiAnswer Send(HttpMethod method, string path, string? json = null)
    {
        using var request = new HttpRequestMessage(method, new Uri($"http://localhost/v1/{path}"));
        if (json is not null) request.Content = new StringContent(json, Encoding.UTF8, "application/json");
        using var response = _client.Send(request);
        using var reader = new StreamReader(response.Content.ReadAsStream());
        return new ApiAnswer(response.StatusCode, reader.ReadToEnd(), response.Headers.TryGetValues("Sleeve-Unsaved", out var values) ? string.Concat(values) : null);
    }

    /// <summary>PUT of a segment, of an FDB entry, of a neighbour.</summary>
    public ApiAnswer Put(string path, string json) => Send(HttpMethod.Put, path, json);

    /// <summary>DELETE.</summary>
    public ApiAnswer Delete(string path) => Send(HttpMethod.Delete, path);

    /// <summary>What a GET answers.</summary>
    public JsonElement Get(string path)
    {
        using var document = JsonDocument.Parse(Send(HttpMethod.Get, path).Ok());
        return document.RootElement.Clone();
    }

    /// <summary>The names of its segments, those that cannot be had too.</summary>
    public IReadOnlyList<string> Segments => [.. Get("segments").EnumerateArray().Select(static each => each.GetProperty("ifname").GetString()!)];

    /// <summary>"running", or "failed: " and why.</summary>
    public string StateOf(string segment)
    {
        var shown = Get($"segments/{segment}");
        return shown.GetProperty("state").GetString() + (shown.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String ? $": {error.GetString()}" : "");
    }

    /// <summary>The FDB of a segment.</summary>
    public IReadOnlyList<FdbEntry> Fdb(string segment) => FdbEntry.Read(Send(HttpMethod.Get, $"segments/{segment}/fdb").Ok());

    /// <summary>Its neighbours, ADDRESS MAC, in their order.</summary>
    public IReadOnlyList<string> Neighbours(string segment) =>
        [.. Get($"segments/{segment}/neighbours").EnumerateArray().Where(static each => !each.TryGetProperty("learned", out var learned) || learned.ValueKind == JsonValueKind.Null)
            .Select(static each => $"{each.GetProperty("dst").GetString()} {each.GetProperty("lladdr").GetString()}").Order(StringComparer.Ordinal)];

    /// <summary>A mapping for the configuration file: segment N has VNI 100+N, the TAP vxN with 10.N.0.1/24, and floods to one VTEP.</summary>
    public static string Segment(int number, IPAddress remote, string more = "") =>
        string.Create(CultureInfo.InvariantCulture, $"{{ifname: vx{number}, vni: {100 + number}, remote: [{remote}], address: 10.{number}.0.1/24{(more == "" ? "" : $", {more}")}}}");

    /// <summary>The kernel's end of segment N on another host: 10.N.0.2/24.</summary>
    public static Vtep Peer(Host host, int number, IPAddress remote) => Vtep.Start(
        VtepKind.Kernel, host, new VtepOptions { Vni = 100 + number, Remotes = [remote], Addresses = [string.Create(CultureInfo.InvariantCulture, $"10.{number}.0.2/24")] });

    /// <summary>The address that <see cref="Peer"/> has.</summary>
    public static IPAddress PeerAddress(int number) => new([10, (byte)number, 0, 2]);

    /// <inheritdoc/>
    public void Dispose()
    {
        _client.Dispose();
        using var last = Process;
        var ends = last is null or { HasExited: true };
        if (!ends)
        {
            last!.Signal();
            ends = last.WaitForExit(StartPatience);
            Host.Lab.Log($"[{Host.Name}] sleeve daemon said: {last.Error.TrimEnd()}");
        }

        Directory.Delete(_folder, recursive: true);
        if (!ends) throw new CommandFailedException($"SIGTERM did not end the daemon: {last!.Error}");
    }
}
