using Sleeve.Control.Doctor.Checks;

namespace Sleeve.Control.Doctor;

/// <summary>All checks, in the order in which they are told.</summary>
internal static class Examiner
{
    /// <summary>The checks of a host and its VTEPs.</summary>
    public static IReadOnlyList<ICheck> Checks { get; } =
    [
        new ProcessCheck(),
        new TunDeviceCheck(),
        new CapabilityCheck(),
        new KernelVxlanCheck(),
        new PortCheck(),
        new FirewallCheck(),
        new ReversePathCheck(),
        new RouteCheck(),
        new MtuCheck(),
        new OffloadCheck(),
        new BufferCheck(),
        new UdpErrorCheck(),
        new ConntrackCheck(),
        new WorkerCheck(),
        new PeerCheck(),
        new ClusterCheck(),
        new DropCheck(),
        new StationCheck(),
        new ViaCheck(),
        new ClockCheck(),
    ];

    /// <summary>Makes every check.</summary>
    public static IReadOnlyList<(string Check, Finding Finding)> Examine(Patient patient) =>
        [.. Checks.SelectMany(check => check.Examine(patient).Select(finding => (check.Name, finding)))];
}
