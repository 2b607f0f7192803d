using System.Buffers.Binary;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// Which outer headers a frame gets, as the kernel's device decides (ip-link(8)), but for ECN: RFC 6040's normal mode copies the mark as it is, CE too, as its section 4.1 wants
/// of every new tunnel, where the kernel makes ECT(0) of CE. Either way the far end delivers the same. Immutable; any thread.
/// </summary>
public sealed class OuterPolicy
{
    private const int Ipv4FragmentOffset = 6;
    private const int Ipv4TimeToLiveOffset = 8;
    private const int Ipv6HopLimitOffset = 7;
    private const byte DontFragmentFlag = 0x40;
    private const int FlowLabelMask = 0xFFFFF;
    private const byte DefaultTimeToLive = 64;

    private readonly OuterOptions _options;
    private readonly bool _isIPv4;
    private readonly bool _isPlain;

    /// <summary>Makes a policy.</summary>
    /// <param name="options">What was asked for.</param>
    /// <param name="isIPv4">Whether the underlay is IPv4.</param>
    public OuterPolicy(OuterOptions options, bool isIPv4)
    {
        _options = options;
        _isIPv4 = isIPv4;
        _isPlain = options == new OuterOptions();
    }

    /// <summary>The outer class of a frame.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="headers">What was found in it.</param>
    public OuterClass Of(ReadOnlySpan<byte> frame, in InnerHeaders headers)
    {
        var inner = CongestionMark.TypeOfService(frame, headers);
        return _isPlain ? new OuterClass((byte)(inner & CongestionMark.Mask)) : Compose(frame, headers, inner);
    }

    private OuterClass Compose(ReadOnlySpan<byte> frame, in InnerHeaders headers, byte inner)
    {
        var network = frame[headers.NetworkOffset..];
        var typeOfService = _options.TypeOfService == OuterOptions.Inherit ? inner : (_options.TypeOfService & ~CongestionMark.Mask) | (inner & CongestionMark.Mask);
        var timeToLive = _options.TimeToLive != OuterOptions.Inherit ? (byte)_options.TimeToLive
            : headers.IsIPv4 ? network[Ipv4TimeToLiveOffset]
            : headers.IsIPv6 ? network[Ipv6HopLimitOffset]
            : DefaultTimeToLive;
        return _isIPv4
            ? new OuterClass((byte)typeOfService, timeToLive, dontFragment: IsDontFragment(network, headers))
            : new OuterClass((byte)typeOfService, timeToLive, flowLabel: FlowLabel(network, headers));
    }

    // The kernel does not look behind a VLAN tag here.
    private bool IsDontFragment(ReadOnlySpan<byte> network, in InnerHeaders headers) => _options.DontFragment switch
    {
        DontFragmentRule.Set => true,
        DontFragmentRule.Inherit when !headers.IsTagged => headers.IsIPv6 || (headers.IsIPv4 && (network[Ipv4FragmentOffset] & DontFragmentFlag) != 0),
        _ => false,
    };

    private int FlowLabel(ReadOnlySpan<byte> network, in InnerHeaders headers) =>
        _options.FlowLabel != OuterOptions.Inherit ? _options.FlowLabel
        : headers.IsIPv6 ? (int)(BinaryPrimitives.ReadUInt32BigEndian(network) & FlowLabelMask)
        : 0;
}
