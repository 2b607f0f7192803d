namespace Sleeve.Control.Doctor.Checks;

/// <summary>Whether the kernel has vxlan, and a vxlan device of it that has, or wants, a port of ours.</summary>
internal sealed class KernelVxlanCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "kernel-vxlan";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var devices = patient.Host.Links.Where(static link => link.VxlanPort is not null).ToArray();
        var held = patient.Known().Select(static vtep => vtep.Now!.Dstport).ToHashSet();
        var rivals = devices.Where(device => patient.Ports().Contains(device.VxlanPort!.Value)).ToArray();
        foreach (var device in rivals)
        {
            var port = device.VxlanPort!.Value;
            if (held.Contains(port))
            {
                yield return Finding.Warning(device.Name, $"this kernel vxlan device is for UDP port {port} too, which Sleeve has: it cannot be set up as long as Sleeve runs, and Sleeve not again once it is",
                    $"ip link del {device.Name}, or give one of them another dstport");
            }
            else if (device.IsUp)
            {
                yield return Finding.Warning(device.Name, $"this kernel vxlan device has UDP port {port}: sleeve up would not get it",
                    $"ip link set {device.Name} down, or sleeve up … --dstport N with another port");
            }
        }

        if (rivals.Length > 0) yield break;
        var isLoaded = patient.Host.Read("/sys/module/vxlan/version") is not null || devices.Length > 0;
        yield return Finding.Ok("", isLoaded ? "the kernel has vxlan, and no device of it has a port of ours" : "the kernel's vxlan is not loaded; Sleeve does without");
    }
}
