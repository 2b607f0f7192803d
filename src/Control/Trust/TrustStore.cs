using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Sleeve.Control.Host;

namespace Sleeve.Control.Trust;

/// <summary>
/// Whom this host trusts and by what it is known, in files below its state: the authority of its own cluster if it serves one, or the certificate that it got when it joined another's. Any thread.
/// </summary>
internal sealed class TrustStore : IDisposable
{
    private const string CertificateFile = "own.crt";
    private const string KeyFile = "own.key";
    private const string NextKeyFile = "next.key";
    private const string TrustedFile = "trusted.crt";
    private const string JoinedFile = "joined.json";
    private const string InstanceFile = "instance";
    private const string GenerationFile = "generation";

    private readonly TrustFolder _folder;
    private readonly Lock _access = new();
    private volatile X509Certificate2? _own;
    private volatile X509Certificate2? _trusted;

    private TrustStore(TrustFolder folder)
    {
        _folder = folder;
        Tokens = new TokenDesk(folder);
        Authority = Authority.Load(folder);
        Joined = ReadJoined();
        _trusted = Joined is null ? Authority?.Certificate : Certificates.Load(Require(TrustedFile), folder.PathOf(TrustedFile));
        if (_trusted is not null && _folder.Read(CertificateFile) is { } certificate) _own = Certificates.Load(certificate, Require(KeyFile), folder.PathOf(CertificateFile));
    }

    /// <summary>Reads what there is; makes the folder if need be, and nothing else.</summary>
    /// <param name="stateFolder">The daemon's.</param>
    /// <exception cref="HostException">It cannot be read, or is damaged.</exception>
    public static TrustStore Open(string stateFolder) => new(new TrustFolder(stateFolder));

    /// <summary>The authority of this host's own cluster; null if it has none.</summary>
    public Authority? Authority { get; private set; }

    /// <summary>The tokens by which hosts join that.</summary>
    public TokenDesk Tokens { get; }

    /// <summary>The cluster that this host joined; null if it did not.</summary>
    public JoinedCluster? Joined { get; private set; }

    /// <summary>This host's certificate with its key, in the cluster it is in; null while it is in none.</summary>
    public X509Certificate2? Certificate => _own;

    /// <summary>The certificate of the authority of that cluster; null while it is in none.</summary>
    public X509Certificate2? Trusted => _trusted;

    /// <summary>Tells this host's state from that of any other, whatever their names: 32 random hexadecimal digits, made once.</summary>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public string Instance
    {
        get
        {
            lock (_access)
            {
                if (_folder.Read(InstanceFile) is { Length: 32 } known) return known;
                var made = RandomNumberGenerator.GetHexString(32, lowercase: true);
                _folder.Write(InstanceFile, made);
                return made;
            }
        }
    }

    /// <summary>Counts the starts of this host.</summary>
    /// <param name="least">What was heard of earlier ones, perhaps of a state that is lost.</param>
    /// <returns>More than ever before.</returns>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public long NextGeneration(long least = 0)
    {
        lock (_access)
        {
            var last = long.TryParse(_folder.Read(GenerationFile), NumberStyles.None, CultureInfo.InvariantCulture, out var read) ? read : 0;
            var next = Math.Max(last, least) + 1;
            _folder.Write(GenerationFile, next.ToString(CultureInfo.InvariantCulture));
            return next;
        }
    }

    /// <summary>Has an authority of its own and a certificate as the host that serves; makes what is missing, or ends soon, or is for another name.</summary>
    /// <param name="host">Name of this host.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="HostException">It cannot be kept, or this host is in another cluster.</exception>
    public Authority Serve(string host, DateTimeOffset now)
    {
        lock (_access)
        {
            if (Joined is { } joined) throw new HostException($"this host is {joined.Name} of the cluster that {joined.Server} serves: make tokens there, or sleeve leave");
            Authority ??= Authority.Make(_folder, now);
            _trusted = Authority.Certificate;
            if (_own is { } own && Certificates.HostOf(own) == host && !IsDue(own, now) && Authority.IsGood(own)) return Authority;
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var made = Authority.Issue(host, new PublicKey(key), isServer: true, now);
            Take(made.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
            return Authority;
        }
    }

    /// <summary>Whether two thirds of a certificate's time are over, so that it is to be renewed.</summary>
    public static bool IsDue(X509Certificate2 certificate, DateTimeOffset now)
    {
        var (begins, ends) = (new DateTimeOffset(certificate.NotBefore.ToUniversalTime()), new DateTimeOffset(certificate.NotAfter.ToUniversalTime()));
        return now >= ends - ((ends - begins) / 3);
    }

    /// <summary>
    /// The key that a certificate is about to be asked for; the same until one was taken, so that whoever asks again, since the answer got lost, is known to be the same.
    /// </summary>
    /// <exception cref="HostException">It cannot be kept.</exception>
    public ECDsa NextKey()
    {
        lock (_access)
        {
            var key = ECDsa.Create();
            if (_folder.Read(NextKeyFile) is { } kept)
            {
                try
                {
                    key.ImportFromPem(kept);
                    return key;
                }
                catch (Exception failure) when (failure is CryptographicException or ArgumentException)
                {
                    // Damaged: nobody has seen it yet.
                }
            }

            key.GenerateKey(ECCurve.NamedCurves.nistP256);
            _folder.Write(NextKeyFile, key.ExportPkcs8PrivateKeyPem());
            return key;
        }
    }

    /// <summary>Takes the certificate for <see cref="NextKey"/>, in the cluster that this host joins or is in.</summary>
    /// <param name="joined">The cluster; null leaves it.</param>
    /// <param name="trusted">The certificate of its authority, PEM; null leaves it.</param>
    /// <param name="certificate">This host's, PEM.</param>
    /// <exception cref="HostException">It does not fit, or cannot be kept.</exception>
    public void Adopt(JoinedCluster? joined, string? trusted, string certificate)
    {
        lock (_access)
        {
            if (trusted is not null) _folder.Write(TrustedFile, trusted);
            var key = _folder.Read(NextKeyFile) ?? throw new HostException($"{_folder.PathOf(NextKeyFile)}: is gone; try again");
            Take(certificate, key);
            if (trusted is not null) _trusted = Certificates.Load(trusted, _folder.PathOf(TrustedFile));
            _folder.Remove(NextKeyFile);
            if (joined is null) return;
            _folder.Write(JoinedFile, JsonSerializer.Serialize(joined, TrustJson.Default.JoinedCluster));
            Joined = joined;
        }
    }

    private void Take(string certificate, string key)
    {
        var own = Certificates.Load(certificate, key, _folder.PathOf(CertificateFile));
        _folder.Write(KeyFile, key);
        _folder.Write(CertificateFile, certificate);
        _own = own;
    }

    /// <summary>Forgets the cluster that it joined; an authority of its own counts again.</summary>
    /// <exception cref="HostException">A file cannot be removed.</exception>
    public void Leave()
    {
        lock (_access)
        {
            foreach (var file in (ReadOnlySpan<string>)[JoinedFile, CertificateFile, KeyFile, NextKeyFile, TrustedFile]) _folder.Remove(file);
            (Joined, _own, _trusted) = (null, null, Authority?.Certificate);
        }
    }

    /// <summary>Makes a client of the host that serves the store, which knows this host by its certificate, also after that was renewed.</summary>
    /// <exception cref="HostException">This host is in no cluster.</exception>
    public SocketsHttpHandler NewHandler()
    {
        return new SocketsHttpHandler
        {
            SslOptions = NewTls(),
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // A connection stands with the certificate that opened it.
            PooledConnectionLifetime = TimeSpan.FromMinutes(30),
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
        };
    }

    /// <summary>What TLS goes by with the host that serves the store.</summary>
    /// <exception cref="HostException">This host is in no cluster.</exception>
    public SslClientAuthenticationOptions NewTls() => _trusted is { } trusted && _own is not null
        ? Certificates.ForClient(trusted, () => _own!)
        : throw new HostException("this host is in no cluster: sleeve join HOST joins one, sleeve token begins one");

    private JoinedCluster? ReadJoined()
    {
        try
        {
            return _folder.Read(JoinedFile) is { } text ? JsonSerializer.Deserialize(text, TrustJson.Default.JoinedCluster) : null;
        }
        catch (JsonException failure)
        {
            throw new HostException($"{_folder.PathOf(JoinedFile)}: is damaged: {failure.Message}; remove {Path.GetDirectoryName(_folder.PathOf(JoinedFile))}, and join again");
        }
    }

    private string Require(string file) => _folder.Read(file) ?? throw new HostException($"{_folder.PathOf(file)}: is gone; remove {Path.GetDirectoryName(_folder.PathOf(file))}, and join again");

    /// <inheritdoc/>
    public void Dispose()
    {
        _own?.Dispose();
        Authority?.Dispose();
    }
}
