using System.Diagnostics.CodeAnalysis;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>
/// The underlay TAP: one a process, made for it alone, so that nothing on the host has to be put back: the kernel removes it with its last queue,
/// whichever way the process ends. What arrives there has one of the host's own addresses for its source and is to be routed on; only this
/// device is told to allow that, no other device's settings and none of "all" are changed.
/// </summary>
internal sealed class UnderlayDevice : IDisposable
{
    private const string NameTemplate = "sleeve%d";
    private const string IPv4 = "ipv4";
    private const string IPv6 = "ipv6";
    private const int Loose = 2;

    // RFC 7600's dummy address: nobody's, and never on the wire.
    private static readonly InternetAddress DummyAddress = InternetAddress.FromIPv4(0xC0_00_00_08);

    private readonly TunnelTap _tap;

    private UnderlayDevice(TunnelTap tap) => _tap = tap;

    /// <summary>What the data plane needs to know of it.</summary>
    public UnderlayTapOptions Options { get; private set; } = null!;

    /// <summary>Makes it in the network namespace of the sockets, which is the calling thread's.</summary>
    /// <param name="host">That namespace's configuration.</param>
    /// <param name="isIPv4">The underlay's family.</param>
    /// <param name="refusal">Why there is none.</param>
    /// <returns>Null if it cannot be had; nothing is left then.</returns>
    public static UnderlayDevice? TryMake(RouteNetlink host, bool isIPv4, [NotNullWhen(false)] out string? refusal)
    {
        UnderlayDevice? device = null;
        try
        {
            device = new UnderlayDevice(TunnelTap.Open(NameTemplate));
            device.Configure(host, isIPv4);
            refusal = null;
            return device;
        }
        catch (HostException failure)
        {
            refusal = failure.Message;
        }
        catch (ErrnoException failure)
        {
            refusal = failure switch
            {
                { Call: nameof(LibC.TUNSETOFFLOAD), Errno: LibC.EINVAL } => "this kernel's TAPs take no tunnel super-frames (Linux 6.17 and newer do)",
                { Call: nameof(LibC.open) } => OverlayDevice.ExplainTun(failure.Errno),
                { Errno: LibC.EPERM } => "CAP_NET_ADMIN is missing, without which there is no underlay TAP",
                _ => failure.Message,
            };
        }

        device?.Dispose();
        return null;
    }

    private void Configure(RouteNetlink host, bool isIPv4)
    {
        var name = _tap.Name;
        var link = host.GetLink(name);
        // Silent: it shall have no address, and solicit nothing.
        if (isIPv4)
        {
            if (InterfaceSysctl.Read(IPv6, name, "disable_ipv6") is not null) InterfaceSysctl.Write(IPv6, name, "disable_ipv6", 1);
            AllowIPv4(host, link);
        }
        else
        {
            InterfaceSysctl.Write(IPv6, name, "addr_gen_mode", 1);
            InterfaceSysctl.Write(IPv6, name, "accept_ra", 0);
            // Of this device only, unlike conf/all/forwarding, which would make a router of the host (and have it ignore router advertisements).
            InterfaceSysctl.Write(IPv6, name, "force_forwarding", 1);
        }

        host.SetUp(link.Index, up: true);
        Options = new UnderlayTapOptions(name, link.Index, link.Mac);
    }

    private static void AllowIPv4(RouteNetlink host, LinkInfo link)
    {
        // The kernel takes the greater of the two.
        var ofAll = InterfaceSysctl.Read(IPv4, InterfaceSysctl.All, "rp_filter") ?? 0;
        if (ofAll == 1) throw new HostException("net.ipv4.conf.all.rp_filter is 1 (strict), which drops what comes back from a TAP with our own source address; 0 or 2 would do");
        InterfaceSysctl.Write(IPv4, link.Name, "accept_local", 1);
        InterfaceSysctl.Write(IPv4, link.Name, "rp_filter", 0);
        InterfaceSysctl.Write(IPv4, link.Name, "forwarding", 1);
        // Loose reverse path filtering lets our own address through, but not on a device without any. Where new devices begin with it, udev may
        // set it on ours a moment from now (systemd-sysctl).
        if (ofAll != Loose && InterfaceSysctl.Read(IPv4, InterfaceSysctl.Default, "rp_filter") != Loose) return;
        host.AddAddress(link.Index, AddressPrefix.Of(DummyAddress));
    }

    /// <summary>Closes the queue; with that of the last worker the device goes.</summary>
    public void Dispose() => _tap.Dispose();
}
