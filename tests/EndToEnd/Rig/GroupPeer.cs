using System.Net;
using System.Net.Sockets;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A member of a multicast group on a host without a VTEP: a UDP socket bound to the group's address.</summary>
public sealed class GroupPeer : IDisposable
{
    private readonly UnderlayPeer _peer;

    /// <summary>Joins on the underlay device.</summary>
    public GroupPeer(Host host, IPAddress group)
    {
        _peer = new UnderlayPeer(host, address: group);
        var index = host.IndexOf(Host.UnderlayDevice);
        if (group.AddressFamily == AddressFamily.InterNetwork)
            _peer.Socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.AddMembership, new MulticastOption(group, index));
        else
            _peer.Socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.AddMembership, new IPv6MulticastOption(group, index));
    }

    /// <summary>What the group is sent.</summary>
    public UnderlayPeer Peer => _peer;

    /// <summary>Has a peer's socket send to groups by the underlay device.</summary>
    public static void LetSend(UnderlayPeer peer, Host host)
    {
        var index = host.IndexOf(Host.UnderlayDevice);
        if (host.Address.AddressFamily == AddressFamily.InterNetwork)
            peer.Socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, IPAddress.HostToNetworkOrder(index));
        else
            peer.Socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastInterface, index);
    }

    /// <inheritdoc/>
    public void Dispose() => _peer.Dispose();
}
