using System.Diagnostics;
using System.Security.Cryptography;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>Asks one VTEP by echo messages, on behalf of a segment, by the sockets of its worker. One run at a time; one thread at a time.</summary>
/// <param name="vtep">Who sends.</param>
/// <param name="segment">On whose behalf.</param>
/// <param name="remote">Who is asked.</param>
/// <param name="stop">Ends it.</param>
internal sealed class EchoTalk(Vtep vtep, Segment segment, Remote remote, CancellationToken stop)
{
    /// <summary>How long an answer may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(700);

    /// <summary>Who is asked.</summary>
    public Remote Remote => remote;

    /// <summary>On whose behalf.</summary>
    public Segment Segment => segment;

    /// <summary>The source port of a path of a run.</summary>
    public int SourcePort(EchoRun run, int path) => vtep.EchoSourcePort(run, (byte)path);

    /// <summary>Asks one by one, in turns on several paths.</summary>
    /// <param name="paths">How many.</param>
    /// <param name="each">Requests on each.</param>
    /// <param name="length">UDP payload bytes of each.</param>
    /// <param name="interval">Between two.</param>
    /// <param name="flags">What is asked for.</param>
    /// <param name="isWhole">Set DF.</param>
    public Task<EchoRun> PingAsync(int paths, int each, int length, TimeSpan interval, EchoWishes flags = EchoWishes.None, bool isWhole = false) => RunAsync(paths * each, async run =>
    {
        for (var i = 0; i < run.Capacity; i++)
        {
            vtep.Send(new EchoOrder(run, i, 1, length, (byte)(i % paths), flags, isWhole));
            await Task.Delay(interval, stop);
        }

        return run.Capacity;
    });

    /// <summary>Asks many times at once, on one path; the kernel cuts them out of large messages where it is able to.</summary>
    public Task<EchoRun> BurstAsync(int bursts, int each, int length, TimeSpan interval, EchoWishes flags) => RunAsync(bursts * each, async run =>
    {
        for (var i = 0; i < bursts; i++)
        {
            vtep.Send(new EchoOrder(run, i * each, each, length, 0, flags, IsWhole: false));
            await Task.Delay(interval, stop);
        }

        return run.Capacity;
    });

    /// <summary>Sends at a rate without asking for answers, and asks at the end what has arrived.</summary>
    /// <param name="bitsPerSecond">Of IP packets.</param>
    /// <param name="length">UDP payload bytes of each.</param>
    /// <param name="duration">How long.</param>
    /// <returns>The run, whose first requests are those at the end; how many were sent before; and the time that it took.</returns>
    public async Task<(EchoRun Run, int Sent, TimeSpan Took)> FloodAsync(double bitsPerSecond, int length, TimeSpan duration)
    {
        const int Questions = 5, MostAtOnce = 64;
        var each = (length + HeaderBytes) * 8.0;
        var (sent, took) = (0, duration);
        var run = await RunAsync(Questions, async run =>
        {
            var start = Stopwatch.GetTimestamp();
            for (var elapsed = TimeSpan.Zero; elapsed < duration; elapsed = Stopwatch.GetElapsedTime(start))
            {
                var due = (int)(bitsPerSecond * elapsed.TotalSeconds / each) - sent;
                // Never far ahead of the worker: what it has not sent yet waits in memory.
                while (due > 0 && sent - run.Handled < 16 * MostAtOnce)
                {
                    var count = Math.Min(due, MostAtOnce);
                    vtep.Send(new EchoOrder(run, Questions + sent, count, length, 0, EchoWishes.Silent, IsWhole: false));
                    sent += count;
                    due -= count;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(1), stop);
            }

            while (run.Handled < sent && Stopwatch.GetElapsedTime(start) < duration + Patience) await Task.Delay(TimeSpan.FromMilliseconds(1), stop);
            took = Stopwatch.GetElapsedTime(start);
            for (var i = 0; i < Questions; i++)
            {
                vtep.Send(new EchoOrder(run, i, 1, EchoMessage.Size, 0, EchoWishes.Brief, IsWhole: false));
                await Task.Delay(TimeSpan.FromMilliseconds(20), stop);
            }

            return Questions;
        }, TimeSpan.FromSeconds(2));
        return (run, sent, took);
    }

    /// <summary>IP and UDP headers of what is sent.</summary>
    public int HeaderBytes => remote.Address.Address.IsIPv4 ? 28 : 48;

    private async Task<EchoRun> RunAsync(int capacity, Func<EchoRun, Task<int>> send, TimeSpan? patience = null)
    {
        var run = new EchoRun(segment.Options.Vni, remote, BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)), capacity);
        if (!vtep.Echo.TryBegin(run)) throw new InvalidOperationException("another run is under way");
        try
        {
            var wanted = await send(run);
            var sent = Stopwatch.GetTimestamp();
            while (run.Replies < wanted - run.NotSent && Stopwatch.GetElapsedTime(sent) < (patience ?? Patience)) await Task.Delay(TimeSpan.FromMilliseconds(2), stop);
            return run;
        }
        finally
        {
            vtep.Echo.End(run);
        }
    }
}
