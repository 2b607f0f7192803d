namespace Sleeve.Control.Demo;

/// <summary>Which VTEP the right host runs.</summary>
internal enum RightVtep
{
    /// <summary>The kernel's vxlan device, or Sleeve where the kernel has none.</summary>
    KernelIfThere,

    /// <summary>The kernel's vxlan device.</summary>
    Kernel,

    /// <summary>Sleeve.</summary>
    Sleeve,
}

/// <summary>What <c>sleeve demo</c> was asked for.</summary>
/// <param name="Right">Which VTEP the right host runs.</param>
/// <param name="IsInside">It is already in a user namespace of its own.</param>
internal sealed record DemoOptions(RightVtep Right, bool IsInside);
