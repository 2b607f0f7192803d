using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>
/// Hostile echo messages: whatever comes, an answer goes only to a VTEP of the segment, is no longer than what was asked, and there are no more than the limit; the
/// oracle reads the bytes for itself.
/// </summary>
public sealed class EchoFuzzTests
{
    private const int Cases = 200_000;

    [Theory]
    [InlineData(7348)]
    [InlineData(4821)]
    public void An_answer_is_never_longer_than_its_request_and_goes_to_no_stranger(int seed)
    {
        var random = new Random(seed);
        var underlay = new MemoryUnderlay();
        var desk = new EchoDesk();
        var nanoseconds = 1L;
        var path = new DecapsulationPath(underlay, new StrangerLog()) { Echo = new EchoPort(underlay, desk, () => nanoseconds += 100) };
        var segment = new Segment(new SegmentOptions { Vni = new Vni(100), Name = "fuzz" }, new VtepAddress(Target.Address(1), 4789));
        segment.Fdb.Append(MacAddress.Zero, new VtepAddress(Target.Address(2), 4789), new Vni(100), EntryKind.Permanent, 0);
        path.SetPorts([new SegmentPort(segment, new MemoryTap(), new Counters())]);
        var run = new EchoRun(new Vni(100), segment.Remotes.All.First(), 0xAAAA_BBBB_CCCC_0000, 8);
        Assert.True(desk.TryBegin(run));
        var mutator = new Mutator(random, [.. Seeds(run.Nonce), .. Corpus.Datagrams]);
        var (answered, seconds) = (0, 1);
        for (var i = 0; i < Cases; i++)
        {
            var datagram = mutator.Next();
            var sender = random.Next(4) == 0 ? 9 : 2;
            // A second for each thousand, so that the limit is met now and then but not always.
            if (i % 5000 == 0) seconds++;
            underlay.Feed(datagram, Target.Address(sender));
            path.Run(seconds * 1000L);
            var sent = underlay.Take();
            var mayAnswer = sender == 2 && IsRequest(datagram);
            Assert.True(sent.Length <= (mayAnswer ? 1 : 0), Convert.ToHexString(datagram));
            if (sent.Length == 0) continue;
            answered++;
            Assert.Equal(new VtepAddress(Target.Address(2), 4789), sent[0].To);
            Assert.True(sent[0].Bytes.Length <= datagram.Length, Convert.ToHexString(datagram));
            Assert.Equal((0x01, (byte)EchoKind.Reply), (sent[0].Bytes[0], sent[0].Bytes[21]));
            Assert.Equal(datagram[12..20], sent[0].Bytes[12..20]);
        }

        Assert.InRange(answered, 1000, desk.Answered);
        Assert.InRange(desk.Answered, 1000, (long)seconds * EchoDesk.RepliesPerSecond);
        Assert.InRange(run.Replies, 1, 8);
        Assert.True(path.Unassigned.DropsIn(DropReason.EchoRefused) > 100);
        Assert.Null(Balance.Check(path.Unassigned));
    }

    private static bool IsRequest(byte[] datagram) =>
        datagram.Length >= 64 && datagram.AsSpan(0, 12).SequenceEqual((byte[])[1, 0, 0, 0, 0, 0, 100, 0, (byte)'S', (byte)'l', (byte)'v', (byte)'e']) && datagram[20] == 1 && datagram[21] == 1 && (datagram[22] & 2) == 0;

    private static IEnumerable<byte[]> Seeds(ulong nonce)
    {
        foreach (var (kind, flags, length) in new[]
        {
            (EchoKind.Request, EchoWishes.None, 64), (EchoKind.Request, EchoWishes.Brief, 1400), (EchoKind.Request, EchoWishes.Silent, 200), (EchoKind.Request, EchoWishes.DontFragment, 9000),
            (EchoKind.Reply, EchoWishes.None, 64), (EchoKind.Reply, EchoWishes.Coalesced, 500),
        })
        {
            var bytes = new byte[length];
            new EchoMessage { Vni = new Vni(100), Kind = kind, Flags = flags, Nonce = nonce, Sequence = 3 }.Write(bytes);
            yield return bytes;
        }
    }
}
