using System.Collections.Concurrent;
using System.Text;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Docker;

/// <summary>
/// Names of containers. A driver is not told them, so Docker is asked who has an endpoint once its container joins. And Docker's own resolver knows the containers of its host alone: the container's resolv.conf gets
/// the server of the network before that (127.0.0.11), which refuses what it does not know, so that the next is asked; if the daemon is away, the port answers nothing and the next is asked too.
/// </summary>
/// <param name="cluster">The cluster at the moment.</param>
/// <param name="engine">This host's Docker.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class ContainerNames(Func<Cluster> cluster, DockerEngine engine, Action<string> say) : IDisposable
{
    private const string DockersOwn = "nameserver 127.0.0.11";
    private const string Keyword = "nameserver ";

    // glibc reads no more (resolv.conf(5)), and Docker's own must be among them.
    private const int MaxServers = 2;
    private const int MaxFileBytes = 64 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentDictionary<string, string> _files = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _writing = new(1);
    private string? _root;

    /// <summary>A container joined a network: gives its endpoint its names, and its resolv.conf the network's server.</summary>
    public async Task JoinedAsync(DockerNetwork network, string id, CancellationToken cancellation)
    {
        if (!engine.IsThere) return;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        try
        {
            var (container, name) = await FindAsync(network.Id, id, patience.Token);
            await RenameAsync(network.Network, id, name, cluster().Endpoints.Find(network.Network, id)?.Request.Aliases ?? [], patience.Token);
            await AddServersAsync(network.Network, id, container, patience.Token);
            // Only when the container is started Docker tells the rest.
            var known = await engine.ContainerAsync(container, patience.Token);
            var aliases = known?.NetworkSettings?.Networks?.Values.FirstOrDefault(each => IsOf(each.EndpointId, id))?.Aliases ?? [];
            // All tasks of a service have its name.
            string[] service = known?.Config?.Labels?.GetValueOrDefault(EngineContainerSettings.ServiceLabel) is { Length: > 0 } named ? [named, $"tasks.{named}"] : [];
            await RenameAsync(network.Network, id, name, [.. service.Concat(aliases).Where(alias => Names.IsName(alias) && alias != name && !container.StartsWith(alias, StringComparison.Ordinal)).Distinct().Take(RecordJson.MaxAliases)], patience.Token);
        }
        catch (OperationCanceledException)
        {
            // It was not started after all, or the daemon ends.
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException or UnauthorizedAccessException)
        {
            say($"warning: endpoint {id} of {network.Network}: its names do not resolve: {failure.Message}");
        }
    }

    /// <summary>A container left: its resolv.conf names the server no more.</summary>
    public async Task LeftAsync(DockerNetwork network, string id, CancellationToken cancellation)
    {
        if (!_files.TryRemove(EndpointKey(network.Network, id), out var path)) return;
        await _writing.WaitAsync(cancellation);
        try
        {
            var lines = (Read(path) ?? "").Split('\n').ToList();
            if (lines.IndexOf(MarkOf(network.Network)) is not (>= 0 and var at)) return;
            lines.RemoveRange(at, Math.Min(2, lines.Count - at));
            Write(path, string.Join('\n', lines));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // It went with its container.
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task<(string Container, string Name)> FindAsync(string networkId, string id, CancellationToken cancellation)
    {
        while (true)
        {
            foreach (var (container, member) in (await engine.NetworkAsync(networkId, cancellation))?.Containers ?? new Dictionary<string, EngineMember>())
                if (IsOf(member.EndpointId, id) && member.Name is { } name && !container.StartsWith("ep-", StringComparison.Ordinal)) return (container, name);
            await Task.Delay(Pace, cancellation);
        }
    }

    private static bool IsOf(string? endpointId, string id) => endpointId is not null && EndpointDriver.IdOf(endpointId) == id;

    private async Task RenameAsync(string network, string id, string name, IReadOnlyList<string> aliases, CancellationToken cancellation)
    {
        if (Names.IsName(name)) await cluster().Endpoints.RenameAsync(network, id, name, aliases, cancellation);
    }

    // dockerd writes the file anew while the container is being started: the line with its own resolver says that it has.
    private async Task AddServersAsync(string network, string id, string container, CancellationToken cancellation)
    {
        if (cluster().Parts is not { Names: { } names } parts || !parts.Local.Current.TryGetValue(network, out var local) || !container.All(char.IsAsciiHexDigit)) return;
        _root ??= await engine.RootAsync(cancellation);
        var path = Path.Combine(_root ?? "", "containers", container, "resolv.conf");
        if (!Path.IsPathFullyQualified(path) || !File.Exists(path)) throw new HostException($"there is no {path}; does the daemon see Docker's folder?");
        while (Read(path)?.Contains(DockersOwn, StringComparison.Ordinal) != true) await Task.Delay(Pace, cancellation);
        await _writing.WaitAsync(cancellation);
        try
        {
            var advice = ResolverAdvice.Of(local.Record, new NameOptions { Domain = names.Domain }, "", local.Gateways);
            if (Read(path) is not { } text) return;
            _files[EndpointKey(network, id)] = path;
            if (text.Split('\n').Contains(MarkOf(network))) return;
            var lines = text.Split('\n').ToList();
            var room = MaxServers - lines.Count(static line => line.StartsWith(Keyword, StringComparison.Ordinal) && !line.StartsWith(DockersOwn, StringComparison.Ordinal));
            var at = lines.FindIndex(static line => line.StartsWith(DockersOwn, StringComparison.Ordinal));
            if (room <= 0) return;
            lines.InsertRange(at, [MarkOf(network), $"{Keyword}{advice.Nameservers[0]}"]);
            Write(path, string.Join('\n', lines));
        }
        finally
        {
            _writing.Release();
        }
    }

    private static string EndpointKey(string network, string id) => $"{network}/{id}";

    // A line of its own, before that of the server: not every resolver takes a comment behind an address.
    private static string MarkOf(string network) => $"# sleeve: network {network}";

    private static string? Read(string path) => new FileInfo(path) is { Exists: true, Length: <= MaxFileBytes } ? File.ReadAllText(path) : null;

    // In place: the container has the file, not the name.
    private static void Write(string path, string text)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        var bytes = Encoding.UTF8.GetBytes(text);
        file.Write(bytes);
        file.SetLength(bytes.Length);
    }

    /// <inheritdoc/>
    public void Dispose() => _writing.Dispose();
}
