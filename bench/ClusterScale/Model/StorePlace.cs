using System.Net.Security;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Bench.ClusterScale.Model;

/// <summary>Where a store of the bench answers.</summary>
/// <param name="Uri">https for the embedded one, http for etcd.</param>
internal sealed record StorePlace(Uri Uri)
{
    /// <summary>Header by which the embedded store knows hosts here; in a cluster it is their certificate.</summary>
    public const string HostHeader = "Bench-Host";

    /// <summary>Whether it is the embedded store, behind its gateway and TLS.</summary>
    public bool IsEmbedded => Uri.Scheme == Uri.UriSchemeHttps;

    /// <summary>What keys begin with there.</summary>
    public string Root => IsEmbedded ? "" : ClusterKeys.DefaultRoot;

    /// <summary>TLS without trust: it is the work that is measured. Null where there is none.</summary>
    public SslClientAuthenticationOptions? Tls => IsEmbedded
#pragma warning disable CA5359 // The other end is a process of this bench, on this machine.
        ? new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true }
#pragma warning restore CA5359
        : null;

    /// <summary>A client that is a host.</summary>
    public EtcdStore ClientOf(string host) => new(new EtcdStoreOptions([Uri]) { Root = Root, Tls = Tls, Header = (HostHeader, host), Timeout = TimeSpan.FromSeconds(60) });
}
