using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Whose hellos are taken, and how many; and how they are sent.</summary>
public sealed class HelloTests
{
    private const ulong Nonce = 0xFEDC_BA98_7654_3210;
    private readonly MemoryUnderlay _underlay = new();
    private readonly EchoDesk _desk = new();
    private readonly HelloPeer _peer = new(Segments.Vtep(2), Nonce);
    private readonly DecapsulationPath _path;
    private readonly EchoPort _port;

    public HelloTests()
    {
        _port = new EchoPort(_underlay, _desk, static () => 4711);
        _path = new DecapsulationPath(_underlay, new StrangerLog()) { Echo = _port };
        Assert.True(_desk.Hellos.TryAdd(_peer));
    }

    [Fact]
    public void A_hello_with_our_nonce_is_taken_without_any_segment_and_nothing_is_answered()
    {
        Feed(Hello(yours: Nonce));
        Assert.True(_desk.Hellos.TryFetch(out var heard));
        Assert.Equal((_peer, 7u, Nonce, 4711), (heard.Peer, heard.Message.Sequence, heard.Message.Yours, heard.Nanoseconds));
        Assert.False(_desk.Hellos.TryFetch(out _));
        Assert.Empty(_underlay.Take());
        Assert.Equal((1, 0, 1), (_desk.Hellos.Received, _desk.Hellos.Refused, _peer.Received));
        Assert.Equal(0, _path.Unassigned[Counter.DatagramsReceived]);
    }

    [Fact]
    public void A_stranger_and_a_nonce_that_is_not_ours_are_counted_drops()
    {
        Feed(Hello(yours: Nonce), sender: 9);
        Feed(Hello(yours: 0), sender: 9);
        Assert.Equal(2, _path.Unassigned.DropsIn(DropReason.EchoRefused));
        Feed(Hello(yours: Nonce ^ 1));
        Assert.Equal(1, _path.Unassigned.DropsIn(DropReason.NoVniFlag));
        Assert.Equal((0, 3), (_desk.Hellos.Received, _desk.Hellos.Refused));
        Assert.False(_desk.Hellos.TryFetch(out _));
        _desk.Hellos.Remove(_peer);
        Feed(Hello(yours: Nonce));
        Assert.Equal(3, _path.Unassigned.DropsIn(DropReason.EchoRefused));
    }

    [Fact]
    public void Hellos_without_our_nonce_are_limited_and_do_not_use_up_what_those_with_it_have()
    {
        var other = new HelloPeer(Segments.Vtep(3), 77);
        Assert.True(_desk.Hellos.TryAdd(other));
        for (var i = 0; i < 1000; i++)
        {
            Feed(Hello(yours: 0));
            Feed(Hello(yours: Nonce));
        }

        Feed(Hello(yours: 0), sender: 3);
        Assert.Equal((HelloDesk.FirstContactsPerSecond + 1000, 1), (_peer.Received, other.Received));
        Assert.Equal(1000 - HelloDesk.FirstContactsPerSecond, _desk.Hellos.Refused);
    }

    [Fact]
    public void Nobody_is_heard_while_echo_is_off()
    {
        var desk = new EchoDesk { IsOn = false };
        desk.Hellos.TryAdd(_peer);
        var path = new DecapsulationPath(_underlay, new StrangerLog()) { Echo = new EchoPort(_underlay, desk, static () => 1) };
        _underlay.Feed(Hello(yours: Nonce), Segments.Address(2));
        path.Run(0);
        Assert.Equal(1, path.Unassigned.DropsIn(DropReason.EchoRefused));
        Assert.False(desk.Hellos.TryFetch(out _));
    }

    [Fact]
    public void What_is_posted_is_sent_many_at_once_and_its_time_is_noted()
    {
        var peers = Enumerable.Range(10, 150).Select(static i => new HelloPeer(Segments.Vtep(i), (ulong)i << 32)).ToArray();
        _port.Post(peers.Select(static peer => new HelloOrder(peer, new HelloMessage { Nonce = peer.Nonce, Sequence = 3 })).ToArray());
        Assert.True(_port.HasOrders);
        _port.SendOrders();
        Assert.Equal([64, 64, 22], _underlay.Flushes);
        var sent = _underlay.Take();
        Assert.Equal(peers.Select(static peer => peer.Address), sent.Select(static each => each.To));
        Assert.True(HelloMessage.TryParse(sent[5].Bytes, out var message));
        Assert.Equal((peers[5].Nonce, 3u, HelloMessage.Size), (message.Nonce, message.Sequence, sent[5].Bytes.Length));
        Assert.All(peers, static peer => Assert.Equal((4711, 0), (peer.SentNanoseconds(3), peer.NotSent)));
        Assert.Equal(150, _desk.Hellos.Sent);
        _underlay.Outcome = static _ => DropReason.NoRoute;
        _port.Post([new HelloOrder(_peer, new HelloMessage { Nonce = 1, Sequence = 4 })]);
        _port.SendOrders();
        Assert.Equal((150, 1, 0), (_desk.Hellos.Sent, _peer.NotSent, _peer.SentNanoseconds(4)));
    }

    [Fact]
    public void Four_source_ports_take_turns_so_that_one_dead_way_of_several_is_only_loss()
    {
        for (uint i = 0; i < 8; i++) _port.Post([new HelloOrder(_peer, new HelloMessage { Nonce = Nonce, Sequence = i })]);
        _port.SendOrders();
        Assert.Equal(4, _underlay.Take().Select(static each => each.FlowHash).Distinct().Count());
    }

    [Fact]
    public void There_are_no_two_of_one_address_and_no_more_than_the_limit()
    {
        Assert.False(_desk.Hellos.TryAdd(new HelloPeer(Segments.Vtep(2, port: 8472), 5)));
        for (var i = 1; i < HelloDesk.MaxPeers; i++) Assert.True(_desk.Hellos.TryAdd(new HelloPeer(Segments.Vtep(1000 + i), 5)));
        Assert.False(_desk.Hellos.TryAdd(new HelloPeer(Segments.Vtep(100_000), 5)));
    }

    [Fact]
    public void Nothing_is_allocated_for_a_hello_that_comes_or_is_sent()
    {
        var hellos = Enumerable.Range(0, 100).Select(_ => Hello(yours: Nonce)).ToArray();
        var orders = Enumerable.Range(0, 100).Select(i => new HelloOrder(_peer, new HelloMessage { Nonce = Nonce, Sequence = (uint)i })).ToArray();
        _underlay.IsRecording = false;
        void Round()
        {
            foreach (var hello in hellos) _underlay.Feed(hello, Segments.Address(2));
            while (_path.Run(0) > 0)
            {
            }

            while (_desk.Hellos.TryFetch(out _))
            {
            }

            _port.Post(orders);
            _port.SendOrders();
        }

        var least = long.MaxValue;
        for (var round = 0; round < 10 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Round();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    private void Feed(byte[] datagram, int sender = 2)
    {
        _underlay.Feed(datagram, Segments.Address(sender));
        _path.Run(1000);
    }

    private static byte[] Hello(ulong yours)
    {
        var bytes = new byte[HelloMessage.Size];
        new HelloMessage { Nonce = 42, Yours = yours, Sequence = 7, IntervalMilliseconds = 300 }.Write(bytes);
        return bytes;
    }
}
