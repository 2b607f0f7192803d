using System.Net.Sockets;
using Sleeve.Control.Host;

namespace Sleeve.Control.Api;

/// <summary>Where an API is: a unix socket, or https://HOST:PORT with the certificate that the environment names.</summary>
internal static class ApiPlace
{
    /// <summary>What places over TCP begin with.</summary>
    public const string Scheme = "https://";

    /// <summary>PEM file of our certificate.</summary>
    public const string CertificateVariable = "SLEEVE_API_CERT";

    /// <summary>PEM file of its key.</summary>
    public const string KeyVariable = "SLEEVE_API_KEY";

    /// <summary>PEM file of who vouches for the server.</summary>
    public const string AuthorityVariable = "SLEEVE_API_CACERT";

    private static readonly TimeSpan FullPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Whether a place is over TCP.</summary>
    public static bool IsRemote(string place) => place.StartsWith(Scheme, StringComparison.Ordinal);

    /// <summary>Whether a text is such a place: no path, no user, no query.</summary>
    public static bool IsUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttps && uri is { AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "", Host.Length: > 0 };

    /// <summary>The root of the API for a client of <see cref="NewHandler"/>.</summary>
    public static Uri BaseOf(string place) => new(IsRemote(place) ? place : "http://localhost");

    /// <summary>What connects there.</summary>
    /// <exception cref="HostException">Over TCP: a variable is missing, or a file cannot be read.</exception>
    public static SocketsHttpHandler NewHandler(string place)
    {
        if (!IsRemote(place)) return new SocketsHttpHandler { ConnectCallback = (_, cancellation) => ConnectAsync(place, cancellation), UseProxy = false, AllowAutoRedirect = false };
        var tls = ApiTls.ForClient(Read(CertificateVariable), Read(KeyVariable), Read(AuthorityVariable), (CertificateVariable, KeyVariable, AuthorityVariable));
        return new SocketsHttpHandler { SslOptions = tls, UseProxy = false, AllowAutoRedirect = false };
    }

    private static string Read(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } path
        ? path
        : throw new HostException($"{variable}: missing; with https:// it must be a PEM file ({CertificateVariable}, {KeyVariable}, {AuthorityVariable})");

    // A server that has more to accept than the kernel keeps is no error but a moment's wait; connect(2) says EAGAIN.
    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellation)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException full) when (full.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
            {
                socket.Dispose();
            }
            catch
            {
                socket.Dispose();
                throw;
            }

            await Task.Delay(FullPause, cancellation);
        }
    }
}
