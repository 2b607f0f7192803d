using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Trust;

/// <summary>What certificates of hosts are like: ECDSA P-256 (FIPS 186-5), the host's name as the common name, and what the host may be.</summary>
internal static class Certificates
{
    /// <summary>How long a host's certificate lasts.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(365);

    /// <summary>How far before its making a certificate begins, so that hosts whose clocks are behind take it.</summary>
    public static readonly TimeSpan BackDated = TimeSpan.FromDays(1);

    /// <summary>Purpose of the certificate of a host that serves the store: nobody who only joined can pose as that one.</summary>
    public const string ServerPurpose = "1.3.6.1.5.5.7.3.1";

    /// <summary>Purpose of every host's certificate.</summary>
    public const string ClientPurpose = "1.3.6.1.5.5.7.3.2";

    /// <summary>Bytes of a signing request, at most.</summary>
    public const int MaxRequestBytes = 4096;

    private const string CurveOfP256 = "1.2.840.10045.3.1.7";

    /// <summary>The common name alone.</summary>
    public static X500DistinguishedName NameOf(string host)
    {
        var name = new X500DistinguishedNameBuilder();
        name.AddCommonName(host);
        return name.Build();
    }

    /// <summary>The host that a certificate is for; null if its common name is no name of a host.</summary>
    public static string? HostOf(X509Certificate2 certificate) => certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is var name && Names.IsName(name) ? name : null;

    /// <summary>SHA-256 of a certificate, as a token has it.</summary>
    public static string HashOf(X509Certificate2 certificate) => Convert.ToHexStringLower(SHA256.HashData(certificate.RawData));

    /// <summary>SHA-256 of the public key.</summary>
    public static string KeyOf(PublicKey key) => Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));

    /// <summary>A request for a certificate, for the one who has the authority.</summary>
    public static string NewRequest(ECDsa key, string host) => Convert.ToBase64String(new CertificateRequest(NameOf(host), key, HashAlgorithmName.SHA256).CreateSigningRequest());

    /// <summary>Reads the public key out of a request, which proves that its sender has the other half. Whatever else it asks for does not count.</summary>
    /// <returns>Null for anything that is no request with a key of the right kind.</returns>
    public static PublicKey? ReadRequest(string? request)
    {
        if (request is null || request.Length > MaxRequestBytes * 4 / 3) return null;
        var bytes = new byte[MaxRequestBytes];
        if (!Convert.TryFromBase64String(request, bytes, out var length)) return null;
        try
        {
            var read = CertificateRequest.LoadSigningRequest(bytes.AsSpan(0, length), HashAlgorithmName.SHA256, out var consumed);
            if (consumed != length) return null;
            using var key = read.PublicKey.GetECDsaPublicKey();
            return key?.ExportParameters(includePrivateParameters: false).Curve.Oid.Value == CurveOfP256 ? read.PublicKey : null;
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException or NotSupportedException)
        {
            // No request, not signed by its key, or a kind of key that nobody here makes.
            return null;
        }
    }

    /// <summary>Puts a certificate and its key together.</summary>
    /// <exception cref="HostException">They cannot be read, or do not belong together.</exception>
    public static X509Certificate2 Load(string certificate, string key, string where)
    {
        try
        {
            using var own = X509Certificate2.CreateFromPem(certificate, key);
            // Once around: a key that only exists beside the certificate does not survive everywhere.
            return X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            throw new HostException($"{where}: is damaged: {failure.Message}; sleeve leave, and join again");
        }
    }

    /// <summary>Reads one certificate.</summary>
    /// <exception cref="HostException">It is none.</exception>
    public static X509Certificate2 Load(string certificate, string where)
    {
        try
        {
            return X509Certificate2.CreateFromPem(certificate);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            throw new HostException($"{where}: is no certificate: {failure.Message}");
        }
    }

    /// <summary>Trusts an authority alone, for a purpose.</summary>
    public static X509ChainPolicy Trust(X509Certificate2 authority, string purpose)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            // Whose certificate counts is asked of the authority's own list.
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.ApplicationPolicy.Add(new Oid(purpose));
        policy.CustomTrustStore.Add(authority);
        return policy;
    }

    /// <summary>What a client of the serving host goes by: its purpose tells that host, not the name by which it is reached.</summary>
    /// <param name="authority">Who vouches for it.</param>
    /// <param name="own">Gives the client's own certificate; null without.</param>
    public static SslClientAuthenticationOptions ForClient(X509Certificate2 authority, Func<X509Certificate2>? own) => new()
    {
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateChainPolicy = Trust(authority, ServerPurpose),
        RemoteCertificateValidationCallback = static (_, _, _, errors) => (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None,
        LocalCertificateSelectionCallback = own is null ? null : (_, _, _, _, _) => own(),
    };
}
