using Sleeve.DataPlane.Buffers;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>Where datagrams come from. One thread; never blocks.</summary>
public interface IDatagramSource
{
    /// <summary>Adds datagrams, each with its sender, to <paramref name="batch"/> until it is full or there are none. The inner frame, behind the VXLAN header, stands at the headroom's end.</summary>
    void Receive(FrameBatch batch);
}

/// <summary>The network that carries datagrams: UDP sockets, or memory in tests. One thread; never blocks.</summary>
public interface IUnderlay : IDatagramSource
{
    /// <summary>Sends every datagram and writes to each how that went. An error of one leaves the others alone.</summary>
    void Send(DatagramBatch batch);
}
