using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Buffers;

namespace Sleeve.Bench.Micro;

/// <summary>
/// Why the frame path runs to completion and has no pipe in it: 64-byte frames handed from one stage to the next in place, and through a
/// <see cref="Pipe"/>. A pipe carries bytes, not frames, so each needs a length before it, a copy in, and a search for it coming out; a flush and a read
/// take a lock each. Both stages on one thread, which spares the pipe its wake-ups; with a thread each these come on top.
/// </summary>
public class HandOff
{
    private const int Frames = FrameBatch.DefaultCapacity;
    private const int FrameLength = 64;
    private const int LengthSize = 4;
    private readonly FrameBatch _frames = new();
    private readonly Pipe _pipe = new(new PipeOptions(useSynchronizationContext: false, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline));

    [GlobalSetup]
    public void SetUp()
    {
        for (var i = 0; i < Frames; i++)
        {
            _frames.Room(i)[..FrameLength].Fill((byte)i);
            _frames.Add(FrameLength);
        }
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Frames)]
    public int RunToCompletion()
    {
        var sum = 0;
        for (var i = 0; i < Frames; i++) sum += Next(_frames.Bytes(_frames[i]));
        return sum;
    }

    /// <summary>One flush a batch: the least a pipe can cost.</summary>
    [Benchmark(OperationsPerInvoke = Frames)]
    public int PipeFlushedPerBatch()
    {
        for (var i = 0; i < Frames; i++) Put(i);
        Flush();
        return Take();
    }

    /// <summary>One flush a frame, as a receive loop without batches has it.</summary>
    [Benchmark(OperationsPerInvoke = Frames)]
    public int PipeFlushedPerFrame()
    {
        var sum = 0;
        for (var i = 0; i < Frames; i++)
        {
            Put(i);
            Flush();
            sum += Take();
        }

        return sum;
    }

    private void Put(int index)
    {
        var bytes = _frames.Bytes(_frames[index]);
        var room = _pipe.Writer.GetSpan(LengthSize + bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(room, bytes.Length);
        bytes.CopyTo(room[LengthSize..]);
        _pipe.Writer.Advance(LengthSize + bytes.Length);
    }

    private void Flush()
    {
        if (!_pipe.Writer.FlushAsync().IsCompletedSuccessfully) throw new InvalidOperationException("the pipe is full");
    }

    private int Take()
    {
        if (!_pipe.Reader.TryRead(out var read)) throw new InvalidOperationException("the pipe is empty");
        var sum = 0;
        var left = read.Buffer;
        Span<byte> length = stackalloc byte[LengthSize];
        Span<byte> joined = stackalloc byte[FrameLength];
        while (left.Length >= LengthSize)
        {
            left.Slice(0, LengthSize).CopyTo(length);
            var frame = left.Slice(LengthSize, BinaryPrimitives.ReadInt32LittleEndian(length));
            if (frame.IsSingleSegment)
            {
                sum += Next(frame.FirstSpan);
            }
            else
            {
                frame.CopyTo(joined);
                sum += Next(joined);
            }

            left = left.Slice(frame.End);
        }

        _pipe.Reader.AdvanceTo(left.Start);
        return sum;
    }

    // The next stage: looks at a word of the frame.
    private static int Next(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadInt32LittleEndian(frame[12..]);
}
