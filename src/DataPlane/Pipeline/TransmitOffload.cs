namespace Sleeve.DataPlane.Pipeline;

/// <summary>How runs of datagrams reach the kernel.</summary>
public enum TransmitOffload
{
    /// <summary>Each datagram by itself (sendmmsg).</summary>
    None,

    /// <summary>A run of one flow in one send, cut by the kernel or the network card (UDP_SEGMENT).</summary>
    UdpGso,
}
