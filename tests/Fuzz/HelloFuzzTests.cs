using System.Buffers.Binary;
using Sleeve.Control.Peers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>Hostile hellos: only what is exactly one, from a VTEP that is known, with the right nonce or none, gets through; and a session that takes whatever got through never breaks.</summary>
public sealed class HelloFuzzTests
{
    private const int Cases = 200_000;
    private const ulong Nonce = 0x1122_3344_5566_7788;

    [Fact]
    public void What_gets_through_is_what_a_slow_reader_lets_through()
    {
        var random = new Random(5880);
        var underlay = new MemoryUnderlay();
        var desk = new EchoDesk();
        Assert.True(desk.Hellos.TryAdd(new HelloPeer(new VtepAddress(Target.Address(2), 4789), Nonce)));
        var path = new DecapsulationPath(underlay, new StrangerLog()) { Echo = new EchoPort(underlay, desk, static () => 1) };
        var session = new LivenessSession(new LivenessOptions(), Nonce, random, 0);
        var mutator = new Mutator(random, [.. Seeds(), .. Corpus.Datagrams]);
        var (taken, now) = (0, 0L);
        for (var i = 0; i < Cases; i++)
        {
            now += 1_000_000;
            var datagram = mutator.Next();
            var sender = random.Next(4) == 0 ? 9 : 2;
            underlay.Feed(datagram, Target.Address(sender));
            // So much later each time that no limit is met.
            path.Run(i * 1000L);
            Assert.Empty(underlay.Take());
            var got = desk.Hellos.TryFetch(out var heard);
            Assert.True(got == (sender == 2 && IsHello(datagram)), Convert.ToHexString(datagram));
            if (got)
            {
                taken++;
                session.Take(heard.Message, now, random.Next(3) == 0 ? 0 : now - random.Next(100_000_000));
            }

            session.Advance(now);
            if (session.IsDue(now)) Assert.NotEqual(0u, session.Next(now).Sequence);
            Assert.InRange(session.Loss, 0, 1);
        }

        Assert.True(taken > 1000, $"{taken}");
        Assert.True(path.Unassigned.DropsIn(DropReason.EchoRefused) > 100);
        Assert.Null(Balance.Check(path.Unassigned));
    }

    private static bool IsHello(byte[] datagram) =>
        datagram.Length >= 48 && datagram.AsSpan(0, 12).SequenceEqual((byte[])[1, 0, 0, 0, 0, 0, 0, 0, (byte)'S', (byte)'l', (byte)'v', (byte)'e']) && datagram[20] == 1 && datagram[21] == 3
        && BinaryPrimitives.ReadUInt64BigEndian(datagram.AsSpan(12)) != 0 && BinaryPrimitives.ReadUInt64BigEndian(datagram.AsSpan(36)) is 0 or Nonce;

    private static IEnumerable<byte[]> Seeds()
    {
        foreach (var (yours, flags, sequence) in new[] { (Nonce, HelloSigns.HearsYou, 1u), (Nonce, HelloSigns.None, 7u), (0UL, HelloSigns.None, 1u), (Nonce, HelloSigns.Leaving, 9u), (5UL, HelloSigns.HearsYou, uint.MaxValue) })
        {
            var bytes = new byte[HelloMessage.Size];
            new HelloMessage { Nonce = 77, Yours = yours, Flags = flags, Sequence = sequence, Heard = 3, IntervalMilliseconds = 300 }.Write(bytes);
            yield return bytes;
        }
    }
}
