using System.Net;
using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// Two stations behind bridges, whose MTU is no smaller than the underlay's: neither knows of the tunnel between them.
/// <code>
///     s 192.168.100.1, fd01::1                                 t 192.168.100.2, fd01::2
///        │ eth0                                                   │ eth0
///     a  br0 ── vx100-a, device under test                     b  br0 ── vx100-b
///        u0 10.0.0.1, fd00::1 ════════ underlay ════════ u0 10.0.0.2, fd00::2
/// </code>
/// </summary>
internal sealed record BridgedPair(Lab Lab, Vtep One, Vtep Other, Host StationOne, Host StationOther)
{
    public static readonly IPAddress One4 = IPAddress.Parse("192.168.100.1");
    public static readonly IPAddress Other4 = IPAddress.Parse("192.168.100.2");
    public static readonly IPAddress One6 = IPAddress.Parse("fd01::1");
    public static readonly IPAddress Other6 = IPAddress.Parse("fd01::2");

    /// <summary>The station's device.</summary>
    public const string StationDevice = "eth0";

    /// <summary>Sets it up; the underlay is one link unless <paramref name="join"/> makes another.</summary>
    public static BridgedPair Make(
        Lab lab, VtepKind one, VtepKind other = VtepKind.Kernel, int mtu = 1500, Func<VtepOptions, VtepOptions>? with = null, Action<Host, Host>? join = null)
    {
        var (a, b, s, t) = (lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("s"), lab.AddHost("t"));
        if (join is null) Lab.JoinDirectly(a, b);
        else join(a, b);
        AddStation(a, s, One4, One6, mtu);
        AddStation(b, t, Other4, Other6, mtu);
        var vtep = Start(one, a, b, mtu, with);
        return new BridgedPair(lab, vtep, Start(other, b, a, mtu, null), s, t);
    }

    public static IPAddress OneOf(AddressFamily family) => family == AddressFamily.InterNetwork ? One4 : One6;

    public static IPAddress OtherOf(AddressFamily family) => family == AddressFamily.InterNetwork ? Other4 : Other6;

    private static Vtep Start(VtepKind kind, Host host, Host remote, int mtu, Func<VtepOptions, VtepOptions>? with)
    {
        var options = new VtepOptions { Remotes = [remote.Address], Mtu = mtu, Bridge = "br0" };
        return Vtep.Start(kind, host, with is null ? options : with(options));
    }

    private static void AddStation(Host host, Host station, IPAddress address4, IPAddress address6, int mtu)
    {
        host.Run("ip link add br0 type bridge mcast_snooping 0");
        host.Run("ip link set br0 up");
        station.Run($"ip link add {StationDevice} mtu {mtu} address 02:00:00:00:0b:{station.Number:x2} type veth peer name st0 netns {host.Namespace}");
        host.Run($"ip link set st0 mtu {mtu} master br0 up");
        station.Run($"ip addr add {address4}/24 dev {StationDevice}");
        station.Run($"ip addr add {address6}/64 dev {StationDevice} nodad");
        station.Run($"ip link set {StationDevice} up");
    }
}
