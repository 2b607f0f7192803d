using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Networks;

/// <summary>
/// What a network is wired to: a network namespace, found by what an operator calls it. A path (<c>/proc/PID/ns/net</c>), a name of <c>ip netns</c>, a process id, or the name or id of a
/// container of docker or podman, whose program is asked for its process; <c>netns:</c>, <c>pid:</c>, <c>docker:</c> or <c>podman:</c> before it leave no doubt.
/// </summary>
internal sealed class WireTarget : IDisposable
{
    /// <summary>What a target may be, for messages.</summary>
    public const string Allowed = "a name of ip netns, a process id, a path such as /proc/PID/ns/net, the name of a running container of docker or podman, tap:IF for a TAP, or veth:IF for a wire that another program takes";

    /// <summary>Characters of a target, at most.</summary>
    public const int MaxLength = 255;

    private const int ReadableIdLength = 48;
    private const int EngineMilliseconds = 3000;

    private static readonly string[] Engines = ["docker", "podman"];
    private static readonly string[] EngineFolders = ["/usr/bin", "/usr/local/bin", "/bin", "/snap/bin"];

    private WireTarget(NetworkNamespace @namespace, string text)
    {
        Namespace = @namespace;
        Text = text;
        Identity = @namespace.Run(static () => File.ResolveLinkTarget("/proc/thread-self/ns/net", returnFinalTarget: false)?.Name ?? "");
    }

    /// <summary>The namespace; as long as this is not disposed of.</summary>
    public NetworkNamespace Namespace { get; }

    /// <summary>As it was named.</summary>
    public string Text { get; }

    /// <summary>Which namespace it is, such as "net:[4026532008]": no other has it as long as this one lives, until the host is restarted.</summary>
    public string Identity { get; }

    /// <summary>Finds a target.</summary>
    /// <param name="text">What an operator calls it.</param>
    /// <param name="cancellation">Ends the wait for docker or podman.</param>
    /// <exception cref="HostException">There is none of that name, it does not run, or it may not be entered.</exception>
    public static async Task<WireTarget> OpenAsync(string text, CancellationToken cancellation)
    {
        if (text.Length is 0 or > MaxLength || text.Any(char.IsControl)) throw new HostException($"target: must be {Allowed}, of at most {MaxLength} characters");
        if (MachineTap.NameOf(text) is not null || HandedVeth.NameOf(text) is not null) throw new HostException($"target {text}: has no namespace");
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var (kind, name) = colon > 0 && text[..colon] is "netns" or "pid" or "docker" or "podman" ? (text[..colon], text[(colon + 1)..]) : ("", text);
        if (name.Length == 0) throw new HostException($"target {text}: must be {Allowed}");
        var process = kind switch
        {
            "docker" or "podman" => await FindProcessAsync(kind, name, cancellation) ?? throw new HostException($"target {text}: there is no program {kind} on this host"),
            "pid" => ReadProcess(text, name),
            _ => (int?)null,
        };
        if (process is null && kind == "" && !IsNamespace(name)) process = await FindContainerAsync(name, cancellation);
        return Open(text, process, name);
    }

    private static WireTarget Open(string text, int? process, string name)
    {
        NetworkNamespace? opened = null;
        try
        {
            opened = process is { } id ? NetworkNamespace.OpenProcess(id) : NetworkNamespace.Open(name);
            return new WireTarget(opened, text);
        }
        catch (NetworkNamespaceException failure)
        {
            opened?.Dispose();
            throw new HostException($"target {text}: {failure.Message}", failure.Errno);
        }
    }

    private static int ReadProcess(string text, string name) =>
        int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : throw new HostException($"target {text}: pid must be a number");

    private static bool IsNamespace(string name) =>
        name.Contains('/', StringComparison.Ordinal) || NetworkNamespace.IsProcess(name) || File.Exists($"/run/netns/{name}") || File.Exists($"/var/run/netns/{name}");

    private static async Task<int> FindContainerAsync(string name, CancellationToken cancellation)
    {
        var asked = new List<string>();
        string? refusal = null;
        foreach (var engine in Engines)
        {
            try
            {
                if (await FindProcessAsync(engine, name, cancellation) is { } process) return process;
            }
            catch (HostException failure)
            {
                // The other may have it.
                asked.Add(engine);
                refusal ??= failure.Message;
            }
        }

        throw new HostException(asked.Count == 1 ? refusal!
            : $"target {name}: there is no such network namespace (ip netns), process{(asked.Count == 0 ? "" : $" or container of {string.Join(" or ", asked)}")}; it must be {Allowed}");
    }

    // Null if there is no such program.
    private static async Task<int?> FindProcessAsync(string engine, string name, CancellationToken cancellation)
    {
        if (EngineFolders.Select(folder => $"{folder}/{engine}").FirstOrDefault(File.Exists) is not { } program) return null;
        if (name.StartsWith('-')) throw new HostException($"target {name}: is no container's name");
        var start = new ProcessStartInfo(program, ["inspect", "--type", "container", "--format", "{{.State.Pid}}", name]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(EngineMilliseconds);
            using var running = Process.Start(start)!;
            try
            {
                var output = running.StandardOutput.ReadToEndAsync(patience.Token);
                var errors = running.StandardError.ReadToEndAsync(patience.Token);
                await running.WaitForExitAsync(patience.Token);
                _ = await errors;
                if (running.ExitCode != 0 || !int.TryParse((await output).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var process))
                    throw new HostException($"target {name}: {engine} has no such container");
                return process > 0 ? process : throw new HostException($"target {name}: the container does not run: {engine} start {name}");
            }
            catch (OperationCanceledException)
            {
                running.Kill();
                throw;
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HostException($"target {name}: {engine} does not answer within {EngineMilliseconds} ms; name the container's process instead");
        }
        catch (Win32Exception failure)
        {
            throw new HostException($"target {name}: {program} cannot be started: {failure.Message}");
        }
    }

    /// <summary>
    /// The id of an endpoint that is not given one: what it is attached to, as far as that can be a name, so that who attaches or detaches it twice means the same. The id itself gives itself.
    /// </summary>
    public static string IdOf(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var name = colon > 0 && text[..colon] is "netns" or "docker" or "podman" or "tap" or "veth" ? text[(colon + 1)..] : text;
        if (name.StartsWith("/proc/", StringComparison.Ordinal) && name.Split('/') is [_, _, var process, "ns", "net"]) name = $"pid-{process}";
        else if (name.Length > 0 && name.All(char.IsAsciiDigit)) name = $"pid-{name}";
        else if (name.StartsWith("pid:", StringComparison.Ordinal)) name = $"pid-{name[4..]}";
        if (Names.IsName(name)) return name;
        var readable = new string([.. name.Where(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.').SkipWhile(static c => !char.IsAsciiLetterOrDigit(c)).Take(ReadableIdLength)]);
        return $"{(readable.Length == 0 ? "x" : readable)}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 4))}";
    }

    /// <summary>The name that an endpoint gets if none is said: that of its container or namespace; "" for a process or a path.</summary>
    public static string NameOf(string text) => IdOf(text) is var id && !id.StartsWith("pid-", StringComparison.Ordinal) && !text.Contains('/', StringComparison.Ordinal) && text.EndsWith(id, StringComparison.Ordinal) ? id : "";

    /// <inheritdoc/>
    public void Dispose() => Namespace.Dispose();
}
