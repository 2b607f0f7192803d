using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A real etcd of one or more members, all on one host of the lab, each with ports and a folder of its own. With the lab it ends.</summary>
public sealed class RealEtcd : IDisposable
{
    private const int FirstClientPort = 2379;
    private const int FirstPeerPort = 2579;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly BackgroundProcess?[] _members;
    private readonly bool _isSecured;
    private int _generation;

    private RealEtcd(Host host, int members, bool isSecured)
    {
        (Host, _members, _isSecured) = (host, new BackgroundProcess?[members], isSecured);
        if (isSecured) MakeCertificates();
    }

    /// <summary>Where it runs.</summary>
    public Host Host { get; }

    /// <summary>Files about it: data, certificates, whatever a test puts there.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("sleeve-etcd-").FullName;

    /// <summary>What daemons are told of it.</summary>
    public string Uri => $"{(_isSecured ? "etcds" : "etcd")}://{string.Join(',', _members.Select((_, index) => $"{Host.Address}:{FirstClientPort + index}"))}";

    /// <summary>The certificate of who vouches for it.</summary>
    public string AuthorityPath => Path.Combine(Folder, "ca.crt");

    /// <summary>Starts it and waits until it has a leader; skips the test where there is no etcd.</summary>
    /// <param name="host">Where.</param>
    /// <param name="members">How many.</param>
    /// <param name="isSecured">Whether it wants TLS.</param>
    public static RealEtcd Start(Host host, int members, bool isSecured = false)
    {
        ArgumentNullException.ThrowIfNull(host);
        Requirements.Programs("etcd", "etcdctl");
        var etcd = host.Lab.Own(new RealEtcd(host, members, isSecured));
        for (var i = 0; i < members; i++) etcd.StartMember(i);
        etcd.AwaitLeader();
        return etcd;
    }

    /// <summary>Whether a member runs, as far as nobody but a test ended it.</summary>
    public bool Runs(int index) => _members[index] is not null;

    /// <summary>Starts a member that does not run.</summary>
    public void StartMember(int index)
    {
        var scheme = _isSecured ? "https" : "http";
        string PeerOf(int member) => $"http://{Host.Address}:{FirstPeerPort + member}";
        var client = $"{scheme}://{Host.Address}:{FirstClientPort + index}";
        string[] tls = _isSecured ? ["--cert-file", Path.Combine(Folder, "server.crt"), "--key-file", Path.Combine(Folder, "server.key")] : [];
        _members[index] = Host.Start(
        [
            "etcd", "--name", $"m{index}", "--data-dir", DataOf(index), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", PeerOf(index), "--initial-advertise-peer-urls", PeerOf(index), "--initial-cluster", string.Join(',', _members.Select((_, member) => $"m{member}={PeerOf(member)}")),
            "--initial-cluster-token", $"{Path.GetFileName(Folder)}-{_generation}", "--logger", "zap", "--log-level", "error", "--bcrypt-cost", "4", .. tls,
        ]);
    }

    /// <summary>Ends a member as kill -9 does.</summary>
    public void Kill(int index)
    {
        _members[index]!.Signal(LibC.SIGKILL);
        Assert.True(_members[index]!.WaitForExit(Patience));
        _members[index] = null;
    }

    /// <summary>The member that leads.</summary>
    public int AwaitLeader()
    {
        var leader = -1;
        Wait.Until(() => (leader = FindLeader()) >= 0, "etcd has a leader", Patience, 100);
        return leader;
    }

    private int FindLeader()
    {
        for (var i = 0; i < _members.Length; i++)
        {
            // ENDPOINT, ID, VERSION, SIZE, IS LEADER, …
            if (_members[i] is not null && Control("endpoint status", i) is { ExitCode: 0 } status && status.Output.Split(", ") is [_, _, _, _, "true", ..]) return i;
        }

        return -1;
    }

    /// <summary>Runs etcdctl with a member.</summary>
    public CommandResult Control(string words, int member = 0) => Host.Try(["env", .. Environment(member), "etcdctl", .. Command.Split(words)]);

    /// <summary>What etcdctl needs to know, as NAME=VALUE.</summary>
    public IReadOnlyList<string> Environment(int member = 0) =>
    [
        "ETCDCTL_API=3", $"ETCDCTL_ENDPOINTS={(_isSecured ? "https" : "http")}://{Host.Address}:{FirstClientPort + member}", .. _isSecured ? new[] { $"ETCDCTL_CACERT={AuthorityPath}" } : [],
    ];

    /// <summary>Puts a snapshot back, into every member; they are killed if they run, and then run.</summary>
    /// <param name="snapshot">What `etcdctl snapshot save` wrote.</param>
    public void Restore(string snapshot)
    {
        _generation++;
        for (var i = 0; i < _members.Length; i++)
        {
            if (_members[i] is not null) Kill(i);
            Directory.Delete(DataOf(i), recursive: true);
            Host.Try(
            [
                "env", .. Environment(i), "etcdctl", "snapshot", "restore", snapshot, "--name", $"m{i}", "--data-dir", DataOf(i), "--initial-cluster", string.Join(',', _members.Select((_, member) => $"m{member}=http://{Host.Address}:{FirstPeerPort + member}")),
                "--initial-cluster-token", $"{Path.GetFileName(Folder)}-{_generation}", "--initial-advertise-peer-urls", $"http://{Host.Address}:{FirstPeerPort + i}",
            ]).Ok();
        }

        for (var i = 0; i < _members.Length; i++) StartMember(i);
        AwaitLeader();
    }

    private string DataOf(int index) => Path.Combine(Folder, $"m{index}");

    private void MakeCertificates()
    {
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authorityRequest = new CertificateRequest("CN=authority of a test", authorityKey, HashAlgorithmName.SHA256);
        authorityRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var authority = authorityRequest.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(9));
        File.WriteAllText(AuthorityPath, authority.ExportCertificatePem());
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=etcd", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(Host.Address);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(authority, DateTimeOffset.UtcNow.AddHours(-20), DateTimeOffset.UtcNow.AddDays(5), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Path.Combine(Folder, "server.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(Folder, "server.key"), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>Removes its files; the lab has ended its members before, which it was given later.</summary>
    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
