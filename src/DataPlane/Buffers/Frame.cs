using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Buffers;

/// <summary>
/// A frame or datagram in a slot of a <see cref="FrameBatch"/>: an offset and a length that stages move, never the bytes.
/// </summary>
public struct Frame
{
    /// <summary>Where it starts, in bytes from the start of the batch's slab.</summary>
    public int Offset;

    /// <summary>Bytes.</summary>
    public int Length;

    /// <summary>What its sender left to do.</summary>
    public OffloadFacts Offload;

    /// <summary>Bytes of each datagram but the last, if several of one flow stand here one behind the other; 0 for a single one.</summary>
    public int DatagramLength;

    /// <summary>TOS or traffic class of the outer IP header; set for datagrams only.</summary>
    public byte OuterTypeOfService;

    /// <summary>The VTEP it came from; set for datagrams only.</summary>
    public InternetAddress Sender;
}
