using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>One way to reach each reason; a new reason without a way fails here.</summary>
public sealed class DropReasonTests
{
    private const ulong Station = 0x0200_0000_0002;

    public static TheoryData<DropReason> All => [.. Enum.GetValues<DropReason>()];

    [Theory]
    [MemberData(nameof(All))]
    public void Every_reason_is_reached_and_counted_once(DropReason reason)
    {
        using var host = new Host(options => GuardProvocation.Prepare(options with
        {
            Strict = reason == DropReason.ReservedBits,
            Policy = reason == DropReason.PolicyDenied ? new GroupPolicy(1) : null,
            AcceptedGroups = reason == DropReason.PolicyDenied ? new PolicyGroups([(1, 1)]) : null,
        }, reason));
        Provoke(host, reason);
        foreach (var other in Enum.GetValues<DropReason>())
        {
            var count = host.Counters.DropsIn(other) + host.Counters.DropsOut(other) + host.Decapsulation.Unassigned.DropsIn(other);
            Assert.Equal(other == reason ? 1 : 0, count);
        }
    }

    private static void Provoke(Host host, DropReason reason)
    {
        var fdb = host.Segment.Fdb;
        var frame = Craft.Ethernet(Craft.Broadcast, Station, 0x88B5, Craft.Fill(46));
        var datagram = Craft.Vxlan(100, frame);
        switch (reason)
        {
            case DropReason.Truncated:
                host.Receive(2, datagram[..7]);
                return;
            case DropReason.NoVniFlag:
                host.Receive(2, Craft.Vxlan(100, frame, flags: 0));
                return;
            case DropReason.EchoRefused:
                var request = new byte[EchoMessage.Size];
                new EchoMessage { Vni = Segments.OwnVni, Kind = EchoKind.Request, Nonce = 1 }.Write(request);
                host.Receive(2, request);
                return;
            case DropReason.ReservedBits:
                host.Receive(2, Craft.Vxlan(100, frame, flags: 0x88));
                return;
            case DropReason.UnknownVni:
                host.Receive(2, Craft.Vxlan(101, frame));
                return;
            case DropReason.UnknownVtep:
                host.FloodTo(3);
                host.Receive(2, datagram);
                return;
            case DropReason.EcnContradiction:
                host.Underlay.Feed(Craft.Vxlan(100, Craft.Ethernet(Craft.Broadcast, Station, 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, [])))), Segments.Address(2), typeOfService: 3);
                host.Receive(2);
                return;
            case DropReason.Reflected:
                host.Underlay.Feed(datagram, Segments.Address(1));
                host.Decapsulation.Run(host.Underlay, Segments.Address(1), 0);
                return;
            case DropReason.PolicyDenied:
                host.Receive(2, datagram);
                return;
            case DropReason.OwnMac:
                host.Segment.DeviceMac = MacAddress.FromValue(Station);
                host.Receive(2, datagram);
                return;
            case DropReason.InvalidSource:
                host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(Station, Craft.Broadcast, 0x88B5, [])));
                return;
            case DropReason.TruncatedIp:
                host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(Craft.Broadcast, Station, 0x0800, new byte[19])));
                return;
            case DropReason.StaticConflict:
                host.FloodTo(2);
                fdb.Add(MacAddress.FromValue(Station), Segments.Vtep(3), Segments.OwnVni, EntryKind.Permanent, 0);
                host.Receive(2, datagram);
                return;
            case DropReason.DeviceDown:
                host.Segment.SetUp(false, 0);
                host.Receive(2, datagram);
                return;
            case DropReason.TapRejected:
                host.Tap.Status = TapStatus.Rejected;
                host.Receive(2, datagram);
                return;
            case DropReason.NoRemoteVtep:
                host.Send(frame);
                return;
            case DropReason.NullDestination:
                fdb.Append(MacAddress.Zero, new VtepAddress(InternetAddress.AnyIPv4, 4789), Segments.OwnVni, EntryKind.Permanent, 0);
                host.Send(frame);
                return;
            case DropReason.Hairpin:
                host.FloodTo(1);
                host.Send(frame);
                return;
            case DropReason.BadOffload:
                host.FloodTo(2);
                host.Tap.Feed(frame, new OffloadFacts(true, (ushort)frame.Length, 0));
                host.Send();
                return;
            case DropReason.ExceedsPathMtu:
                host.FloodTo(2);
                host.Segment.IsBridgePort = true;
                foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(1400, PathMtuOrigin.Link);
                host.Send(Craft.Ethernet(Station + 1, Station, 0x0800, Craft.IPv4(0x0A010001, 0x0A010002, 17, Craft.Fill(1400), fragment: 0x4000)));
                return;
            case DropReason.NoRoute or DropReason.NoInterface or DropReason.TooBig or DropReason.WouldBlock or DropReason.Rejected:
                host.FloodTo(2);
                host.Underlay.Outcome = _ => reason;
                host.Send(frame);
                return;
            default:
                if (!GuardProvocation.TryProvoke(host, reason)) Assert.Fail($"nobody knows how to reach {reason}");
                return;
        }
    }
}
