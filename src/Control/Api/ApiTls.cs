using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Sleeve.Control.Host;

namespace Sleeve.Control.Api;

/// <summary>
/// Mutual TLS (RFC 8446) out of PEM files. They are looked at again before a handshake, at most once a second: a new certificate counts from the next connection on. One that
/// cannot be read leaves the old in use, with a warning.
/// </summary>
internal sealed partial class ApiTls
{
    private const string ServerPurpose = "1.3.6.1.5.5.7.3.1";
    private const string ClientPurpose = "1.3.6.1.5.5.7.3.2";
    private const long LookAgainMilliseconds = 1000;

    private readonly ApiNetworkOptions _options;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private Identity _identity;
    private string _stamp;
    private long _lookedMilliseconds;

    private ApiTls(ApiNetworkOptions options, ILogger logger)
    {
        _options = options;
        _logger = logger;
        _stamp = StampOf(options);
        _identity = Identity.Load(options.Certificate, options.Key, options.ClientAuthority, "--api-cert", "--api-key", "--api-client-ca");
    }

    /// <summary>Reads the files.</summary>
    /// <exception cref="HostException">One cannot be read, or they do not belong together.</exception>
    public static ApiTls Load(ApiNetworkOptions options, ILogger logger) => new(options, logger);

    /// <summary>What a handshake goes by now.</summary>
    public SslServerAuthenticationOptions ForServer()
    {
        var identity = Current();
        // Of its own for each handshake, which adds to it.
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = identity.Certificate,
            ClientCertificateRequired = true,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = identity.Trust(ClientPurpose),
            AllowRenegotiation = false,
        };
    }

    /// <summary>What a client goes by.</summary>
    /// <param name="certificate">PEM file of its certificate.</param>
    /// <param name="key">PEM file of its key.</param>
    /// <param name="authority">PEM file of who vouches for the server.</param>
    /// <param name="names">What errors call the three.</param>
    /// <exception cref="HostException">One cannot be read, or they do not belong together.</exception>
    public static SslClientAuthenticationOptions ForClient(string certificate, string key, string authority, (string Certificate, string Key, string Authority) names)
    {
        var identity = Identity.Load(certificate, key, authority, names.Certificate, names.Key, names.Authority);
        return new SslClientAuthenticationOptions
        {
            ClientCertificateContext = identity.Certificate,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = identity.Trust(ServerPurpose),
        };
    }

    private Identity Current()
    {
        lock (_lock)
        {
            if (Environment.TickCount64 - _lookedMilliseconds < LookAgainMilliseconds) return _identity;
            _lookedMilliseconds = Environment.TickCount64;
            var stamp = StampOf(_options);
            if (stamp == _stamp) return _identity;
            _stamp = stamp;
            try
            {
                _identity = Identity.Load(_options.Certificate, _options.Key, _options.ClientAuthority, "--api-cert", "--api-key", "--api-client-ca");
                LogRenewed(_options.Endpoint);
            }
            catch (HostException failure)
            {
                LogKept(failure.Message);
            }

            return _identity;
        }
    }

    // A file that is gone has a time too, in the year 1601.
    private static string StampOf(ApiNetworkOptions options) =>
        string.Join(' ', new[] { options.Certificate, options.Key, options.ClientAuthority }.Select(static path => $"{File.GetLastWriteTimeUtc(path).Ticks}"));

    [LoggerMessage(EventId = 301, Level = LogLevel.Information, Message = "API on {Endpoint}: the certificate files changed; new connections use them")]
    private partial void LogRenewed(System.Net.IPEndPoint endpoint);

    [LoggerMessage(EventId = 302, Level = LogLevel.Warning, Message = "API: {Reason}; the certificate in use stays")]
    private partial void LogKept(string reason);

    /// <summary>A certificate with its key, and who is trusted.</summary>
    private sealed record Identity(SslStreamCertificateContext Certificate, X509Certificate2Collection Authorities)
    {
        public static Identity Load(string certificate, string key, string authority, string certificateName, string keyName, string authorityName)
        {
            var chain = Read(certificate, certificateName);
            var authorities = Read(authority, authorityName);
            try
            {
                using var own = X509Certificate2.CreateFromPemFile(certificate, key);
                // Once around: a key that only exists beside the certificate does not survive everywhere.
                var leaf = X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
                chain.RemoveAt(0);
                return new Identity(SslStreamCertificateContext.Create(leaf, chain, offline: true), authorities);
            }
            catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new HostException($"{keyName} {key}: must be the PEM key, not encrypted, of the first certificate in {certificate}: {failure.Message}");
            }
        }

        private static X509Certificate2Collection Read(string path, string name)
        {
            var read = new X509Certificate2Collection();
            try
            {
                read.ImportFromPemFile(path);
            }
            catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new HostException($"{name} {path}: cannot be read: {failure.Message}");
            }

            return read.Count > 0 ? read : throw new HostException($"{name} {path}: must have a PEM certificate in it (-----BEGIN CERTIFICATE-----)");
        }

        public X509ChainPolicy Trust(string purpose)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                // Lists and answers of an authority would have to be fetched, which the API has no business to.
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            policy.ApplicationPolicy.Add(new Oid(purpose));
            policy.CustomTrustStore.AddRange(Authorities);
            return policy;
        }
    }
}
