namespace Sleeve.DataPlane.Interop;

/// <summary>
/// One pinned allocation that batches slice into slots, so that addresses given to the kernel stay true and nothing is pinned per frame.
/// The owner keeps it alive as long as a native structure points into it.
/// </summary>
public sealed unsafe class PinnedSlab
{
    private readonly byte[] _bytes;

    /// <summary>Allocates <paramref name="length"/> zeroed bytes outside the moving heap.</summary>
    public PinnedSlab(int length) => _bytes = GC.AllocateArray<byte>(length, pinned: true);

    /// <summary>Bytes in the slab.</summary>
    public int Length => _bytes.Length;

    /// <summary>A part of the slab; the bytes stay the slab's.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part is not inside.</exception>
    public Span<byte> Slice(int offset, int length) => _bytes.AsSpan(offset, length);

    internal byte* AddressOf(int offset)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)offset, (uint)_bytes.Length);
        fixed (byte* start = _bytes) return start + offset;
    }
}
