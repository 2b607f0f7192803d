using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane;

/// <summary>What a VTEP is made with; the options of <c>ip link add type vxlan</c> in parentheses. All segments of a VTEP share it.</summary>
public sealed record VtepOptions
{
    /// <summary>Start of the dynamic ports, which RFC 7348, section 5 recommends for the source port.</summary>
    public const ushort DefaultSourcePortMin = 49152;

    /// <summary>Threads, at most.</summary>
    public const int MaxWorkers = 64;

    /// <summary>A thread a core that this process may use, but at most 4.</summary>
    public static int DefaultWorkers => Math.Min(Environment.ProcessorCount, 4);

    /// <summary>
    /// Underlay address that datagrams are sent from (local); 0.0.0.0 or :: lets the route decide. Its family is the underlay's. Datagrams to
    /// any address of the host are received, as the kernel's device does.
    /// </summary>
    public required InternetAddress Local { get; init; }

    /// <summary>Interface that everything is sent by, and on which groups are joined (dev); 0 lets the route decide. Default 0.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>UDP port to receive on and to send to if an FDB entry says nothing else (dstport), 1 to 65535. Default 4789.</summary>
    public ushort Port { get; init; } = VtepAddress.DefaultPort;

    /// <summary>First UDP source port (srcport), 1 to <see cref="SourcePortMax"/>. Default 49152.</summary>
    public ushort SourcePortMin { get; init; } = DefaultSourcePortMin;

    /// <summary>Last UDP source port, itself included. Default 65535.</summary>
    public ushort SourcePortMax { get; init; } = ushort.MaxValue;

    /// <summary>Compute UDP checksums over IPv4 (udpcsum). Default true, as the kernel does, although RFC 7348, section 5 says SHOULD be zero: receivers can merge only what has one.</summary>
    public bool UdpChecksum { get; init; } = true;

    /// <summary>Send zero UDP checksums over IPv6 (udp6zerocsumtx; RFC 6935). Default false.</summary>
    public bool ZeroChecksum6Transmit { get; init; }

    /// <summary>Receive zero UDP checksums over IPv6 (udp6zerocsumrx; RFC 6936). Default false.</summary>
    public bool ZeroChecksum6Receive { get; init; }

    /// <summary>How runs of datagrams reach the kernel (--tx-offload); null takes the best that passes its self-test. Default null.</summary>
    public TransmitOffload? TransmitOffload { get; init; }

    /// <summary>The underlay TAP, made and set up by the caller, who keeps a queue of it open as long as the VTEP lives; null without one.</summary>
    public UnderlayTapOptions? UnderlayTap { get; init; }

    /// <summary>Why there is no <see cref="UnderlayTap"/>; null where none was tried.</summary>
    public string? UnderlayTapRefusal { get; init; }

    /// <summary>
    /// Gives the receiving socket that a worker of the run before had, if there is one: whoever asks closes it. Default none. One that is of another family or port is not used.
    /// </summary>
    public Func<int, Interop.FileDescriptor?> TakeReceiver { get; init; } = static _ => null;

    /// <summary>Threads that move frames (--workers), 1 to <see cref="MaxWorkers"/>. Each takes about 10 MB. Default <see cref="DefaultWorkers"/>.</summary>
    public int Workers { get; init; } = DefaultWorkers;

    /// <summary>Have the kernel hand over runs of datagrams at once, and merge runs of frames for the TAP (--rx-offload). Default true.</summary>
    public bool ReceiveOffload { get; init; } = true;

    /// <summary>Answer the echo requests of known VTEPs (--echo), see <see cref="EchoMessage"/>. Default true.</summary>
    public bool Echo { get; init; } = true;
}
