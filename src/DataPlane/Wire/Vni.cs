using System.Globalization;

namespace Sleeve.DataPlane.Wire;

/// <summary>A VXLAN network identifier (RFC 7348, section 5): 24 bits, 0 to 16777215. 0 is valid, as in the kernel.</summary>
public readonly record struct Vni
{
    /// <summary>The largest identifier.</summary>
    public const uint MaxValue = 0xFF_FFFF;

    /// <summary>Makes an identifier.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number needs more than 24 bits.</exception>
    public Vni(uint value)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MaxValue);
        Value = value;
    }

    /// <summary>The number, 0 to <see cref="MaxValue"/>.</summary>
    public uint Value { get; }

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}
