using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>The underlay TAP and what is asked of the host about it; memory in tests. One thread.</summary>
public interface ITunnelPort
{
    /// <summary>MAC of the TAP.</summary>
    MacAddress DeviceMac { get; }

    /// <summary>Whether the kernel takes UDP super-frames in a tunnel, and not only TCP.</summary>
    bool TakesUdp { get; }

    /// <summary>Hands a super-frame over, a <see cref="TunnelFrame"/> with all its headers. The kernel has routed it when this returns.</summary>
    /// <returns>0, or a negative errno if it was refused.</returns>
    int Write(ReadOnlySpan<byte> frame);

    /// <summary>Which address the host sends from to a remote; false without a route.</summary>
    bool TryFindSource(VtepAddress remote, out InternetAddress source);

    /// <summary>Begins to watch what leaves the host for a remote; null if that cannot be done.</summary>
    IDepartures? Watch(VtepAddress remote);
}

/// <summary>Packets that leave the host; disposed as soon as the one in question was seen.</summary>
public interface IDepartures : IDisposable
{
    /// <summary>Takes the next one.</summary>
    /// <param name="packet">Where its beginning goes, from the outer IP header on.</param>
    /// <param name="waitMilliseconds">How long to wait for it.</param>
    /// <returns>Bytes of the whole; 0 if there is none.</returns>
    int Take(Span<byte> packet, int waitMilliseconds);
}
