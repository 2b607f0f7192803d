using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>How runs of datagrams reach the kernel.</summary>
public enum TransmitOffload
{
    /// <summary>Each datagram by itself (sendmmsg).</summary>
    None,

    /// <summary>A run of one flow in one send, cut by the kernel or the network card (UDP_SEGMENT).</summary>
    UdpGso,

    /// <summary>
    /// A super-frame in one write to the underlay TAP, outer headers in front, which the kernel routes like one of its own vxlan device (Linux
    /// 6.17). What is no super-frame goes as with <see cref="UdpGso"/>.
    /// </summary>
    TunnelGso,
}

/// <summary>What operators call the ways.</summary>
public static class TransmitOffloads
{
    /// <summary>tunnel-gso, udp-gso or none.</summary>
    public static string Name(this TransmitOffload offload) => offload switch
    {
        TransmitOffload.TunnelGso => "tunnel-gso",
        TransmitOffload.UdpGso => "udp-gso",
        _ => "none",
    };
}

/// <summary>The underlay TAP as whoever made it knows it.</summary>
/// <param name="Name">Interface name, in the network namespace of the sockets.</param>
/// <param name="Index">Interface index.</param>
/// <param name="Mac">Its MAC address: frames for the kernel to route go there.</param>
public sealed record UnderlayTapOptions(string Name, int Index, MacAddress Mac);

/// <summary>The way of sending that was asked for cannot be had; the message says which and why.</summary>
public sealed class TransmitOffloadException : IOException
{
    /// <summary>Makes an exception.</summary>
    /// <param name="message">One line.</param>
    public TransmitOffloadException(string message)
        : base(message)
    {
    }
}
