namespace Sleeve.DataPlane.Wire;

/// <summary>
/// What may differ in the outer IP headers of two datagrams to one VTEP. The default value asks for nothing: TOS 0, the hop limit of the route (1 to a group), DF clear, the
/// flow label that the kernel gives. Datagrams of one class can leave in one send.
/// </summary>
public readonly record struct OuterClass
{
    private const int TimeToLiveShift = 8;
    private const ulong DontFragmentBit = 1UL << 16;
    private const int FlowLabelShift = 32;

    private readonly ulong _bits;

    /// <summary>Makes a class.</summary>
    /// <param name="typeOfService">TOS or traffic class, ECN in its two low bits.</param>
    /// <param name="timeToLive">TTL or hop limit, 1 to 255; 0 for the route's.</param>
    /// <param name="dontFragment">DF; IPv4 only.</param>
    /// <param name="flowLabel">Flow label, 1 to 1048575; 0 for the kernel's own. IPv6 only.</param>
    public OuterClass(byte typeOfService, byte timeToLive = 0, bool dontFragment = false, int flowLabel = 0) =>
        _bits = typeOfService | ((ulong)timeToLive << TimeToLiveShift) | (dontFragment ? DontFragmentBit : 0) | ((ulong)flowLabel << FlowLabelShift);

    private OuterClass(ulong bits) => _bits = bits;

    /// <summary>The same without DF.</summary>
    public OuterClass Fragmentable => new(_bits & ~DontFragmentBit);

    /// <summary>TOS or traffic class, ECN in its two low bits.</summary>
    public byte TypeOfService => (byte)_bits;

    /// <summary>TTL or hop limit; 0 for the route's.</summary>
    public byte TimeToLive => (byte)(_bits >> TimeToLiveShift);

    /// <summary>DF of IPv4.</summary>
    public bool DontFragment => (_bits & DontFragmentBit) != 0;

    /// <summary>Flow label of IPv6; 0 for the kernel's own.</summary>
    public int FlowLabel => (int)(_bits >> FlowLabelShift);

    /// <summary>True if a datagram needs a word of its own to the kernel; DF, which a socket has, is none.</summary>
    public bool NeedsControl => (_bits & ~DontFragmentBit) != 0;
}
