using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Docker;

/// <summary>A network of this host's Docker.</summary>
/// <param name="Id">Docker's id of it.</param>
/// <param name="Network">The network of the cluster that it is.</param>
/// <param name="RecordId">Id of that: another network of the same name is another.</param>
internal sealed record DockerNetwork(string Id, string Network, string RecordId)
{
    /// <summary>Docker has not said yet how it is called: the cluster's network has a name for the time being.</summary>
    public bool IsProvisional { get; init; }

    /// <summary>Containers have no wire to docker_gwbridge (<c>--internal</c>).</summary>
    public bool IsInternal { get; init; }

    /// <summary>Pools that are of our IPAM driver and not of a network that their options name.</summary>
    public IReadOnlyList<string> Pools { get; init; } = [];
}

/// <summary>
/// The networks of this host's Docker, by Docker's ids. dockerd tells its driver of a network once, when it is made, so they are kept on disk. Any thread.
/// </summary>
/// <param name="store">Where they are kept.</param>
internal sealed class DockerNetworks(StateStore store)
{
    private readonly ConcurrentDictionary<string, DockerNetwork> _networks = Load(store);

    /// <summary>All of them.</summary>
    public IReadOnlyList<DockerNetwork> All => [.. _networks.Values];

    /// <summary>One of them; null if there is none.</summary>
    public DockerNetwork? Find(string id) => _networks.GetValueOrDefault(id);

    /// <summary>Notes one.</summary>
    /// <exception cref="Host.HostException">It cannot be written.</exception>
    public void Save(DockerNetwork network)
    {
        store.SaveDockerNetwork(network.Id, JsonSerializer.Serialize(network, DockerStateJson.Default.DockerNetwork));
        _networks[network.Id] = network;
    }

    /// <summary>Forgets one.</summary>
    /// <exception cref="Host.HostException">It cannot be written.</exception>
    public void Remove(string id)
    {
        store.RemoveDockerNetwork(id);
        _networks.TryRemove(id, out _);
    }

    private static ConcurrentDictionary<string, DockerNetwork> Load(StateStore store)
    {
        var networks = new ConcurrentDictionary<string, DockerNetwork>(StringComparer.Ordinal);
        foreach (var (id, json) in store.DockerNetworks)
        {
            try
            {
                if (JsonSerializer.Deserialize(json, DockerStateJson.Default.DockerNetwork) is { } network && network.Id == id) networks[id] = network with { Pools = network.Pools ?? [] };
            }
            catch (JsonException)
            {
                // What is damaged is found out again: Docker has its name and its options.
            }
        }

        return networks;
    }
}

/// <summary>JSON of what is kept, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DockerNetwork))]
internal sealed partial class DockerStateJson : JsonSerializerContext;
