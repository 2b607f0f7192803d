namespace Sleeve.DataPlane.Wire;

/// <summary>Where a VTEP listens on the underlay: an IP address and a UDP port.</summary>
/// <param name="Address">Unicast or multicast address of the underlay.</param>
/// <param name="Port">UDP port, 1 to 65535; IANA's for VXLAN is 4789.</param>
public readonly record struct VtepAddress(InternetAddress Address, ushort Port)
{
    /// <summary>IANA's UDP port of VXLAN (RFC 7348, section 5). The kernel module's own default, 8472, is older.</summary>
    public const ushort DefaultPort = 4789;

    /// <inheritdoc/>
    public override string ToString() => Address.IsIPv4 ? $"{Address}:{Port}" : $"[{Address}]:{Port}";
}
