using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>Whether /dev/net/tun is there and can be opened.</summary>
internal sealed class TunDeviceCheck : ICheck
{
    private const string Path = "/dev/net/tun";

    /// <inheritdoc/>
    public string Name => "tun";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        yield return patient.Host.TunErrno switch
        {
            0 => Finding.Ok("", $"{Path} can be opened by this user"),
            LibC.ENOENT => Finding.Error("", $"there is no {Path}: no TAP can be made",
                "modprobe tun; if that does not make it: mkdir -p /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun; for a container: --device /dev/net/tun"),
            LibC.ENXIO or LibC.ENODEV => Finding.Error("", $"{Path} is there, but the kernel has no driver behind it", "modprobe tun"),
            LibC.EACCES => Finding.Error("", $"{Path} may not be opened by this user", "run as root, or: chmod 666 /dev/net/tun (what it allows is decided by CAP_NET_ADMIN)"),
            LibC.EPERM => Finding.Error("", $"{Path} may not be opened in this container", "allow the device: --device /dev/net/tun (Docker, Podman), or c 10:200 rwm in the device rules"),
            var errno => Finding.Error("", $"{Path} cannot be opened: {ErrnoException.Describe(errno)}"),
        };
    }
}
