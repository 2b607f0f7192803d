using System.Diagnostics;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.Seams;
using Xunit.Abstractions;

namespace Sleeve.Fuzz;

/// <summary>
/// Mutated datagrams and frames through both paths, each judged by the <see cref="Oracle"/>. SLEEVE_FUZZ_SEED replays a seed,
/// SLEEVE_FUZZ_SECONDS goes on for that long with new ones.
/// </summary>
public sealed class PathFuzzTests(ITestOutputHelper output)
{
    private const int Cases = 60_000;
    private static readonly DropReason[] Reasons = Enum.GetValues<DropReason>();
    private readonly Target _target = new();
    private readonly long[] _dropsBefore = new long[DropReasons.Count];

    [Fact]
    public void Every_datagram_is_delivered_or_dropped_for_the_reason_the_oracle_gives() => Run(Corpus.Datagrams, (random, datagram) =>
    {
        var sender = random.Next(10) == 0 ? 9 : 2 + random.Next(2);
        var reason = Oracle.Decapsulate(datagram, sender, out var vni, out var frame, out var offload);
        _target.Decapsulate(datagram, sender);
        Require(_target.Underlay.Take().Length == 0, "something went back to the underlay");
        if (reason is { } wanted)
        {
            Require(_target.Drops(wanted) == _dropsBefore[(int)wanted] + 1, $"not dropped as {wanted} but as {LastDrop()}");
            return;
        }

        var delivered = _target.Tap(vni).Delivered;
        Require(delivered.Count == 1, $"not delivered, but dropped as {LastDrop()}");
        Require(delivered[0].Bytes.AsSpan().SequenceEqual(frame), "other bytes were delivered");
        Require(delivered[0].Offload == offload, $"{delivered[0].Offload}, not {offload}");
        delivered.Clear();
    });

    [Fact]
    public void Every_frame_is_answered_sent_or_dropped_as_the_oracle_says() => Run(Corpus.Frames, (_, frame) =>
    {
        var (answer, copies, drops) = Oracle.Encapsulate(frame);
        _target.Encapsulate(frame);
        var delivered = _target.Tap(Target.Vni).Take();
        Require(delivered.Length == (answer is null ? 0 : 1), answer is null ? "answered" : "not answered");
        Require(answer is null || answer.AsSpan().SequenceEqual(delivered[0]), $"another answer: {Convert.ToHexString(delivered.FirstOrDefault() ?? [])}");
        var sent = _target.Underlay.Take();
        Require(sent.Length == copies.Length, $"{sent.Length} datagrams, not {copies.Length}");
        for (var i = 0; i < sent.Length; i++)
        {
            Require(sent[i].To.Address == Target.Address(copies[i].Vtep), "sent elsewhere");
            Require(sent[i].Bytes.AsSpan().SequenceEqual(Craft.Vxlan(copies[i].Vni, frame)), "other bytes were sent");
        }

        foreach (var reason in drops) Require(_target.Drops(reason) == _dropsBefore[(int)reason] + 1, $"not dropped as {reason} but as {LastDrop()}");
    });

    [Fact]
    public void Nothing_is_allocated_whatever_comes()
    {
        var random = new Random(SeedOr(1));
        byte[][] Make(IReadOnlyList<byte[]> corpus)
        {
            var mutator = new Mutator(random, corpus);
            return [.. Enumerable.Range(0, 20_000).Select(_ => mutator.Next())];
        }

        var (frames, datagrams) = (Make(Corpus.Frames), Make(Corpus.Datagrams));
        _target.SetRecording(false);
        // Warm up twice: the first round learns what the second only refreshes. Then the best of three: see ZeroAllocationTests.
        var least = long.MaxValue;
        for (var round = 0; round < 5 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < frames.Length; i++)
            {
                _target.Tap(Target.Vni).Feed(frames[i]);
                if (i % FrameBatch.DefaultCapacity == 0) _target.Encapsulate();
                _target.Decapsulate(datagrams[i], 2 + (i % 3));
            }

            _target.Encapsulate();
            if (round >= 2) least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
        foreach (var counters in _target.AllCounters) Assert.Null(Balance.Check(counters));
    }

    private void Run(IReadOnlyList<byte[]> corpus, Action<Random, byte[]> judge)
    {
        var seconds = Environment.GetEnvironmentVariable("SLEEVE_FUZZ_SECONDS") is { Length: > 0 } text ? double.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : 0;
        var started = Stopwatch.GetTimestamp();
        var seed = SeedOr(7348);
        do
        {
            output.WriteLine($"seed {seed}");
            RunSeed(seed, corpus, judge);
            seed = Random.Shared.Next();
        }
        while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds);
    }

    private void RunSeed(int seed, IReadOnlyList<byte[]> corpus, Action<Random, byte[]> judge)
    {
        var random = new Random(seed);
        var mutator = new Mutator(random, corpus);
        for (var i = 0; i < Cases; i++)
        {
            var bytes = mutator.Next();
            foreach (var reason in Reasons) _dropsBefore[(int)reason] = _target.Drops(reason);
            try
            {
                judge(random, bytes);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"replay with SLEEVE_FUZZ_SEED={seed}, case {i}: {exception.Message}\n{Convert.ToHexString(bytes)}", exception);
            }
        }

        foreach (var counters in _target.AllCounters) Assert.Null(Balance.Check(counters));
    }

    private string LastDrop() => string.Join(", ", Reasons.Where(reason => _target.Drops(reason) > _dropsBefore[(int)reason]));

    private static int SeedOr(int other) =>
        Environment.GetEnvironmentVariable("SLEEVE_FUZZ_SEED") is { Length: > 0 } text ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : other;

    private static void Require(bool condition, string otherwise)
    {
        if (!condition) throw new InvalidOperationException(otherwise);
    }
}
