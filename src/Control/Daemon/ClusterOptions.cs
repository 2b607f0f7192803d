using System.Net;

namespace Sleeve.Control.Daemon;

/// <summary>How a daemon is one of several hosts; taken at the start only.</summary>
internal sealed record ClusterOptions
{
    /// <summary>Milliseconds between two probes of a VTEP if nothing else is said.</summary>
    public const int DefaultProbeMilliseconds = 300;

    /// <summary>Probes without an answer after which a VTEP is down if nothing else is said.</summary>
    public const int DefaultProbeMultiplier = 3;

    /// <summary>Seconds after which what a silent host holds goes back if nothing else is said.</summary>
    public const int DefaultReclaimSeconds = 3600;

    /// <summary>The least VNI that is chosen if nothing else is said: those below are left to people.</summary>
    public const int DefaultVniMin = 4096;

    /// <summary>Name of this host; <see cref="Networks.Names"/>.</summary>
    public string Name { get; init; } = "";

    /// <summary>The etcd that hosts share; null for the embedded store, here or at the host that was joined.</summary>
    public string? Store { get; init; }

    /// <summary>PEM file of who vouches for etcd; null for those the host trusts.</summary>
    public string? StoreAuthority { get; init; }

    /// <summary>PEM file of the certificate that etcd is shown; null for none.</summary>
    public string? StoreCertificate { get; init; }

    /// <summary>PEM file of its key.</summary>
    public string? StoreKey { get; init; }

    /// <summary>User of etcd; null for none.</summary>
    public string? StoreUser { get; init; }

    /// <summary>File with the user's password.</summary>
    public string? StorePasswordFile { get; init; }

    /// <summary>Where the embedded store is served to others; null for the local address and <see cref="Trust.ClusterListener.DefaultPort"/>, once there is a token.</summary>
    public IPEndPoint? Serve { get; init; }

    /// <summary>Where this host stands, as zone/rack; "" if nothing was said.</summary>
    public string Location { get; init; } = "";

    /// <summary>Milliseconds between two probes of a VTEP.</summary>
    public int ProbeMilliseconds { get; init; } = DefaultProbeMilliseconds;

    /// <summary>Probes without an answer after which a VTEP is down.</summary>
    public int ProbeMultiplier { get; init; } = DefaultProbeMultiplier;

    /// <summary>Seconds after which what a silent host holds goes back.</summary>
    public int ReclaimSeconds { get; init; } = DefaultReclaimSeconds;

    /// <summary>The least VNI that is chosen for a network.</summary>
    public int VniMin { get; init; } = DefaultVniMin;

    /// <summary>The greatest.</summary>
    public int VniMax { get; init; } = 16777215;

    /// <summary>Whether names of endpoints resolve.</summary>
    public bool Names { get; init; } = true;

    /// <summary>The domain that they are in.</summary>
    public string Domain { get; init; } = "sleeve";
}
