using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Naming;

/// <summary>The sockets of a name server: of one address, heard on one interface only.</summary>
internal static class NameSockets
{
    /// <summary>Any address and port of IPv4.</summary>
    public static readonly IPEndPoint AnyIPv4 = new(IPAddress.Any, 0);

    /// <summary>Any address and port of IPv6.</summary>
    public static readonly IPEndPoint AnyIPv6 = new(IPAddress.IPv6Any, 0);

    // Values of the kernel's headers, the same on x64 and arm64.
    private const int SOL_SOCKET = 1;
    private const int SO_BINDTOIFINDEX = 62;
    private const int SOL_IP = 0;
    private const int IP_FREEBIND = 15;
    private const int SOL_IPV6 = 41;
    private const int IPV6_FREEBIND = 78;

    /// <summary>Opens a socket and binds it. The address need not be on the interface yet (IP_FREEBIND, ip(7)): it may come later, or go and come back.</summary>
    /// <param name="where">The namespace; null for that of the process.</param>
    /// <param name="endpoint">Address and port.</param>
    /// <param name="type">Datagrams or a stream.</param>
    /// <param name="interfaceIndex">The interface.</param>
    /// <exception cref="SocketException">The port is in use there, or there is no permission.</exception>
    public static Socket Open(NetworkNamespace? where, IPEndPoint endpoint, SocketType type, int interfaceIndex) =>
        where is null ? Open(endpoint, type, interfaceIndex) : where.Run(() => Open(endpoint, type, interfaceIndex));

    private static Socket Open(IPEndPoint endpoint, SocketType type, int interfaceIndex)
    {
        var socket = new Socket(endpoint.AddressFamily, type, type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp);
        try
        {
            socket.SetRawSocketOption(SOL_SOCKET, SO_BINDTOIFINDEX, BitConverter.GetBytes(interfaceIndex));
            var isIPv4 = endpoint.AddressFamily == AddressFamily.InterNetwork;
            if (!isIPv4) socket.DualMode = false;
            socket.SetRawSocketOption(isIPv4 ? SOL_IP : SOL_IPV6, isIPv4 ? IP_FREEBIND : IPV6_FREEBIND, BitConverter.GetBytes(1));
            socket.Bind(endpoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
