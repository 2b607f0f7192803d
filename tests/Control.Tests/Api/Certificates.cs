using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Sleeve.Control.Tests.Api;

/// <summary>An authority and what it vouches for, as PEM files in a folder.</summary>
internal sealed class Certificates : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-tls-").FullName;
    private readonly Dictionary<string, X509Certificate2> _authorities = [];

    /// <summary>Path of a file.</summary>
    internal string this[string name] => Path.Combine(_folder, name);

    /// <summary>Makes NAME.crt, an authority.</summary>
    internal void AddAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _authorities[name] = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(9));
        File.WriteAllText(this[$"{name}.crt"], _authorities[name].ExportCertificatePem());
    }

    /// <summary>Makes NAME.crt and NAME.key, of 127.0.0.1, for "server", "client" or "server client".</summary>
    internal void Add(string name, string authority, string purpose, bool isExpired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var purposes = new OidCollection();
        if (purpose.Contains("server", StringComparison.Ordinal)) purposes.Add(new Oid("1.3.6.1.5.5.7.3.1"));
        if (purpose.Contains("client", StringComparison.Ordinal)) purposes.Add(new Oid("1.3.6.1.5.5.7.3.2"));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(purposes, false));
        var end = isExpired ? DateTimeOffset.UtcNow.AddHours(-1) : DateTimeOffset.UtcNow.AddDays(5);
        using var certificate = request.Create(_authorities[authority], DateTimeOffset.UtcNow.AddHours(-20), end, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(this[$"{name}.crt"], certificate.ExportCertificatePem());
        File.WriteAllText(this[$"{name}.key"], key.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose()
    {
        foreach (var authority in _authorities.Values) authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
