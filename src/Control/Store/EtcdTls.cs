using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Store;

/// <summary>TLS towards etcd out of PEM files, each of which may be left out.</summary>
internal static class EtcdTls
{
    /// <summary>Reads the files; once, at the start.</summary>
    /// <param name="authority">Who vouches for etcd (--store-ca); null for those the host trusts.</param>
    /// <param name="certificate">What etcd is shown (--store-cert); null for nothing.</param>
    /// <param name="key">Its key (--store-key).</param>
    /// <exception cref="HostException">One cannot be read, or they do not belong together.</exception>
    public static SslClientAuthenticationOptions Load(string? authority, string? certificate, string? key)
    {
        if (authority is not null && certificate is not null && key is not null) return ApiTls.ForClient(certificate, key, authority, ("--store-cert", "--store-key", "--store-ca"));
        var options = new SslClientAuthenticationOptions { EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13 };
        if (authority is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            try
            {
                policy.CustomTrustStore.ImportFromPemFile(authority);
            }
            catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new HostException($"--store-ca {authority}: cannot be read: {failure.Message}");
            }

            if (policy.CustomTrustStore.Count == 0) throw new HostException($"--store-ca {authority}: must have a PEM certificate in it (-----BEGIN CERTIFICATE-----)");
            options.CertificateChainPolicy = policy;
        }

        if (certificate is null || key is null) return options;
        try
        {
            using var own = X509Certificate2.CreateFromPemFile(certificate, key);
            // Once around: a key that only exists beside the certificate does not survive everywhere.
            options.ClientCertificateContext = SslStreamCertificateContext.Create(X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null), null, offline: true);
            return options;
        }
        catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new HostException($"--store-key {key}: must be the PEM key, not encrypted, of the certificate in {certificate}: {failure.Message}");
        }
    }
}
