namespace Sleeve.Control.Docker;

/// <summary>When a daemon is a driver of this host's Docker.</summary>
internal enum DockerUse
{
    /// <summary>As soon as there is a Docker: its folder of sockets.</summary>
    Auto,

    /// <summary>From the start; the folder is made.</summary>
    On,

    /// <summary>Never.</summary>
    Off,
}

/// <summary>How a daemon is a driver of this host's Docker; taken at the start only.</summary>
internal sealed record DockerOptions
{
    /// <summary>Where dockerd looks for the sockets of its plugins if nothing else is said.</summary>
    public const string DefaultFolder = "/run/docker/plugins";

    /// <summary>Where dockerd answers if nothing else is said.</summary>
    public const string DefaultSocket = "/run/docker.sock";

    /// <summary>When.</summary>
    public DockerUse Use { get; init; }

    /// <summary>Where dockerd looks for the sockets of its plugins.</summary>
    public string Folder { get; init; } = DefaultFolder;

    /// <summary>Where dockerd answers: it is asked for names, and told the networks of other hosts.</summary>
    public string Socket { get; init; } = DefaultSocket;

    /// <summary>What Docker calls the driver if nothing else is said: as the socket is called.</summary>
    public const string DefaultDriver = "sleeve";

    /// <summary>What Docker calls the driver, as in <c>docker network create -d sleeve</c>: a managed plugin (docker-plugin-create(1)) is called by its name and tag.</summary>
    public string Driver { get; init; } = DefaultDriver;

    /// <summary>The socket of the plugin.</summary>
    public string PluginPath => Path.Combine(Folder, $"{DefaultDriver}.sock");
}
