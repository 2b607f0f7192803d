namespace Sleeve.DataPlane.Wire;

/// <summary>What the group policy extension of VXLAN says about a frame (VXLAN-GBP, draft-smith-vxlan-group-policy, section 2.1).</summary>
/// <param name="Group">Group of the sender, 0 to 65535; 0 for none.</param>
/// <param name="DontLearn">The D bit: who receives the frame must not learn its source.</param>
/// <param name="IsApplied">The A bit: policy has been applied to the frame and must not be again.</param>
public readonly record struct GroupPolicy(ushort Group, bool DontLearn = false, bool IsApplied = false);
