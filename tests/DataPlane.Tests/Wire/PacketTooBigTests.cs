using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

public sealed class PacketTooBigTests
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private const uint HereIp = 0x0A010001;
    private const uint ThereIp = 0x0A010002;
    private static readonly byte[] HereIp6 = Craft.Address6("2001:db8::1");
    private static readonly byte[] ThereIp6 = Craft.Address6("2001:db8::2");

    private static byte[] V4(byte protocol = 17, byte[]? rest = null, int fragment = 0x4000, uint source = HereIp, uint destination = ThereIp) =>
        Craft.IPv4(source, destination, protocol, rest ?? Craft.Fill(1480), fragment);

    private static byte[] V6(byte next = 17, byte[]? rest = null, byte[]? source = null, byte[]? destination = null) =>
        Craft.IPv6(source ?? HereIp6, destination ?? ThereIp6, next, rest ?? Craft.Fill(1460), hopLimit: 33);

    private static byte[] Frame(int type, byte[] packet, ulong destination = There, ulong source = Here) => Craft.Ethernet(destination, source, type, packet);

    private static InternalAnswer Answer(byte[] frame, int mtu)
    {
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        if (!PacketTooBig.IsAnswerable(frame, headers, mtu)) return new InternalAnswer(false, []);
        var buffer = new byte[PacketTooBig.MaxSize];
        Array.Fill(buffer, (byte)0xAA);
        var length = PacketTooBig.Write(buffer, frame, headers, mtu);
        return new InternalAnswer(true, buffer[..length]);
    }

    private sealed record InternalAnswer(bool IsAnswered, byte[] Bytes);

    [Fact]
    public void IPv4_is_answered_as_RFC_1191_section_4_draws_it()
    {
        var packet = V4();
        var answer = Answer(Frame(0x0800, packet), 1450).Bytes;
        var message = Craft.Concat([3, 4, 0, 0, 0, 0], Craft.U16(1450), packet[..548]);
        Craft.U16(Craft.NaiveChecksum(message)).CopyTo(message, 2);
        var header = Craft.Concat([0x45, 0], Craft.U16(576), [0, 0, 0x40, 0, 64, 1, 0, 0], Craft.U32(ThereIp), Craft.U32(HereIp));
        Craft.U16(Craft.NaiveChecksum(header)).CopyTo(header, 10);
        Assert.Equal(Craft.Ethernet(Here, There, 0x0800, Craft.Concat(header, message)), answer);
    }

    [Fact]
    public void IPv6_is_answered_as_RFC_4443_section_3_2_draws_it()
    {
        var packet = V6();
        var answer = Answer(Frame(0x86DD, packet), 1430).Bytes;
        var message = Craft.Concat([2, 0, 0, 0], Craft.U32(1430), packet[..1232]);
        Craft.U16(Craft.TransportChecksum(ThereIp6, HereIp6, 58, message)).CopyTo(message, 2);
        Assert.Equal(Craft.Ethernet(Here, There, 0x86DD, Craft.IPv6(ThereIp6, HereIp6, 58, message, 33)), answer);
    }

    [Fact]
    public void Tags_are_kept()
    {
        var packet = V4();
        (int, int)[] tags = [(0x88A8, 0x6005), (0x8100, 7)];
        var answer = Answer(Craft.Tagged(There, Here, tags, 0x0800, packet), 1450).Bytes;
        var untagged = Answer(Frame(0x0800, packet), 1450).Bytes;
        Assert.Equal(Craft.Tagged(Here, There, tags, 0x0800, untagged[14..]), answer);
    }

    [Fact]
    public void A_packet_shorter_than_the_quote_is_quoted_whole()
    {
        var four = V4(rest: Craft.Fill(300));
        Assert.Equal(14 + 20 + 8 + 320, Answer(Frame(0x0800, Craft.Concat(four, new byte[50])), 576).Bytes.Length);
        var six = V6(rest: Craft.Fill(300));
        Assert.Equal(14 + 40 + 8 + 340, Answer(Frame(0x86DD, six), 1280).Bytes.Length);
    }

    public static TheoryData<string, byte[], int, bool> Cases() => new()
    {
        { "IPv4 with DF", Frame(0x0800, V4()), 1450, true },
        { "an MTU of 576", Frame(0x0800, V4()), 576, true },
        { "an MTU of 575", Frame(0x0800, V4()), 575, false },
        { "without DF", Frame(0x0800, V4(fragment: 0)), 1450, false },
        { "DF and more fragments", Frame(0x0800, V4(fragment: 0x6000)), 1450, false },
        { "DF in a later fragment", Frame(0x0800, V4(fragment: 0x4010)), 1450, false },
        { "DF and the reserved bit", Frame(0x0800, V4(fragment: 0xC000)), 1450, false },
        { "to a group", Frame(0x0800, V4(destination: 0xE0000001)), 1450, false },
        { "to all", Frame(0x0800, V4(destination: 0xFFFFFFFF)), 1450, false },
        { "from a group", Frame(0x0800, V4(source: 0xE0000001)), 1450, false },
        { "from all", Frame(0x0800, V4(source: 0xFFFFFFFF)), 1450, false },
        { "from 0.0.0.0", Frame(0x0800, V4(source: 0)), 1450, false },
        { "from 0.1.2.3", Frame(0x0800, V4(source: 0x00010203)), 1450, false },
        { "from loopback", Frame(0x0800, V4(source: 0x7F000001)), 1450, false },
        { "an echo request", Frame(0x0800, V4(1, Craft.Concat([8], Craft.Fill(1479)))), 1450, true },
        { "unreachable", Frame(0x0800, V4(1, Craft.Concat([3], Craft.Fill(1479)))), 1450, false },
        { "time exceeded", Frame(0x0800, V4(1, Craft.Concat([11], Craft.Fill(1479)))), 1450, false },
        { "ICMP without a byte", Frame(0x0800, V4(1, [])), 1450, false },
        { "to a group of Ethernet", Frame(0x0800, V4(), destination: Craft.Broadcast), 1450, false },
        { "from a group of Ethernet", Frame(0x0800, V4(), source: Craft.Broadcast), 1450, false },
        { "not IP", Frame(0x88B5, V4()), 1450, false },
        { "IPv6", Frame(0x86DD, V6()), 1430, true },
        { "an MTU of 1280", Frame(0x86DD, V6()), 1280, true },
        { "an MTU of 1279", Frame(0x86DD, V6()), 1279, false },
        { "IPv6 to a group", Frame(0x86DD, V6(destination: Craft.Address6("ff02::1"))), 1430, false },
        { "IPv6 from a group", Frame(0x86DD, V6(source: Craft.Address6("ff02::1"))), 1430, false },
        { "from ::", Frame(0x86DD, V6(source: new byte[16])), 1430, false },
        { "from ::1", Frame(0x86DD, V6(source: Craft.Address6("::1"))), 1430, false },
        { "an ICMPv6 echo request", Frame(0x86DD, V6(58, Craft.Concat([128], Craft.Fill(1459)))), 1430, true },
        { "a neighbour solicitation", Frame(0x86DD, V6(58, Craft.Concat([135], Craft.Fill(1459)))), 1430, true },
        { "a redirect", Frame(0x86DD, V6(58, Craft.Concat([137], Craft.Fill(1459)))), 1430, false },
        { "packet too big", Frame(0x86DD, V6(58, Craft.Concat([2], Craft.Fill(1459)))), 1430, false },
        { "ICMPv6 without a byte", Frame(0x86DD, V6(58, [])), 1430, false },
        { "a first fragment", Frame(0x86DD, V6(44, Craft.Concat([17, 0, 0, 1], Craft.Fill(1456)))), 1430, true },
        { "a first fragment of an error", Frame(0x86DD, V6(44, Craft.Concat([58, 0, 0, 1, 0, 0, 0, 1, 1], Craft.Fill(1451)))), 1430, false },
        { "a later fragment", Frame(0x86DD, V6(44, Craft.Concat([17, 0, 0, 8], Craft.Fill(1456)))), 1430, false },
        { "a fragment header cut short", Frame(0x86DD, V6(44, [17, 0, 0, 1])), 1430, false },
        { "an error behind options", Frame(0x86DD, V6(60, Craft.Concat([58, 0, 1, 4, 0, 0, 0, 0, 1], Craft.Fill(1451)))), 1430, false },
        { "an error behind an authentication header", Frame(0x86DD, V6(51, Craft.Concat([58, 1], new byte[10], [1], Craft.Fill(1440)))), 1430, false },
        { "no next header", Frame(0x86DD, V6(59)), 1430, false },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Answers_whom_the_kernel_would(string what, byte[] frame, int mtu, bool isAnswered) => Assert.True(isAnswered == Answer(frame, mtu).IsAnswered, what);
}
