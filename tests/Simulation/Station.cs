namespace Sleeve.Simulation;

/// <summary>A frame as its station sent it.</summary>
/// <param name="Id">Number of the frame, also in its bytes.</param>
/// <param name="Bytes">The whole frame.</param>
/// <param name="Vni">The segment it belongs to.</param>
/// <param name="Origin">Index of the VTEP behind which it was sent.</param>
internal sealed record SentFrame(long Id, byte[] Bytes, uint Vni, int Origin);

/// <summary>A station of a segment: the same MAC may exist in another one.</summary>
internal sealed class Station
{
    internal required ulong Mac { get; init; }

    internal required uint Vni { get; init; }

    /// <summary>Index of the VTEP it is behind now.</summary>
    internal int At { get; set; }
}
