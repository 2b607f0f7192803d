using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Who is answered, how, how often, and what it may not be good for.</summary>
public sealed class EchoTests
{
    private const ulong Nonce = 0xFEDC_BA98_7654_3200;
    private long _nanoseconds = 1000;

    [Fact]
    public void A_known_VTEP_is_answered_at_its_VXLAN_port_with_as_many_bytes_as_it_sent()
    {
        var (path, underlay, _, desk, segment) = Make();
        var request = Request(1400);
        underlay.Feed(request, Segments.Address(2), typeOfService: 0x28);
        path.Run(0);
        var answer = Assert.Single(underlay.Take());
        Assert.Equal(Segments.Vtep(2), answer.To);
        Assert.Equal(request.Length, answer.Bytes.Length);
        Assert.Equal(request[EchoMessage.Size..], answer.Bytes[EchoMessage.Size..]);
        Assert.True(EchoMessage.TryParse(answer.Bytes, out var said));
        Assert.Equal((EchoKind.Reply, Nonce, 0u, 1u, 0u, 1400u, (byte)0x28), (said.Kind, said.Nonce, said.Sequence, said.Count, said.Late, said.Length, said.TypeOfService));
        Assert.Equal((1, 0), (desk.Answered, desk.Refused));
        Assert.Equal(0, path.Unassigned[Counter.DatagramsReceived]);
        Assert.Equal(0, segment.Fdb.Snapshot(0).Count(static entry => entry.Kind == EntryKind.Dynamic));
    }

    [Fact]
    public void Requests_are_counted_by_nonce_with_their_order_bytes_and_time()
    {
        var (path, underlay, _, _, _) = Make();
        foreach (var sequence in new uint[] { 0, 2, 1, 3 })
        {
            _nanoseconds += 500;
            underlay.Feed(Request(100, sequence: sequence, flags: sequence == 3 ? EchoWishes.Brief : EchoWishes.Silent), Segments.Address(2));
            path.Run(0);
        }

        var answer = Assert.Single(underlay.Take());
        Assert.Equal(EchoMessage.Size, answer.Bytes.Length);
        Assert.True(EchoMessage.TryParse(answer.Bytes, out var said));
        // What it says of bytes and time is about the three before it.
        Assert.Equal((4u, 1u, 300ul, 1000ul), (said.Count, said.Late, said.Bytes, said.ElapsedNanoseconds));

        // Another nonce is another count.
        underlay.Feed(Request(100, nonce: Nonce ^ 0x8000, sequence: 3), Segments.Address(2));
        path.Run(0);
        Assert.True(EchoMessage.TryParse(Assert.Single(underlay.Take()).Bytes, out said));
        Assert.Equal(1u, said.Count);
    }

    [Theory]
    [InlineData(9, 100u, true)] // a stranger
    [InlineData(1, 100u, true)] // this VTEP itself
    [InlineData(2, 999u, true)] // no segment
    [InlineData(2, 100u, false)] // switched off
    public void Nobody_else_is_answered_and_it_is_a_counted_drop(int sender, uint vni, bool isOn)
    {
        var (path, underlay, _, desk, _) = Make(isOn);
        underlay.Feed(Request(100, vni), Segments.Address(sender));
        path.Run(0);
        Assert.Empty(underlay.Take());
        Assert.Equal(1, path.Unassigned.DropsIn(DropReason.EchoRefused));
        Assert.Equal(1, path.Unassigned[Counter.DatagramsReceived]);
        Assert.Equal((0, 1), (desk.Answered, desk.Refused));
    }

    [Fact]
    public void Where_anybody_is_admitted_only_those_are_answered_who_are_known_already()
    {
        var (path, underlay, tap, _, segment) = Make(change: static options => options with { Admission = Admission.Any });
        underlay.Feed(Request(100), Segments.Address(7));
        path.Run(0);
        Assert.Empty(underlay.Take());
        underlay.Feed(Seams.Craft.Vxlan(100, Seams.Craft.Ethernet(Seams.Craft.Broadcast, 0x0200_0000_0077, 0x88B5, [1])), Segments.Address(7));
        path.Run(0);
        Assert.Single(tap.Take());
        Assert.Equal(3, segment.Remotes.Count);
        underlay.Feed(Request(100), Segments.Address(7));
        path.Run(0);
        Assert.Equal(Segments.Vtep(7), Assert.Single(underlay.Take()).To);
    }

    [Fact]
    public void No_more_than_the_limit_is_answered_whoever_asks()
    {
        var (path, underlay, _, desk, _) = Make();
        var answered = 0;
        for (var i = 0; i < 10_000; i++)
        {
            underlay.Feed(Request(64, sequence: (uint)i), Segments.Address(2 + (i % 2)));
            path.Run(5);
            answered += underlay.Take().Length;
        }

        Assert.Equal(EchoDesk.RepliesPerSecond / 2, answered);
        Assert.Equal(10_000 - answered, path.Unassigned.DropsIn(DropReason.EchoRefused));
        // A second later there is as much again, and no more.
        for (var i = 0; i < 10_000; i++)
        {
            underlay.Feed(Request(64), Segments.Address(2));
            path.Run(1005);
        }

        Assert.Equal(EchoDesk.RepliesPerSecond / 2, underlay.Take().Length);
        Assert.Equal(EchoDesk.RepliesPerSecond, desk.Answered);
    }

    [Fact]
    public void An_answer_is_taken_once_by_the_one_who_asked_and_by_nobody_else()
    {
        var (path, underlay, _, desk, segment) = Make();
        var remote = segment.Remotes.All.First(static remote => remote.Address == Segments.Vtep(2));
        var run = new EchoRun(new Vni(100), remote, Nonce | 0x55, 2);
        Assert.Equal(Nonce, run.Nonce);
        byte[] Reply(ulong nonce, uint sequence = 0) => Craft(new EchoMessage { Vni = new Vni(100), Kind = EchoKind.Reply, Nonce = nonce, Sequence = sequence }, 80);
        void Take(byte[] reply, int from = 2)
        {
            underlay.Feed(reply, Segments.Address(from));
            path.Run(0);
        }

        Take(Reply(Nonce));
        Assert.Equal(1, path.Unassigned.DropsIn(DropReason.NoVniFlag)); // nobody asks
        Assert.True(desk.TryBegin(run));
        Assert.False(desk.TryBegin(new EchoRun(new Vni(100), remote, 1, 1)));
        Take(Reply(Nonce ^ (1UL << 60)));
        Assert.Equal(2, path.Unassigned.DropsIn(DropReason.NoVniFlag)); // not this one
        Take(Reply(Nonce | 3));
        Take(Reply(Nonce | 3));
        Take(Reply(Nonce, sequence: 1), from: 9);
        Take(Reply(Nonce, sequence: 2)); // beyond what was asked
        Assert.Equal((2, 1, 1), (run.Replies, run.Duplicates, run.Elsewhere));
        Assert.True(run.IsAnswered(0));
        Assert.Equal((80, 1), (run[0].Length, run[0].Order));
        desk.End(run);
        Take(Reply(Nonce));
        Assert.Equal(3, path.Unassigned.DropsIn(DropReason.NoVniFlag));
        Assert.Empty(underlay.Take());
    }

    [Fact]
    public void Orders_are_sent_with_what_they_ask_for_and_their_fate_is_noted()
    {
        var (_, underlay, _, _, segment) = Make();
        var port = new EchoPort(underlay, new EchoDesk(), () => 4711);
        var remote = segment.Remotes.All.First(static remote => remote.Address == Segments.Vtep(2));
        var run = new EchoRun(new Vni(100), remote, Nonce, 3);
        Assert.False(port.HasOrders);
        port.Post(new EchoOrder(run, 0, 2, 200, 7, EchoWishes.Brief, IsWhole: true));
        Assert.True(port.HasOrders);
        port.SendOrders();
        Assert.False(port.HasOrders);
        var sent = underlay.Take();
        Assert.Equal(2, sent.Length);
        Assert.All(sent, static each => Assert.Equal((200, true), (each.Bytes.Length, each.Outer.DontFragment)));
        Assert.True(EchoMessage.TryParse(sent[1].Bytes, out var message));
        Assert.Equal((Nonce | 7, 1u, EchoWishes.Brief, EchoKind.Request), (message.Nonce, message.Sequence, message.Flags, message.Kind));
        underlay.Outcome = static _ => DropReason.TooBig;
        port.Post(new EchoOrder(run, 2, 1, 2000, 0, EchoWishes.None, IsWhole: false));
        port.SendOrders();
        Assert.Equal((DropReason.TooBig, 4711, 1, 3), (run[2].Drop, run[2].SentNanoseconds, run.NotSent, run.Handled));
        Assert.Null(run[0].Drop);
    }

    [Fact]
    public void More_answers_than_fit_a_batch_all_leave_and_nothing_is_allocated()
    {
        var (path, underlay, _, _, _) = Make();
        var requests = Enumerable.Range(0, 100).Select(i => Request(300, sequence: (uint)i)).ToArray();
        void Feed(long now)
        {
            foreach (var request in requests) underlay.Feed(request, Segments.Address(2));
            while (path.Run(now) > 0)
            {
            }
        }

        Feed(0);
        Assert.Equal(100, underlay.Take().Length);
        underlay.IsRecording = false;
        var least = long.MaxValue;
        for (var round = 1; round < 6 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Feed(round * 1000);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public void Old_counts_make_room_for_new_ones()
    {
        var (path, underlay, _, _, _) = Make();
        for (var i = 0; i <= EchoPort.MaxSessions; i++)
        {
            _nanoseconds += 10;
            underlay.Feed(Request(64, nonce: (ulong)(i + 1) << 32), Segments.Address(2));
            path.Run(i);
        }

        underlay.Take();
        foreach (var (nonce, count) in new[] { (1UL, 1u), ((ulong)EchoPort.MaxSessions, 2u) })
        {
            underlay.Feed(Request(64, nonce: nonce << 32), Segments.Address(2));
            path.Run(0);
            Assert.True(EchoMessage.TryParse(Assert.Single(underlay.Take()).Bytes, out var said));
            Assert.Equal(count, said.Count);
        }
    }

    private (DecapsulationPath Path, MemoryUnderlay Underlay, MemoryTap Tap, EchoDesk Desk, Segment Segment) Make(bool isOn = true, Func<SegmentOptions, SegmentOptions>? change = null)
    {
        var underlay = new MemoryUnderlay();
        var desk = new EchoDesk { IsOn = isOn };
        var path = new DecapsulationPath(underlay, new StrangerLog()) { Echo = new EchoPort(underlay, desk, () => _nanoseconds) };
        var segment = Segments.Make(change);
        foreach (var vtep in new[] { 2, 3 }) segment.Fdb.Append(MacAddress.Zero, Segments.Vtep(vtep), Segments.OwnVni, EntryKind.Permanent, 0);
        var tap = new MemoryTap();
        path.SetPorts([new SegmentPort(segment, tap, new Counters())]);
        return (path, underlay, tap, desk, segment);
    }

    private static byte[] Request(int length, uint vni = 100, ulong nonce = Nonce, uint sequence = 0, EchoWishes flags = EchoWishes.None) =>
        Craft(new EchoMessage { Vni = new Vni(vni), Kind = EchoKind.Request, Nonce = nonce, Sequence = sequence, Flags = flags }, length);

    private static byte[] Craft(EchoMessage message, int length)
    {
        var bytes = Seams.Craft.Fill(length);
        message.Write(bytes);
        return bytes;
    }
}
