using System.Diagnostics;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;
using Xunit.Abstractions;

namespace Sleeve.Fuzz;

/// <summary>
/// Mutated frames through the two builders that change or answer them: what comes of them is judged by <see cref="SlowPacket"/>. SLEEVE_FUZZ_SEED
/// replays a seed, SLEEVE_FUZZ_SECONDS goes on for that long with new ones.
/// </summary>
public sealed class PathMtuFuzzTests(ITestOutputHelper output)
{
    private const int Cases = 60_000;

    private static readonly IReadOnlyList<byte[]> TooLong = [.. Corpus.Frames, .. MakeTooLong()];

    private static IEnumerable<byte[]> MakeTooLong()
    {
        var (here, there) = (Craft.Address6("fd00::1"), Craft.Address6("fd00::2"));
        byte[] V4(byte protocol, byte[] rest) => Craft.IPv4(0x0A000001, 0x0A000002, protocol, rest, fragment: 0x4000);
        yield return Craft.Ethernet(2, 0x0200_0000_0001, 0x0800, V4(17, Craft.Fill(1480)));
        yield return Craft.Tagged(2, 0x0200_0000_0001, [(0x8100, 7)], 0x0800, V4(1, Craft.Concat([8], Craft.Fill(1479))));
        yield return Craft.Ethernet(2, 0x0200_0000_0001, 0x86DD, Craft.IPv6(here, there, 17, Craft.Fill(1460)));
        yield return Craft.Ethernet(2, 0x0200_0000_0001, 0x86DD, Craft.IPv6(here, there, 44, Craft.Concat([17, 0, 0, 1], Craft.Fill(1456))));
        yield return Craft.Ethernet(2, 0x0200_0000_0001, 0x86DD, Craft.IPv6(here, there, 60, Craft.Concat([58, 0, 1, 4, 0, 0, 0, 0, 128], Craft.Fill(1451))));
        yield return Craft.Ethernet(2, 0x0200_0000_0001, 0x86DD, Craft.IPv6(here, there, 51, Craft.Concat([58, 1], new byte[10], [128], Craft.Fill(1440))));
        var syn = Craft.Tcp(1, 2, [], options: [1, 2, 4, 5, 0xB4, 3, 3, 7, 4, 2, 0, 0]);
        syn[13] = 2;
        Craft.U16(Craft.TransportChecksum(Craft.U32(0x0A000001), Craft.U32(0x0A000002), 6, syn)).CopyTo(syn, 16);
        yield return Craft.Ethernet(2, 1, 0x0800, V4(6, syn));
        Craft.U16(0).CopyTo(syn, 16);
        Craft.U16(Craft.TransportChecksum(here, there, 6, syn)).CopyTo(syn, 16);
        yield return Craft.Tagged(2, 1, [(0x8100, 7), (0x8100, 8)], 0x86DD, Craft.IPv6(here, there, 6, syn));
    }

    [Fact]
    public void An_answer_is_a_right_ICMP_error_about_a_packet_that_was_no_error() => Run(static (random, frame) =>
    {
        var mtu = random.Next(500, 1600);
        if (!InnerHeaders.TryParse(frame, out var headers) || !PacketTooBig.IsAnswerable(frame, headers, mtu)) return;
        var buffer = new byte[PacketTooBig.MaxSize + 16];
        buffer.AsSpan().Fill(0xAA);
        var length = PacketTooBig.Write(buffer, frame, headers, mtu);
        Require(length <= PacketTooBig.MaxSize && buffer.AsSpan(length).IndexOfAnyExcept((byte)0xAA) < 0, "more was written than it says");
        var (asked, answer) = (SlowPacket.Parse(frame)!, SlowPacket.Parse(buffer[..length])!);
        Require(answer.Destination == asked.Source && answer.Source == asked.Destination && answer.Tags == asked.Tags && answer.Type == asked.Type, "another Ethernet header");
        Require(asked.IsStation && (asked.Destination >> 40 & 1) == 0, "to or from a group");
        Require(answer.IpVersion == asked.IpVersion && answer.IpSource.SequenceEqual(asked.IpDestination) && answer.IpDestination.SequenceEqual(asked.IpSource), "other addresses");
        Require(answer.HopLimit == asked.HopLimit && answer.IpLength == length - 14 - (4 * answer.Tags), "another hop limit or length");
        Require(asked.IpVersion == 4 ? mtu >= 576 && SlowPacket.Word(asked.Payload, 6) == 0x4000 : mtu >= 1280, "nobody may be told that");
        var message = answer.Transport!;
        var isFour = asked.IpVersion == 4;
        Require(isFour ? message[0] == 3 && message[1] == 4 && SlowPacket.Word(message, 6) == mtu : message[0] == 2 && message[1] == 0 && SlowPacket.Number(message[4..8]) == (ulong)mtu, "another message");
        var covered = isFour ? message : Craft.Concat(Craft.PseudoHeader(answer.IpSource, answer.IpDestination, 58, message.Length), message);
        Require(Craft.NaiveSum(covered) == 0xFFFF && (!isFour || Craft.NaiveSum(answer.Payload[..20]) == 0xFFFF), "a wrong checksum");
        var quote = message[8..];
        Require(quote.AsSpan().SequenceEqual(asked.Payload.AsSpan(0, Math.Min(asked.IpLength, isFour ? 548 : 1232))), "another quote");
        var isError = asked.Transport is { Length: > 0 } t && ((isFour && asked.Protocol == 1 && t[0] is 3 or 4 or 5 or 11 or 12) || (!isFour && asked.Protocol == 58 && t[0] < 128));
        Require(!isError, "an error was answered");
    });

    [Fact]
    public void A_segment_size_is_only_ever_lowered_and_its_checksum_stays_as_right_as_it_was() => Run(static (random, frame) =>
    {
        if (!InnerHeaders.TryParse(frame, out var headers) || !MaximumSegmentSize.IsOpening(frame, headers)) return;
        var before = SlowPacket.Parse(frame)!;
        var limit = (ushort)random.Next(64, 2000);
        var changed = frame.ToArray();
        var isLowered = MaximumSegmentSize.TryLower(changed, headers, limit, isChecksumUnfinished: false);
        var after = SlowPacket.Parse(changed)!;
        Require(before.Protocol == 6 && before.Transport is { Length: >= 20 } t && (t[13] & 2) != 0, "no SYN segment");
        var places = Enumerable.Range(0, frame.Length).Where(i => frame[i] != changed[i]).Select(i => i - before.TransportOffset).ToArray();
        Require(isLowered || places.Length == 0, "changed and not lowered");
        if (!isLowered) return;
        var at = Enumerable.Range(20, before.Transport!.Length - 21).FirstOrDefault(i => SlowPacket.Word(after.Transport!, i) == limit && SlowPacket.Word(before.Transport, i) > limit, -1);
        Require(at > 0 && places.All(place => place is 16 or 17 || place == at || place == at + 1), "something else was changed");
        ushort Sum(SlowPacket packet) => Craft.NaiveSum(Craft.Concat(Craft.PseudoHeader(packet.IpSource, packet.IpDestination, 6, packet.Transport!.Length), packet.Transport));
        Require(Sum(before) % 0xFFFF == Sum(after) % 0xFFFF, "the sum is another");
    });

    private void Run(Action<Random, byte[]> judge)
    {
        var seconds = Environment.GetEnvironmentVariable("SLEEVE_FUZZ_SECONDS") is { Length: > 0 } text ? double.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : 0;
        var seed = Environment.GetEnvironmentVariable("SLEEVE_FUZZ_SEED") is { Length: > 0 } given ? int.Parse(given, System.Globalization.CultureInfo.InvariantCulture) : 1191;
        var started = Stopwatch.GetTimestamp();
        do
        {
            output.WriteLine($"seed {seed}");
            var random = new Random(seed);
            var mutator = new Mutator(random, TooLong);
            for (var i = 0; i < Cases; i++)
            {
                var bytes = mutator.Next();
                try
                {
                    judge(random, bytes);
                }
                catch (Exception exception)
                {
                    throw new InvalidOperationException($"replay with SLEEVE_FUZZ_SEED={seed}, case {i}: {exception.Message}\n{Convert.ToHexString(bytes)}", exception);
                }
            }

            seed = Random.Shared.Next();
        }
        while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds);
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition) throw new InvalidOperationException(otherwise);
    }
}
