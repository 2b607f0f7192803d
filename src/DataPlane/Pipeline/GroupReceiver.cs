using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Membership in one multicast group: a socket of its own, bound to the group's address, which receives what the group is sent and nothing else. So the kernel delivers each datagram
/// once, however many workers share the port (it hands a copy to every socket that matches), and no socket is in more groups than it may (20 by default,
/// net.ipv4.igmp_max_memberships). Opening it joins, closing it leaves. Received from by one worker.
/// </summary>
public sealed class GroupReceiver : IDatagramSource, IDisposable
{
    private readonly UdpUnderlay _underlay;
    private readonly UnderlaySocket _socket;

    internal GroupReceiver(UdpUnderlay underlay, UnderlaySocket socket, InternetAddress own)
    {
        _underlay = underlay;
        _socket = socket;
        Own = own;
    }

    /// <summary>The address that this VTEP sends to the group from: what comes from there has come back.</summary>
    public InternetAddress Own { get; }

    /// <summary>Descriptor of the socket, for a poll.</summary>
    public int Descriptor => _socket.Descriptor;

    /// <summary>Datagrams the socket dropped because its buffer was full.</summary>
    public long SocketDrops => _socket.Drops;

    /// <inheritdoc/>
    public void Receive(FrameBatch batch) => _underlay.Receive(_socket, batch);

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
