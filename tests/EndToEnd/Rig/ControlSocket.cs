using System.Net.Sockets;

namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// Reads from the unix socket of a running Sleeve, as its commands do: what is polled costs a millisecond this way, a process of its own otherwise.
/// </summary>
internal static class ControlSocket
{
    /// <summary>The JSON at a path of the API of the VTEP that has this device.</summary>
    public static string Get(string device, string path)
    {
        using var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint($"/run/sleeve/{device}.sock"), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var client = new HttpClient(handler) { Timeout = Wait.Soon };
        return client.GetStringAsync(new Uri($"http://localhost/v1/{path}")).GetAwaiter().GetResult();
    }
}
