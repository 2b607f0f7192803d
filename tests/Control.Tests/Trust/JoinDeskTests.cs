using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Sleeve.Control.Host;
using Sleeve.Control.Trust;

namespace Sleeve.Control.Tests.Trust;

/// <summary>Who is let in, with what, and what is kept; without any connection.</summary>
public sealed class JoinDeskTests : IAsyncDisposable
{
    private readonly TrustFixture _fixture = new();
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly JoinDesk _desk;

    public JoinDeskTests() => _desk = new JoinDesk(_fixture.Server, name => _fixture.IsElsewhere(name));

    private DateTimeOffset Now => _fixture.Now;

    private Authority Authority => _fixture.Server.Authority!;

    [Fact]
    public void A_host_with_a_token_gets_a_certificate_for_its_name_and_nothing_else_that_it_asked_for()
    {
        var request = new CertificateRequest("CN=a, O=root", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var (answer, fault) = Join(_fixture.Token(), request: Convert.ToBase64String(request.CreateSigningRequest()));
        Assert.Null(fault);
        Assert.Equal("a", answer!.Server);
        using var certificate = X509Certificate2.CreateFromPem(answer.Certificate!);
        Assert.Equal(("b", "CN=b"), (Certificates.HostOf(certificate), certificate.Subject));
        Assert.False(certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        Assert.Equal([Certificates.ClientPurpose], certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<Oid>().Select(static oid => oid.Value));
        Assert.True(Authority.IsGood(certificate));
        // A year, and begun a day ago: clocks differ.
        Assert.InRange((certificate.NotAfter.ToUniversalTime() - Now.UtcDateTime).TotalDays, 364, 366);
        Assert.InRange((Now.UtcDateTime - certificate.NotBefore.ToUniversalTime()).TotalHours, 23, 25);
        using var chain = new X509Chain { ChainPolicy = Certificates.Trust(Authority.Certificate, Certificates.ClientPurpose) };
        Assert.True(chain.Build(certificate));
    }

    [Fact]
    public void A_wrong_token_is_refused_before_anything_else_is_looked_at()
    {
        var token = _fixture.Token();
        foreach (var wrong in new[] { token with { Secret = new string('0', 32) }, token with { Id = "00000000" }, token with { Secret = "" }, token with { Secret = token.Secret + "0" } })
        {
            var (answer, fault) = _desk.Join(new JoinRequestJson(wrong.Id, wrong.Secret, "../etc", "rubbish"), Now);
            Assert.Null(answer);
            Assert.Equal((403, "wrong-token"), (fault!.Status, fault.Code));
        }

        Assert.Equal("wrong-token", _desk.Join(new JoinRequestJson(null, null, null, null), Now).Fault!.Code);
        Assert.Equal("bad-request", _desk.Join(null, Now).Fault!.Code);
        Assert.Equal(["a"], Authority.Hosts);
    }

    [Fact]
    public void A_token_ends_by_the_clock_of_the_one_who_made_it()
    {
        var token = _fixture.Token(TimeSpan.FromMinutes(5));
        Assert.Equal("ended-token", Join(token, at: Now.AddMinutes(5)).Fault!.Code);
        Assert.Null(Join(token, at: Now.AddMinutes(4)).Fault);
    }

    [Fact]
    public void A_token_is_used_as_often_as_it_may_be_and_a_refusal_is_no_use()
    {
        var token = _fixture.Token(uses: 2);
        Assert.Equal("bad-name", Join(token, "a/b").Fault!.Code);
        Assert.Equal("bad-request", Join(token, request: "AAAA").Fault!.Code);
        Assert.Equal("name-taken", Join(token, "a").Fault!.Code);
        Assert.Null(Join(token, "b1").Fault);
        Assert.Null(Join(token, "b2").Fault);
        Assert.Equal("ended-token", Join(token, "b3").Fault!.Code);
        Assert.Equal((0, 2), (_fixture.Server.Tokens.All[0].UsesLeft, _fixture.Server.Tokens.All[0].Used));
    }

    [Fact]
    public void A_token_with_one_use_lets_in_one_of_many_at_once()
    {
        var token = _fixture.Token(uses: 1);
        var outcomes = Enumerable.Range(0, 16).AsParallel().WithDegreeOfParallelism(8).Select(i => Join(token, $"b{i}").Fault?.Code).ToArray();
        Assert.Equal(1, outcomes.Count(static code => code is null));
        Assert.Equal(2, Authority.Hosts.Count);
    }

    [Fact]
    public void A_name_belongs_to_one_key_until_it_is_forgotten()
    {
        var token = _fixture.Token();
        Assert.Null(Join(token).Fault);
        // The answer got lost: the same host asks again.
        Assert.Null(Join(token).Fault);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var stolen = Join(token, request: Certificates.NewRequest(other, "b"));
        Assert.Equal((409, "name-taken"), (stolen.Fault!.Status, stolen.Fault.Code));
        Assert.Contains("sleeve peer forget b", stolen.Fault.Detail, StringComparison.Ordinal);
        Authority.Revoke("b");
        Assert.Null(Join(token, request: Certificates.NewRequest(other, "b")).Fault);
        _fixture.IsElsewhere = static name => name == "c";
        Assert.Equal("name-taken", Join(token, "c").Fault!.Code);
    }

    [Fact]
    public void Only_requests_with_a_key_of_P256_are_signed()
    {
        using var rsa = RSA.Create(2048);
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var good = Convert.FromBase64String(Certificates.NewRequest(_key, "b"));
        var forged = (byte[])good.Clone();
        forged[^1] ^= 1;
        string?[] requests =
        [
            null, "", "AAAA", "not base64!", new string('A', 1 << 20),
            Convert.ToBase64String(new CertificateRequest("CN=b", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest()),
            Certificates.NewRequest(p384, "b"),
            Convert.ToBase64String(forged),
            Convert.ToBase64String([.. good, 0]),
            Convert.ToBase64String(good.AsSpan(0, good.Length - 1)),
        ];
        Assert.All(requests, request => Assert.Null(Certificates.ReadRequest(request)));
        var random = new Random(7348);
        for (var i = 0; i < 2000; i++)
        {
            var mutated = (byte[])good.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--) mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            // Signed by its own key, so a change of either is found; whatever comes, nothing is thrown.
            if (!mutated.AsSpan().SequenceEqual(good)) Assert.Null(Certificates.ReadRequest(Convert.ToBase64String(mutated)));
        }
    }

    [Fact]
    public void Tokens_and_certificates_outlive_the_process_and_secrets_are_not_kept()
    {
        var folder = _fixture.NewFolder();
        var store = _fixture.Reopen(folder);
        store.Serve("a", Now);
        var token = store.Tokens.Make(store.Authority!.Hash, TimeSpan.FromHours(1), 3, Now);
        var again = _fixture.Reopen(folder);
        Assert.Equal(store.Authority.Hash, again.Authority!.Hash);
        Assert.Equal(TokenVerdict.Good, again.Tokens.Judge(token.Id, token.Secret, Now));
        Assert.Equal(store.Certificate!.SerialNumber, again.Certificate!.SerialNumber);
        again.Serve("a", Now);
        Assert.Equal(store.Certificate.SerialNumber, again.Certificate.SerialNumber);
        foreach (var file in Directory.GetFiles(Path.Combine(folder, "trust")))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            Assert.DoesNotContain(token.Secret, File.ReadAllText(file), StringComparison.Ordinal);
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(folder, "trust")));
        Assert.True(again.Tokens.Remove(token.Id));
        Assert.False(again.Tokens.Remove(token.Id));
        Assert.Equal(TokenVerdict.Unknown, again.Tokens.Judge(token.Id, token.Secret, Now));
    }

    [Fact]
    public void The_number_of_tokens_is_limited()
    {
        for (var i = 0; i < TokenDesk.MaxTokens; i++) _fixture.Server.Tokens.Make(Authority.Hash, TimeSpan.FromHours(1), null, Now);
        Assert.Contains("sleeve token rm", Assert.Throws<HostException>(() => _fixture.Token()).Message, StringComparison.Ordinal);
        // Those that ended a week ago make room.
        _fixture.Server.Tokens.Make(Authority.Hash, TimeSpan.FromHours(1), null, Now.AddDays(8));
        Assert.Single(_fixture.Server.Tokens.All);
    }

    [Fact]
    public void Damaged_files_are_one_clear_error()
    {
        foreach (var (file, text) in new[] { ("tokens.json", "{"), ("tokens.json", """[{"id":"x","secret_hash":"zz"}]"""), ("issued.json", "[1]"), ("authority.key", "rubbish"), ("authority.crt", "rubbish"), ("own.crt", "rubbish") })
        {
            var folder = _fixture.NewFolder();
            _fixture.Reopen(folder).Serve("a", Now);
            File.WriteAllText(Path.Combine(folder, "trust", file), text);
            Assert.Contains("trust", Assert.Throws<HostException>(() => TrustStore.Open(folder)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_own_certificate_is_made_anew_when_a_third_of_its_time_is_left_or_the_name_is_another()
    {
        var first = _fixture.Server.Certificate!.SerialNumber;
        _fixture.Server.Serve("a", Now.AddDays(200));
        Assert.Equal(first, _fixture.Server.Certificate.SerialNumber);
        _fixture.Server.Serve("a", Now.AddDays(250));
        var second = _fixture.Server.Certificate.SerialNumber;
        Assert.NotEqual(first, second);
        _fixture.Server.Serve("z", Now);
        Assert.Equal("z", Certificates.HostOf(_fixture.Server.Certificate));
    }

    [Fact]
    public void Starts_are_counted_also_over_a_state_that_was_lost()
    {
        var folder = _fixture.NewFolder();
        Assert.Equal([1, 2, 3], Enumerable.Range(0, 3).Select(_ => _fixture.Reopen(folder).NextGeneration()));
        Assert.Equal(42, _fixture.Reopen(folder).NextGeneration(least: 41));
        Assert.Equal(43, _fixture.Reopen(folder).NextGeneration());
        Assert.Equal(_fixture.Reopen(folder).Instance, _fixture.Reopen(folder).Instance);
    }

    private (JoinAnswerJson? Answer, JoinFault? Fault) Join(JoinToken token, string name = "b", string? request = null, DateTimeOffset? at = null) =>
        _desk.Join(new JoinRequestJson(token.Id, token.Secret, name, request ?? Certificates.NewRequest(_key, name)), at ?? Now);

    public async ValueTask DisposeAsync()
    {
        _key.Dispose();
        await _fixture.DisposeAsync();
    }
}
