using System.Diagnostics;
using System.Threading.Channels;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Capture;

/// <summary>What a station sent and was sent in a sample.</summary>
internal sealed class TalkerTally
{
    /// <summary>Bytes of frames from it.</summary>
    public long SentBytes { get; set; }

    /// <summary>Bytes of frames to it.</summary>
    public long ReceivedBytes { get; set; }
}

/// <summary>A sample of the frames on all segments.</summary>
/// <param name="Elapsed">How long was looked.</param>
/// <param name="Frames">Frames seen; a super-frame is one.</param>
/// <param name="LeftOut">Frames that found no room, about.</param>
/// <param name="Stations">What each station sent and was sent; at most <see cref="TalkerSampler.MaxStations"/>.</param>
internal sealed record TalkerSample(TimeSpan Elapsed, long Frames, long LeftOut, IReadOnlyDictionary<(uint Vni, MacAddress Mac), TalkerTally> Stations)
{
    /// <summary>What what was seen stands for: 1 if nothing was left out.</summary>
    public double Scale => Frames == 0 ? 1 : (double)(Frames + LeftOut) / Frames;
}

/// <summary>
/// Finds out which stations send most by a short look at the headers of frames, with a capture's rings. The FDB has no counters of stations, so that frames
/// pay nothing while nobody looks. A capture that somebody asks for waits for the end of a look. Any thread.
/// </summary>
internal sealed class TalkerSampler
{
    /// <summary>Stations told apart in a sample.</summary>
    public const int MaxStations = 16_384;

    /// <summary>The longest look, milliseconds.</summary>
    public const int MaxMilliseconds = 1000;

    // 48 bytes a frame: 10,000 of them between two looks into the ring.
    private const int RingBytes = 512 * 1024;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    // Whoever has taken what is in it has its turn.
    private readonly Channel<bool> _gate = Channel.CreateBounded<bool>(1);
    private readonly Vtep _vtep;

    /// <summary>Looks at nothing yet.</summary>
    public TalkerSampler(Vtep vtep)
    {
        _vtep = vtep;
        _gate.Writer.TryWrite(true);
    }

    /// <summary>Runs something while no sample is taken.</summary>
    public async Task<T> WhenIdleAsync<T>(Func<T> run, CancellationToken cancellation)
    {
        await _gate.Reader.ReadAsync(cancellation);
        try
        {
            return run();
        }
        finally
        {
            _gate.Writer.TryWrite(true);
        }
    }

    /// <summary>Takes a sample.</summary>
    /// <param name="only">The segment of interest; null for all.</param>
    /// <param name="length">How long to look, at most <see cref="MaxMilliseconds"/>.</param>
    /// <param name="cancellation">Ends it early.</param>
    /// <returns>Null if somebody captures.</returns>
    public async Task<TalkerSample?> SampleAsync(VtepSegment? only, TimeSpan length, CancellationToken cancellation)
    {
        await _gate.Reader.ReadAsync(cancellation);
        try
        {
            using var session = _vtep.TryCapture(only, EthernetFrame.HeaderSize, RingBytes);
            if (session is null) return null;
            var stations = new Dictionary<(uint, MacAddress), TalkerTally>();
            var start = Stopwatch.GetTimestamp();
            var (frames, records) = (0L, 0L);
            while (Stopwatch.GetElapsedTime(start) < length)
            {
                await Task.Delay(Interval, cancellation);
                foreach (var ring in session.Rings) Drain(ring, stations, ref frames, ref records);
            }

            var elapsed = Stopwatch.GetElapsedTime(start);
            // Of what was lost nobody knows what it was: the same mixture of frames and datagrams, most likely.
            return new TalkerSample(elapsed, frames, records == 0 ? 0 : session.Lost * frames / records, stations);
        }
        finally
        {
            _gate.Writer.TryWrite(true);
        }
    }

    private static void Drain(CaptureRing ring, Dictionary<(uint, MacAddress), TalkerTally> stations, ref long frames, ref long records)
    {
        while (ring.TryRead(out var packet))
        {
            records++;
            if (packet.Point is CapturePoint.FromTap or CapturePoint.ToTap && packet.Bytes.Length >= EthernetFrame.HeaderSize)
            {
                frames++;
                var (destination, source) = (MacAddress.Read(packet.Bytes), MacAddress.Read(packet.Bytes[MacAddress.Size..]));
                if (Find(stations, packet.Vni, source) is { } sender) sender.SentBytes += packet.OriginalLength;
                if (!destination.IsGroup && Find(stations, packet.Vni, destination) is { } receiver) receiver.ReceivedBytes += packet.OriginalLength;
            }

            ring.Free();
        }
    }

    private static TalkerTally? Find(Dictionary<(uint, MacAddress), TalkerTally> stations, uint vni, MacAddress mac)
    {
        if (stations.TryGetValue((vni, mac), out var tally)) return tally;
        return stations.Count >= MaxStations ? null : stations[(vni, mac)] = new TalkerTally();
    }
}
