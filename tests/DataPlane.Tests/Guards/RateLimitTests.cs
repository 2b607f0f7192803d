using Sleeve.DataPlane.Guards;

namespace Sleeve.DataPlane.Tests.Guards;

public class RateLimitTests
{
    [Fact]
    public void A_burst_passes_at_once_and_then_the_rate()
    {
        var limit = new RateLimit(perSecond: 100, burst: 200);
        long bucket = 0;
        Assert.Equal(200, Enumerable.Range(0, 1000).Count(_ => limit.TryTake(ref bucket, 1, 5000)));
        Assert.Equal(100, Enumerable.Range(0, 1000).Count(i => limit.TryTake(ref bucket, 1, 5001 + i)));
        Assert.False(RateLimit.IsIdle(bucket, 6000));
        Assert.True(RateLimit.IsIdle(bucket, 8000));
        Assert.Equal(200, Enumerable.Range(0, 1000).Count(_ => limit.TryTake(ref bucket, 1, 9000)));
    }

    [Fact]
    public void Frames_pass_all_or_none_and_a_long_super_frame_is_not_refused_for_ever()
    {
        var limit = new RateLimit(perSecond: 10, burst: 20);
        long bucket = 0;
        Assert.True(limit.TryTake(ref bucket, 15, 1));
        Assert.False(limit.TryTake(ref bucket, 6, 1));
        Assert.True(limit.TryTake(ref bucket, 5, 1));
        Assert.True(limit.TryTake(ref bucket, 44, 60_000));
        Assert.False(limit.TryTake(ref bucket, 1, 60_000));
    }

    // The slow, obvious bucket: tokens as a fraction, filled before each look.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Agrees_with_a_bucket_of_tokens_under_any_traffic(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            // Rates that divide a second into whole nanoseconds: both then count exactly.
            var rate = (int)Math.Pow(10, random.Next(0, 6));
            var burst = random.Next(1, 3 * rate);
            var limit = new RateLimit(rate, burst);
            long bucket = 0;
            decimal tokens = burst;
            long now = random.Next(0, 1_000_000);
            for (var i = 0; i < 200; i++)
            {
                var pause = random.Next(0, 4) == 0 ? random.Next(0, 3000) : 0;
                now += pause;
                tokens = Math.Min(burst, tokens + (pause * (decimal)rate / 1000));
                var frames = random.Next(1, burst + 1);
                var expected = tokens >= frames;
                if (expected) tokens -= frames;
                Assert.True(expected == limit.TryTake(ref bucket, frames, now), $"seed {seed}, round {round}, step {i}: rate {rate}, burst {burst}, {frames} frames, {tokens} tokens");
            }
        }
    }

    [Fact]
    public void Threads_together_get_no_more_than_one_would()
    {
        var limit = new RateLimit(perSecond: 1000, burst: 5000);
        long bucket = 0;
        var taken = 0;
        var refused = 0;
        Parallel.For(0, 4, _ =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                if (limit.TryTake(ref bucket, 1, 7)) Interlocked.Increment(ref taken);
                else Interlocked.Increment(ref refused);
            }
        });
        // Who loses eight races in a row goes free: hardly anybody.
        Assert.InRange(taken, 5000, 5500);
        Assert.Equal(80_000, taken + refused);
    }

    [Fact]
    public void Each_station_has_a_bucket_of_its_own()
    {
        var buckets = new StationBuckets(new RateLimit(10, 10));
        for (ulong station = 1; station <= 40; station++)
        {
            for (var i = 0; i < 10; i++) Assert.True(buckets.TryTake(station, 1, 1));
            Assert.False(buckets.TryTake(station, 1, 1));
        }

        Assert.True(buckets.TryTake(1, 1, 101));
        Assert.False(buckets.TryTake(1, 1, 101));
    }

    [Fact]
    public void More_stations_than_there_are_buckets_are_let_pass_and_do_not_free_the_busy_ones()
    {
        var buckets = new StationBuckets(new RateLimit(10, 10));
        for (var i = 0; i < 10; i++) Assert.True(buckets.TryTake(1, 1, 1));
        for (ulong station = 2; station < 100_000; station++) Assert.True(buckets.TryTake(station, 1, 1));
        Assert.False(buckets.TryTake(1, 1, 1));
        // All silent for long enough: places are free again.
        for (ulong station = 200_000; station < 200_100; station++)
        {
            for (var i = 0; i < 10; i++) Assert.True(buckets.TryTake(station, 1, 60_000));
        }

        Assert.InRange(Enumerable.Range(0, 100).Count(i => !buckets.TryTake(200_000UL + (ulong)i, 1, 60_000)), 90, 100);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(0x0242_0A00_0001, 1)]
    [InlineData(0x0242_0A00_0001, 0x100)]
    [InlineData(0x0200_0000_0000, 0x1_0000)]
    public void Stations_in_a_row_find_places_under_whatever_key(ulong station, ulong step)
    {
        const int Sets = StationBuckets.Capacity / 4;
        var random = new Random(7);
        for (var round = 0; round < 5_000; round++)
        {
            var key = (ulong)random.NextInt64() | 1;
            var taken = new int[Sets];
            for (ulong i = 0; i < 100; i++) taken[StationBuckets.Mix(station + (i * step), key) % Sets]++;
            Assert.True(taken.Sum(static stations => Math.Max(0, stations - 4)) <= 5, $"key {key:x}: {taken.Max()} stations share four buckets");
        }
    }

    [Fact]
    public void Taking_allocates_nothing()
    {
        var buckets = new StationBuckets(new RateLimit(10, 10));
        // The first round is the runtime's: it compiles.
        Round();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Round();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            for (ulong i = 1; i < 100_000; i++) buckets.TryTake(i, 1, (long)i);
        }
    }
}
