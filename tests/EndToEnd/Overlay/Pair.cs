using System.Net;
using Sleeve.EndToEnd.Rig;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>Two hosts, a VTEP each, in one segment; 192.168.100.x and fd01::x on the devices.</summary>
internal sealed record Pair(Lab Lab, Vtep One, Vtep Other)
{
    public static readonly IPAddress Overlay1 = IPAddress.Parse("192.168.100.1");
    public static readonly IPAddress Overlay2 = IPAddress.Parse("192.168.100.2");
    public static readonly IPAddress Overlay1V6 = IPAddress.Parse("fd01::1");
    public static readonly IPAddress Overlay2V6 = IPAddress.Parse("fd01::2");

    /// <summary>The first is the device under test, the other its peer.</summary>
    public static Pair Make(Lab lab, VtepKind peer, bool offloads = true, Func<VtepOptions, VtepOptions>? with = null)
    {
        var (one, other) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(one, other, offloads);
        return new Pair(lab, Start(SleeveProgram.DeviceUnderTest, one, other, with), Start(peer, other, one, with));
    }

    public static IPAddress OverlayOf(Host host, bool ipv6) => IPAddress.Parse(ipv6 ? $"fd01::{host.Number}" : $"192.168.100.{host.Number}");

    private static Vtep Start(VtepKind kind, Host host, Host remote, Func<VtepOptions, VtepOptions>? with)
    {
        var options = new VtepOptions
        {
            Remotes = [remote.Address],
            Addresses = [$"{OverlayOf(host, ipv6: false)}/24", $"{OverlayOf(host, ipv6: true)}/64"],
        };
        return Vtep.Start(kind, host, with is null ? options : with(options));
    }
}
