using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Host;

namespace Sleeve.Control.Trust;

/// <summary>The host that serves a cluster.</summary>
/// <param name="Host">Name or address; an IPv6 address without brackets.</param>
/// <param name="Port">TCP port.</param>
internal sealed record JoinPlace(string Host, int Port)
{
    /// <summary>What a word for it must be.</summary>
    public const string Allowed = "HOST or HOST:PORT, a name or an address, an IPv6 address with a port in brackets";

    /// <summary>Reads HOST[:PORT].</summary>
    public static bool TryParse(string? text, out JoinPlace place)
    {
        place = new JoinPlace("", ClusterListener.DefaultPort);
        if (text is not { Length: > 0 and <= 300 }) return false;
        if (IPAddress.TryParse(text, out _) && text[0] != '[')
        {
            place = place with { Host = text };
            return true;
        }

        var (host, port) = text.LastIndexOf(':') is >= 0 and var colon && colon > text.LastIndexOf(']') ? (text[..colon], text[(colon + 1)..]) : (text, null);
        if (host is ['[', .., ']']) host = host[1..^1];
        else if (host.Contains(':', StringComparison.Ordinal)) return false;
        if (Uri.CheckHostName(host) == UriHostNameType.Unknown) return false;
        var number = place.Port;
        if (port is not null && (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out number) || number is < 1 or > 65535)) return false;
        place = new JoinPlace(host, number);
        return true;
    }

    /// <summary>The start of its URLs.</summary>
    public Uri Uri => new UriBuilder("https", Host, Port).Uri;

    /// <inheritdoc/>
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}

/// <summary>The side of the host that joins.</summary>
internal static class JoinClient
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private const int MaxAnswerBytes = 64 * 1024;

    /// <summary>Joins: checks that the host is the one that the token is of, gets a certificate, and keeps both.</summary>
    /// <param name="trust">Where they are kept.</param>
    /// <param name="place">The host that serves the cluster.</param>
    /// <param name="token">The token.</param>
    /// <param name="name">What this host is to be called.</param>
    /// <param name="step">Told what is done now.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostException">It cannot join; what it was in before stays.</exception>
    public static async Task<JoinedCluster> JoinAsync(TrustStore trust, JoinPlace place, JoinToken token, string name, Func<string, Task> step, CancellationToken cancellation)
    {
        if (trust.Joined is { } joined) throw new HostException($"this host is {joined.Name} of the cluster that {joined.Server} serves already: sleeve leave first");
        if (trust.Authority is { } own && own.Hosts is { Count: > 1 } others)
            throw new HostException($"this host serves a cluster of its own, which {string.Join(", ", others.Take(10))} are in: sleeve peer forget takes the others out of it");
        await step($"asking {place} who it is");
        using var authority = await FetchAuthorityAsync(place, token, cancellation);
        await step($"joining as {name}");
        using var key = trust.NextKey();
        using var client = new HttpClient(NewHandler(Certificates.ForClient(authority, own: null))) { BaseAddress = place.Uri, Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        var answer = await AskAsync(place, () => client.PostAsJsonAsync(
            "join", new JoinRequestJson(token.Id, token.Secret, name, Certificates.NewRequest(key, name)), TrustJson.Default.JoinRequestJson, cancellation), TrustJson.Default.JoinAnswerJson, cancellation);
        if (answer.Certificate is not { } certificate) throw new HostException($"{place} answered without a certificate: is it another program's port?");
        CheckOwn(certificate, authority, name, place);
        var cluster = new JoinedCluster(place.ToString(), answer.Server ?? place.Host, name, DateTimeOffset.UtcNow);
        trust.Adopt(cluster, authority.ExportCertificatePem(), certificate);
        return cluster;
    }

    /// <summary>Gets a certificate in the place of the one there is.</summary>
    /// <exception cref="HostException">It cannot be had; the one there is stays.</exception>
    public static async Task RenewAsync(TrustStore trust, CancellationToken cancellation)
    {
        if (trust.Joined is not { } cluster || trust.Trusted is not { } authority || !JoinPlace.TryParse(cluster.Server, out var place)) return;
        using var key = trust.NextKey();
        using var client = new HttpClient(trust.NewHandler()) { BaseAddress = place.Uri, Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        var answer = await AskAsync(place, () => client.PostAsJsonAsync("renew", new RenewRequestJson(Certificates.NewRequest(key, cluster.Name)), TrustJson.Default.RenewRequestJson, cancellation),
            TrustJson.Default.JoinAnswerJson, cancellation);
        if (answer.Certificate is not { } certificate) throw new HostException($"{place} answered without a certificate");
        CheckOwn(certificate, authority, cluster.Name, place);
        trust.Adopt(null, null, certificate);
    }

    /// <summary>Tells the host that serves that this one leaves, so that its certificate counts no more; one that is out already is no error.</summary>
    /// <exception cref="HostException">It cannot be told.</exception>
    public static async Task LeaveAsync(TrustStore trust, CancellationToken cancellation)
    {
        if (trust.Joined is not { } cluster || !JoinPlace.TryParse(cluster.Server, out var place)) return;
        using var client = new HttpClient(trust.NewHandler()) { BaseAddress = place.Uri, Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        Task<HttpResponseMessage> AskAsync() => client.PostAsync(new Uri("leave", UriKind.Relative), null, cancellation);
        try
        {
            using var response = await SendAsync(place, AskAsync, cancellation, alsoGood: HttpStatusCode.Forbidden);
        }
        catch (HostException) when (!cancellation.IsCancellationRequested)
        {
            // It may have seen in the store that this host is gone, and cut it off while it asked.
            using var response = await SendAsync(place, AskAsync, cancellation, alsoGood: HttpStatusCode.Forbidden);
        }
    }

    // The first time nobody vouches for it yet but the token: what is fetched is compared with that, and nothing is said before.
    private static async Task<X509Certificate2> FetchAuthorityAsync(JoinPlace place, JoinToken token, CancellationToken cancellation)
    {
        var options = new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
#pragma warning disable CA5359 // Not trusted: only read, and compared with the token's hash.
            RemoteCertificateValidationCallback = static (_, _, _, _) => true,
#pragma warning restore CA5359
        };
        using var client = new HttpClient(NewHandler(options)) { BaseAddress = place.Uri, Timeout = Patience, MaxResponseContentBufferSize = MaxAnswerBytes };
        using var response = await SendAsync(place, () => client.GetAsync(new Uri("ca", UriKind.Relative), cancellation), cancellation);
        var text = await response.Content.ReadAsStringAsync(cancellation);
        X509Certificate2 authority;
        try
        {
            authority = X509Certificate2.CreateFromPem(text);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            throw new HostException($"{place} answered with something that is no certificate: is it another program's port?");
        }

        var hash = Certificates.HashOf(authority);
        if (CryptographicOperations.FixedTimeEquals(Convert.FromHexString(hash), Convert.FromHexString(token.AuthorityHash))) return authority;
        authority.Dispose();
        throw new HostException($"{place} is not the host that made the token (its authority is {hash[..12]}…, not {token.AuthorityHash[..12]}…): another cluster, one that was made anew, or somebody in between; nothing was told to it");
    }

    private static void CheckOwn(string pem, X509Certificate2 authority, string name, JoinPlace place)
    {
        using var certificate = Certificates.Load(pem, $"the answer of {place}");
        using var chain = new X509Chain();
        chain.ChainPolicy = Certificates.Trust(authority, Certificates.ClientPurpose);
        if (Certificates.HostOf(certificate) != name) throw new HostException($"{place} gave a certificate for another host than {name}");
        if (!chain.Build(certificate)) throw new HostException($"{place} gave a certificate that cannot be used: {string.Join(" ", chain.ChainStatus.Select(static status => status.StatusInformation.Trim()))}; {ClockAdvice}");
    }

    private const string ClockAdvice = "is the clock of one of the two hosts wrong by more than a day (date)?";

    private static SocketsHttpHandler NewHandler(SslClientAuthenticationOptions options) =>
        new() { SslOptions = options, ConnectTimeout = TimeSpan.FromSeconds(10), AllowAutoRedirect = false, UseProxy = false, UseCookies = false };

    private static async Task<T> AskAsync<T>(JoinPlace place, Func<Task<HttpResponseMessage>> ask, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        using var response = await SendAsync(place, ask, cancellation);
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellation) ?? throw new HostException($"{place} gave an empty answer");
        }
        catch (JsonException)
        {
            throw new HostException($"{place} gave an answer that is not one of sleeve's: is it another program's port?");
        }
    }

    private static async Task<HttpResponseMessage> SendAsync(JoinPlace place, Func<Task<HttpResponseMessage>> ask, CancellationToken cancellation, HttpStatusCode alsoGood = HttpStatusCode.OK)
    {
        HttpResponseMessage response;
        try
        {
            response = await ask();
        }
        catch (HttpRequestException failure) when (failure.InnerException is AuthenticationException refusal)
        {
            throw new HostException($"{place}: TLS failed: {refusal.InnerException?.Message ?? refusal.Message}; {ClockAdvice}");
        }
        catch (HttpRequestException failure)
        {
            var why = failure.InnerException is SocketException socket ? socket.Message : failure.InnerException?.Message ?? failure.Message;
            throw new HostException($"{place} cannot be reached (TCP): {why}; does that host run sleeve daemon, was sleeve token called there, and does a firewall let TCP {place.Port} through?");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HostException($"{place} cannot be reached (TCP): no answer in time; is the address right, and does a firewall let TCP {place.Port} through?");
        }

        if (response.IsSuccessStatusCode || response.StatusCode == alsoGood) return response;
        using (response)
        {
            JoinProblemJson? problem = null;
            try
            {
                problem = await response.Content.ReadFromJsonAsync(TrustJson.Default.JoinProblemJson, cancellation);
            }
            catch (JsonException)
            {
                // Not ours: the status alone has to do.
            }

            throw new HostException($"{place} refused: {problem?.Detail ?? $"{(int)response.StatusCode} {response.StatusCode}"}");
        }
    }
}
