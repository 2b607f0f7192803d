using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Docker;

/// <summary>A pool as Docker's API shows it.</summary>
internal sealed record EnginePool
{
    /// <summary>ADDRESS/LENGTH.</summary>
    public string? Subnet { get; init; }

    /// <summary>The part that Docker chooses addresses of.</summary>
    [JsonPropertyName("IPRange")]
    public string? Range { get; init; }

    /// <summary>Its gateway.</summary>
    public string? Gateway { get; init; }
}

/// <summary>The IPAM of a network as Docker's API shows it.</summary>
internal sealed record EngineAddressing
{
    /// <summary>The IPAM driver.</summary>
    public string? Driver { get; init; }

    /// <summary>What was said with --ipam-opt.</summary>
    public IReadOnlyDictionary<string, string>? Options { get; init; }

    /// <summary>Its pools.</summary>
    public IReadOnlyList<EnginePool>? Config { get; init; }
}

/// <summary>A container in a network, as Docker's API shows it.</summary>
internal sealed record EngineMember
{
    /// <summary>The container's name.</summary>
    public string? Name { get; init; }

    /// <summary>Its endpoint.</summary>
    [JsonPropertyName("EndpointID")]
    public string? EndpointId { get; init; }
}

/// <summary>A network as Docker's API takes and shows it.</summary>
internal sealed record EngineNetwork
{
    /// <summary>Its name.</summary>
    public string? Name { get; init; }

    /// <summary>Its id; left out of what is made.</summary>
    public string? Id { get; init; }

    /// <summary>The network driver.</summary>
    public string? Driver { get; init; }

    /// <summary><see cref="Scope"/> of what swarm makes on its nodes.</summary>
    public const string SwarmScope = "swarm";

    /// <summary>Where it is one network; left out of what is made.</summary>
    public string? Scope { get; init; }

    /// <summary>Whether containers in it have no way out.</summary>
    public bool? Internal { get; init; }

    /// <summary>Refuse a second one of the name.</summary>
    public bool? CheckDuplicate { get; init; }

    /// <summary>Whether it has IPv6.</summary>
    [JsonPropertyName("EnableIPv6")]
    public bool? HasIPv6 { get; init; }

    /// <summary>Its addresses.</summary>
    [JsonPropertyName("IPAM")]
    public EngineAddressing? Addressing { get; init; }

    /// <summary>What was said with -o.</summary>
    public IReadOnlyDictionary<string, string>? Options { get; init; }

    /// <summary>Its labels.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>Who is in it, by the ids of the containers; only of one network that is asked for.</summary>
    public IReadOnlyDictionary<string, EngineMember>? Containers { get; init; }
}

/// <summary>A container's part in a network.</summary>
internal sealed record EngineEndpoint
{
    /// <summary>Docker's id of the endpoint.</summary>
    [JsonPropertyName("EndpointID")]
    public string? EndpointId { get; init; }

    /// <summary>Other names.</summary>
    public IReadOnlyList<string>? Aliases { get; init; }
}

/// <summary>A container's networks.</summary>
internal sealed record EngineNetworkSettings
{
    /// <summary>By their names.</summary>
    public IReadOnlyDictionary<string, EngineEndpoint>? Networks { get; init; }
}

/// <summary>What a container was made with.</summary>
internal sealed record EngineContainerSettings
{
    /// <summary>Label of swarm: the service that the container is a task of.</summary>
    public const string ServiceLabel = "com.docker.swarm.service.name";

    /// <summary>Its labels.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }
}

/// <summary>A container as Docker's API shows it.</summary>
internal sealed record EngineContainer
{
    /// <summary>Its networks.</summary>
    public EngineNetworkSettings? NetworkSettings { get; init; }

    /// <summary>What it was made with.</summary>
    public EngineContainerSettings? Config { get; init; }
}

/// <summary>Docker itself as its API shows it.</summary>
internal sealed record EngineInfo
{
    /// <summary>Where its containers' files are.</summary>
    public string? DockerRootDir { get; init; }
}

/// <summary>An error of Docker's API.</summary>
internal sealed record EngineFault
{
    /// <summary>What it says.</summary>
    [JsonPropertyName("message")]
    public string? Message { get; init; }
}

/// <summary>JSON of Docker's API, as far as it is used.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 32)]
[JsonSerializable(typeof(EngineNetwork))]
[JsonSerializable(typeof(IReadOnlyList<EngineNetwork>))]
[JsonSerializable(typeof(EngineContainer))]
[JsonSerializable(typeof(EngineInfo))]
[JsonSerializable(typeof(EngineFault))]
internal sealed partial class EngineJson : JsonSerializerContext;

/// <summary>Asks this host's dockerd, by its own API (docs.docker.com/engine/api): what a driver is not told, and networks of other hosts that it is to have.</summary>
internal sealed class DockerEngine : IDisposable
{
    private const int MaxAnswerBytes = 16 * 1024 * 1024;
    private readonly HttpClient _http;

    /// <summary>Makes a client; connects when something is asked.</summary>
    /// <param name="socket">Path of dockerd's socket.</param>
    public DockerEngine(string socket)
    {
        Socket = socket;
        _http = new HttpClient(ApiPlace.NewHandler(socket))
        {
            BaseAddress = new Uri("http://docker/"),
            Timeout = TimeSpan.FromSeconds(30),
            MaxResponseContentBufferSize = MaxAnswerBytes,
        };
    }

    /// <summary>Path of dockerd's socket.</summary>
    public string Socket { get; }

    /// <summary>Whether there may be a dockerd.</summary>
    public bool IsThere => File.Exists(Socket);

    /// <summary>When it started, by the file of its socket.</summary>
    public DateTime Start => File.GetLastWriteTimeUtc(Socket);

    /// <summary>All networks, without who is in them.</summary>
    /// <exception cref="HostException">No answer, or none that can be read.</exception>
    public async Task<IReadOnlyList<EngineNetwork>> NetworksAsync(CancellationToken cancellation) =>
        await GetAsync("networks", EngineJson.Default.IReadOnlyListEngineNetwork, cancellation) ?? [];

    /// <summary>A network with who is in it; null if there is none.</summary>
    /// <exception cref="HostException">No answer, or none that can be read.</exception>
    public Task<EngineNetwork?> NetworkAsync(string id, CancellationToken cancellation) => GetAsync($"networks/{Uri.EscapeDataString(id)}", EngineJson.Default.EngineNetwork, cancellation);

    /// <summary>A container; null if there is none. While it is being started dockerd does not answer.</summary>
    /// <exception cref="HostException">No answer, or none that can be read.</exception>
    public Task<EngineContainer?> ContainerAsync(string id, CancellationToken cancellation) => GetAsync($"containers/{Uri.EscapeDataString(id)}/json", EngineJson.Default.EngineContainer, cancellation);

    /// <summary>Where the files of containers are; null if that is not said.</summary>
    /// <exception cref="HostException">No answer, or none that can be read.</exception>
    public async Task<string?> RootAsync(CancellationToken cancellation) => (await GetAsync("info", EngineJson.Default.EngineInfo, cancellation))?.DockerRootDir;

    /// <summary>Makes a network.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task CreateAsync(EngineNetwork network, CancellationToken cancellation)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, "networks/create") { Content = JsonContent.Create(network, EngineJson.Default.EngineNetwork) }, cancellation);
    }

    /// <summary>Removes a network; one that is not there is no error.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task RemoveAsync(string id, CancellationToken cancellation)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Delete, $"networks/{Uri.EscapeDataString(id)}"), cancellation);
    }

    private async Task<T?> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation)
        where T : class
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellation);
        if (response.StatusCode == HttpStatusCode.NotFound) return null;
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellation);
        }
        catch (JsonException)
        {
            throw new HostException($"{Socket} gave an answer that is not Docker's: /{path}");
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        try
        {
            var response = await _http.SendAsync(request, cancellation);
            if (response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.NotFound) return response;
            using (response)
            {
                EngineFault? fault = null;
                try
                {
                    fault = await response.Content.ReadFromJsonAsync(EngineJson.Default.EngineFault, cancellation);
                }
                catch (JsonException)
                {
                    // The status alone has to do.
                }

                throw new HostException($"docker: {fault?.Message ?? $"{request.Method} {request.RequestUri}: {(int)response.StatusCode}"}");
            }
        }
        catch (HttpRequestException failure)
        {
            throw new HostException($"{Socket}: {(failure.InnerException ?? failure).Message}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HostException($"{Socket}: no answer within {_http.Timeout.TotalSeconds:0} s");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();
}
