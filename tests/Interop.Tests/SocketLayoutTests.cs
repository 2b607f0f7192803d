using System.Reflection;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Interop.Tests;

/// <summary>What is written and read as bytes rather than as a struct, against the C compiler and against a socket of our own.</summary>
public sealed class SocketLayoutTests
{
    private static readonly string[] Headers = ["sys/types.h", "sys/socket.h", "netinet/in.h", "sys/epoll.h"];
    private static readonly byte[] Loopback4 = [127, 0, 0, 1];
    private static readonly byte[] Loopback6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    [SkippableFact]
    public void Socket_addresses_are_laid_out_as_the_C_compiler_does()
    {
        CCompiler.SkipIfMissing();
        Check(typeof(UnderlaySocket).Assembly.GetType("Sleeve.DataPlane.Interop.SocketAddressLayout")!, new()
        {
            ["Size"] = "sizeof(struct sockaddr_in6)",
            ["IPv4Size"] = "sizeof(struct sockaddr_in)",
            ["PortOffset"] = "offsetof(struct sockaddr_in, sin_port)",
            ["IPv4AddressOffset"] = "offsetof(struct sockaddr_in, sin_addr)",
            ["IPv6AddressOffset"] = "offsetof(struct sockaddr_in6, sin6_addr)",
        });
        var same = CCompiler.Evaluate(Headers, ["offsetof(struct sockaddr_in6, sin6_port)", "sizeof(sa_family_t)"]);
        Assert.Equal([2L, 2L], same.Values.Select(value => value!.Value));
    }

    [SkippableFact]
    public void Poll_events_are_laid_out_as_the_C_compiler_does()
    {
        CCompiler.SkipIfMissing();
        Assert.Equal(CCompiler.Evaluate(Headers, ["sizeof(struct epoll_event)"]).Values.Single(), EventPoll.NativeEventSize);
        Check(typeof(EventPoll), new() { ["DataOffset"] = "offsetof(struct epoll_event, data)" });
    }

    private static void Check(Type type, Dictionary<string, string> expressions)
    {
        var expected = CCompiler.Evaluate(Headers, expressions.Values);
        foreach (var (name, expression) in expressions)
        {
            var field = type.GetField(name, BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public);
            Assert.True(field is not null, $"{type.Name}.{name} is gone");
            Assert.True(expected[expression] == Convert.ToInt64(field.GetValue(null), System.Globalization.CultureInfo.InvariantCulture), $"{name}: {expression} is {expected[expression]}");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_message_may_name_its_interface_beside_everything_else_that_it_may_say(bool isIPv6)
    {
        var loopback = isIPv6 ? Loopback6 : Loopback4;
        using var receiving = new UnderlaySocket(isIPv6);
        using var sending = new UnderlaySocket(isIPv6);
        var to = Bind(receiving, loopback);
        Bind(sending, loopback);
        var slab = new PinnedSlab(4096);
        using var sender = new DatagramSender(slab, capacity: 3, sliceCapacity: 3);
        // Index 1 is lo in every namespace.
        foreach (var index in new[] { 1, int.MaxValue, 1 })
        {
            sender.Begin(loopback, to);
            sender.AddControl(isIPv6 ? LibC.IPPROTO_IPV6 : LibC.IPPROTO_IP, isIPv6 ? LibC.IPV6_TCLASS : LibC.IP_TOS, 4);
            sender.AddControl(isIPv6 ? LibC.IPPROTO_IPV6 : LibC.IPPROTO_IP, isIPv6 ? LibC.IPV6_HOPLIMIT : LibC.IP_TTL, 9);
            if (isIPv6) sender.AddControl(LibC.IPPROTO_IPV6, LibC.IPV6_FLOWINFO, 0);
            sender.LeaveBy(index, isIPv6 ? [] : loopback);
            sender.AddSlice(0, 30);
            sender.CutInto(10);
        }

        var errors = new int[3];
        sender.Send(sending, 0, 3, errors);
        Assert.Equal([0, LibC.ENODEV, 0], errors);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Datagrams_of_several_slices_arrive_whole_with_their_sender(bool isIPv6)
    {
        var loopback = isIPv6 ? Loopback6 : Loopback4;
        using var receiving = new UnderlaySocket(isIPv6);
        using var sending = new UnderlaySocket(isIPv6);
        var to = Bind(receiving, loopback);
        var from = Bind(sending, loopback);

        var slab = new PinnedSlab(4096);
        for (var i = 0; i < slab.Length; i++) slab.Slice(i, 1)[0] = (byte)i;
        using var sender = new DatagramSender(slab, capacity: 3, sliceCapacity: 4);
        sender.Begin(loopback, to);
        sender.AddSlice(10, 8);
        sender.AddSlice(100, 50);
        sender.Begin(loopback, to);
        sender.AddSlice(200, 1);
        sender.Begin(loopback, to);
        sender.AddSlice(0, 300);
        var errors = new int[3];
        sender.Send(sending, 0, 3, errors);
        Assert.Equal([0, 0, 0], errors);

        const int SlotSize = 128;
        using var receiver = new DatagramReceiver(new PinnedSlab(8 * SlotSize), count: 8, SlotSize, offset: 28);
        Assert.Equal(3, receiver.Receive(receiving));
        Assert.Equal([58, 1, 100], Enumerable.Range(0, 3).Select(receiver.LengthOf));
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(receiver.IsCut));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(loopback, receiver.AddressOf(i).ToArray());
            Assert.Equal(from, receiver.PortOf(i));
        }

        Assert.Equal(0, receiver.Receive(receiving));
    }

    [Fact]
    public void A_datagram_that_cannot_be_sent_leaves_the_others_alone()
    {
        using var receiving = new UnderlaySocket(isIPv6: false);
        using var sending = new UnderlaySocket(isIPv6: false);
        var to = Bind(receiving, Loopback4);
        var slab = new PinnedSlab(70_000);
        using var sender = new DatagramSender(slab, capacity: 4, sliceCapacity: 4);
        foreach (var length in new[] { 100, 66_000, 200, 70_000 })
        {
            sender.Begin(Loopback4, to);
            sender.AddSlice(0, length);
        }

        var errors = new int[4];
        sender.Send(sending, 0, 4, errors);
        Assert.Equal([0, LibC.EMSGSIZE, 0, LibC.EMSGSIZE], errors);
        Assert.Throws<ArgumentOutOfRangeException>(() => sender.Begin(Loopback4, to));
        Assert.Throws<ArgumentOutOfRangeException>(() => sender.AddSlice(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => sender.Send(sending, 1, 4, errors));
    }

    [Fact]
    public void A_socket_that_refuses_input_receives_nothing()
    {
        using var socket = new UnderlaySocket(isIPv6: false);
        socket.RefuseInput();
        var port = Bind(socket, Loopback4);
        using var sending = new UnderlaySocket(isIPv6: false);
        using var sender = new DatagramSender(new PinnedSlab(16), 1, 1);
        sender.Begin(Loopback4, port);
        sender.AddSlice(0, 16);
        sender.Send(sending, 0, 1, new int[1]);
        using var receiver = new DatagramReceiver(new PinnedSlab(64), 1, 64, 0);
        Assert.Equal(0, receiver.Receive(socket));
    }

    [Fact]
    public void Binding_twice_gives_the_errno_and_not_an_exception()
    {
        using var first = new UnderlaySocket(isIPv6: false);
        using var second = new UnderlaySocket(isIPv6: false);
        var port = Bind(first, Loopback4);
        Assert.Equal(LibC.EADDRINUSE, second.TryBind(Loopback4, port));
        Assert.Equal(LibC.EADDRNOTAVAIL, second.TryBind([192, 0, 2, 1], 0));
    }

    [Fact]
    public void A_poll_reports_what_is_ready_and_wakes_when_told()
    {
        using var poll = new EventPoll();
        using var receiving = new UnderlaySocket(isIPv6: false);
        var port = Bind(receiving, Loopback4);
        poll.Add(receiving.Descriptor, 7);
        var ready = new int[4];
        Assert.Equal(0, poll.Wait(ready, 0));
        poll.Wake();
        poll.Wake();
        Assert.Equal(0, poll.Wait(ready, -1));
        Assert.Equal(0, poll.Wait(ready, 0));

        using var sender = new DatagramSender(new PinnedSlab(16), 1, 1);
        sender.Begin(Loopback4, port);
        sender.AddSlice(0, 16);
        sender.Send(receiving, 0, 1, new int[1]);
        Assert.Equal(1, poll.Wait(ready, -1));
        Assert.Equal(7, ready[0]);
        poll.Remove(receiving.Descriptor);
        Assert.Equal(0, poll.Wait(ready, 0));
        poll.Remove(receiving.Descriptor);
    }

    private static unsafe ushort Bind(UnderlaySocket socket, byte[] address)
    {
        var errno = socket.TryBind(address, 0);
        Assert.Equal(0, errno);
        var name = stackalloc byte[28];
        uint length = 28;
        Assert.Equal(0, LibC.getsockname(socket.Descriptor, name, &length));
        Assert.Equal(address.Length == 4 ? 16u : 28u, length);
        return (ushort)((name[2] << 8) | name[3]);
    }
}
