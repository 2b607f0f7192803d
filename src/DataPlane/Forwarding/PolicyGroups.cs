using System.Collections;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>A set of VXLAN-GBP groups, 0 (frames without one) to 65535. Immutable; looked up by any thread.</summary>
public sealed class PolicyGroups : IEquatable<PolicyGroups>
{
    private readonly BitArray _groups = new(ushort.MaxValue + 1);

    /// <summary>Makes the set.</summary>
    /// <param name="ranges">First and last group of each range, both included.</param>
    public PolicyGroups(IEnumerable<(ushort First, ushort Last)> ranges)
    {
        ArgumentNullException.ThrowIfNull(ranges);
        foreach (var (first, last) in ranges)
            for (int group = first; group <= last; group++) _groups[group] = true;
    }

    /// <summary>Whether a group is in it.</summary>
    public bool Contains(ushort group) => _groups[group];

    /// <inheritdoc/>
    public bool Equals(PolicyGroups? other) => other is not null && _groups.Cast<bool>().SequenceEqual(other._groups.Cast<bool>());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PolicyGroups);

    /// <inheritdoc/>
    public override int GetHashCode() => _groups.Cast<bool>().Count(static isIn => isIn);
}
