using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Sleeve.Control.Host;

namespace Sleeve.Control.Trust;

/// <summary>
/// The authority of a cluster, on the host that serves its store: signs certificates of hosts and knows which of them count. One that is not on its list is refused, whatever it bears, so that a host that was
/// forgotten is out at once. Any thread.
/// </summary>
internal sealed class Authority : IDisposable
{
    /// <summary>Certificates that count at a time, at most: two of each host while one is renewed.</summary>
    public const int MaxIssued = 8192;

    private const string CertificateFile = "authority.crt";
    private const string KeyFile = "authority.key";
    private const string IssuedFile = "issued.json";
    private static readonly TimeSpan OwnLifetime = TimeSpan.FromDays(3650);

    private readonly TrustFolder _folder;
    private readonly ECDsa _key;
    private readonly Lock _access = new();
    private readonly List<IssuedCertificate> _issued;

    private Authority(TrustFolder folder, X509Certificate2 certificate, ECDsa key, List<IssuedCertificate> issued)
    {
        _folder = folder;
        _key = key;
        _issued = issued;
        Certificate = certificate;
    }

    /// <summary>Its certificate, which is signed by itself.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>What tokens name it by.</summary>
    public string Hash => Certificates.HashOf(Certificate);

    /// <summary>Told of a host whose certificates no longer count; its connections are to end.</summary>
    public Action<string> OnRevoked { get; set; } = static _ => { };

    /// <summary>Makes one; it outlives the process.</summary>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public static Authority Make(TrustFolder folder, DateTimeOffset now)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(Certificates.NameOf($"sleeve authority {RandomNumberGenerator.GetHexString(8, lowercase: true)}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using var made = request.CreateSelfSigned(now - (2 * Certificates.BackDated), now + OwnLifetime);
        folder.Write(KeyFile, key.ExportPkcs8PrivateKeyPem());
        folder.Write(CertificateFile, made.ExportCertificatePem());
        return new Authority(folder, X509CertificateLoader.LoadCertificate(made.RawData), key, []);
    }

    /// <summary>Reads the one that was made before; null if there is none.</summary>
    /// <exception cref="HostException">It is damaged.</exception>
    public static Authority? Load(TrustFolder folder)
    {
        if (folder.Read(CertificateFile) is not { } certificate) return null;
        var where = folder.PathOf(KeyFile);
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(folder.Read(KeyFile) ?? throw new HostException($"{where}: is gone; the cluster cannot take in hosts without it"));
            var issued = folder.Read(IssuedFile) is { } list ? JsonSerializer.Deserialize(list, TrustJson.Default.ListIssuedCertificate) : [];
            return new Authority(folder, Certificates.Load(certificate, folder.PathOf(CertificateFile)), key, issued ?? []);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException or JsonException)
        {
            key.Dispose();
            throw new HostException($"{where} or {IssuedFile}: is damaged: {failure.Message}");
        }
    }

    /// <summary>Signs a host's certificate, which counts from here on.</summary>
    /// <param name="host">Whose.</param>
    /// <param name="key">Its key.</param>
    /// <param name="isServer">Whether it serves the store.</param>
    /// <param name="now">The time, by this host's clock.</param>
    /// <exception cref="HostException">It cannot be kept, or there are too many.</exception>
    public X509Certificate2 Issue(string host, PublicKey key, bool isServer, DateTimeOffset now)
    {
        var request = new CertificateRequest(Certificates.NameOf(host), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        OidCollection purposes = [new Oid(Certificates.ClientPurpose)];
        if (isServer) purposes.Add(new Oid(Certificates.ServerPurpose));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(purposes, critical: false));
        var serial = RandomNumberGenerator.GetBytes(16);
        // Positive, and its first byte not zero (RFC 5280, section 4.1.2.2).
        serial[0] = (byte)(serial[0] & 0x7F | 0x40);
        var (begins, ends) = (now - Certificates.BackDated, now + Certificates.Lifetime);
        if (begins < Certificate.NotBefore) begins = Certificate.NotBefore;
        if (ends > Certificate.NotAfter) ends = Certificate.NotAfter;
        var made = request.Create(Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), begins, ends, serial);
        lock (_access)
        {
            List<IssuedCertificate> kept = [.. _issued.Where(issued => issued.Ends > now)];
            if (kept.Count >= MaxIssued) throw new HostException($"{kept.Count} certificates are in use, which is the most there can be: sleeve peer forget HOST ends those of a host");
            kept.Add(new IssuedCertificate(host, made.SerialNumber, Certificates.KeyOf(key), ends));
            Keep(kept);
        }

        return made;
    }

    /// <summary>Whether a certificate that the authority signed counts.</summary>
    public bool IsGood(X509Certificate2 certificate)
    {
        var host = Certificates.HostOf(certificate);
        lock (_access) return _issued.Exists(issued => issued.Serial == certificate.SerialNumber && issued.Host == host);
    }

    /// <summary>Whether a host has certificates that count, with another key than this one.</summary>
    public bool IsTaken(string host, string key, DateTimeOffset now)
    {
        lock (_access) return _issued.Exists(issued => issued.Host == host && issued.Ends > now) && !_issued.Exists(issued => issued.Host == host && issued.Key == key);
    }

    /// <summary>The hosts that have certificates that count.</summary>
    public IReadOnlyList<string> Hosts
    {
        get
        {
            lock (_access) return [.. _issued.Select(static issued => issued.Host).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>Has a host's certificates count no more, at once and for good. One that has none is no error.</summary>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public void Revoke(string host)
    {
        lock (_access)
        {
            if (!_issued.Exists(issued => issued.Host == host)) return;
            Keep([.. _issued.Where(issued => issued.Host != host)]);
        }

        OnRevoked(host);
    }

    // Written before it counts.
    private void Keep(List<IssuedCertificate> issued)
    {
        _folder.Write(IssuedFile, JsonSerializer.Serialize(issued, TrustJson.Default.ListIssuedCertificate));
        _issued.Clear();
        _issued.AddRange(issued);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }
}
