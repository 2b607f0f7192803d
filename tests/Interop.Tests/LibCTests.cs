using System.Reflection;
using System.Runtime.InteropServices;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Interop.Tests;

/// <summary>The C compiler against every constant and struct of LibC, found by reflection: whoever adds one has it checked.</summary>
public class LibCTests
{
    // In this order: the C library's before the kernel's, which then leave out what they have in common.
    private static readonly string[] Headers =
    [
        "errno.h", "fcntl.h", "sched.h", "unistd.h", "sys/types.h", "sys/socket.h", "sys/ioctl.h", "sys/stat.h", "sys/mman.h", "sys/mount.h",
        "sys/prctl.h", "sys/uio.h", "sys/epoll.h", "sys/eventfd.h", "sys/un.h", "pwd.h", "grp.h", "linux/capability.h", "netinet/in.h", "netinet/ip.h", "netinet/udp.h", "poll.h", "time.h", "sys/timex.h", "signal.h", "linux/if.h", "linux/if_arp.h",
        "linux/if_link.h", "linux/if_addr.h", "linux/if_tun.h", "linux/virtio_net.h", "linux/netlink.h", "linux/rtnetlink.h", "linux/neighbour.h",
        "linux/veth.h", "linux/pkt_sched.h", "linux/nsfs.h", "linux/filter.h", "linux/bpf.h", "linux/errqueue.h", "linux/if_packet.h", "linux/if_ether.h", "linux/net_tstamp.h", "linux/in6.h",
    ];

    // Newer than the headers that a supported build machine may have; the value is the kernel's ABI and cannot change.
    private static readonly HashSet<string> MayBeUnknown =
    [
        "IFLA_GSO_IPV4_MAX_SIZE", "VIRTIO_NET_HDR_GSO_UDP_L4", "TUN_F_USO4", "TUN_F_USO6", "TUN_F_UDP_TUNNEL_GSO", "TUN_F_UDP_TUNNEL_GSO_CSUM",
        "VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM", "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4", "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6",
        // Some linux/in6.h leave the options of IPv6 to the C library, which does not have this one.
        "IPV6_FLOWINFO",
    ];

    // Its fields stand in nested structs and, before Linux 6.17, nowhere; TunLayoutTests has its bytes.
    private static readonly HashSet<Type> Elsewhere = [typeof(LibC.virtio_net_hdr_v1_hash_tunnel)];

    // The kernel appends fields to these; ours end earlier, and readers take either length.
    private static readonly HashSet<string> Prefixes = ["rtnl_link_stats64"];

    // Nothing here may be true of one processor alone: the same assemblies run on both.
    [SkippableTheory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public void Every_constant_is_the_C_compilers(Architecture target)
    {
        CCompiler.SkipIfMissing(target);
        var constants = typeof(LibC).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Where(static field => field.IsLiteral && field.FieldType != typeof(string))
            .ToDictionary(static field => field.Name, static field => Bits(field.GetRawConstantValue()!, field.FieldType));
        Assert.NotEmpty(constants);
        var expected = CCompiler.Evaluate(target, Headers, constants.Keys);
        Assert.Equal([], constants.Keys.Where(name => expected[name] is null && !MayBeUnknown.Contains(name)).Select(static name => $"no header has {name}"));
        Assert.Equal([], constants.Where(pair => expected[pair.Key] is { } value && !Same(value, pair.Value))
            .Select(pair => $"{pair.Key} is {pair.Value}, should be {expected[pair.Key]}"));
    }

    [SkippableTheory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public void Every_struct_has_the_C_compilers_size_and_offsets(Architecture target)
    {
        CCompiler.SkipIfMissing(target);
        var ours = new Dictionary<string, long>();
        foreach (var type in typeof(LibC).GetNestedTypes().Where(static type => type is { IsValueType: true, IsEnum: false } && !Elsewhere.Contains(type)))
        {
            if (!Prefixes.Contains(type.Name)) ours[$"sizeof(struct {type.Name})"] = Marshal.SizeOf(type);
            foreach (var field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
            {
                // Two underscores stand for padding, which the headers may call something else.
                if (!field.Name.StartsWith("__", StringComparison.Ordinal))
                    ours[$"offsetof(struct {type.Name}, {field.Name})"] = Marshal.OffsetOf(type, field.Name);
            }
        }

        Assert.NotEmpty(ours);
        var expected = CCompiler.Evaluate(target, Headers, ours.Keys);
        Assert.Equal([], ours.Where(pair => expected[pair.Key] != pair.Value)
            .Select(pair => $"{pair.Key} is {pair.Value}, should be {expected[pair.Key]?.ToString() ?? "known"}"));
    }

    [SkippableTheory]
    [InlineData(Architecture.X64)]
    [InlineData(Architecture.Arm64)]
    public void What_differs_between_processors_is_the_C_compilers_on_each(Architecture target)
    {
        CCompiler.SkipIfMissing(target);
        string[] asked = ["offsetof(struct epoll_event, data)", "sizeof(struct epoll_event)", "SYS_bpf"];
        var expected = CCompiler.Evaluate(target, [.. Headers, "sys/syscall.h"], asked);
        Assert.Equal([EventPoll.DataOffsetOn(target), EventPoll.DataOffsetOn(target) + 8, (long)LibC.NumberOfBpf(target)], asked.Select(name => expected[name]!.Value));
        if (target == RuntimeInformation.ProcessArchitecture) Assert.Equal((expected[asked[1]], expected[asked[2]]), (EventPoll.NativeEventSize, (long)LibC.SYS_bpf));
    }

    // A constant that is unsigned here may be signed there, and the other way round.
    private static bool Same(long c, long ours) => c == ours || (uint)c == (ulong)ours || c == (uint)ours;

    private static long Bits(object value, Type type) => type == typeof(ulong) ? unchecked((long)(ulong)value)
        : Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture);
}
