using System.Collections.Concurrent;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// The echo messages of one worker: answers requests, notes answers, sends what somebody asks it to. Frames do not meet it: only a datagram without the I flag does, which
/// was to be dropped anyway. It sends by the worker's own sockets, so that source ports and filters are those of frames. One thread; its buffers, some 5 MB, are made
/// with the first message that is sent.
/// </summary>
/// <param name="underlay">Where to send.</param>
/// <param name="desk">What the workers share.</param>
/// <param name="nanoseconds">A clock; any zero but not 0 itself.</param>
public sealed partial class EchoPort(IUnderlay underlay, EchoDesk desk, Func<long> nanoseconds)
{
    /// <summary>Requests of an order, and answers that wait to be sent, at most.</summary>
    public const int MaxAtOnce = FrameBatch.DefaultCapacity;

    /// <summary>Nonces of which requests are counted at a time; another takes the place of the one that was silent longest.</summary>
    internal const int MaxSessions = 64;

    // Spreads the paths of a run over the worker's source ports (2^32 over the golden ratio).
    private const uint Spread = 0x9E37_79B9;

    private readonly ConcurrentQueue<EchoOrder> _orders = new();
    private readonly Session[] _sessions = new Session[MaxSessions];
    private FrameBatch? _frames;
    private DatagramBatch? _datagrams;
    private int _waiting;

    /// <summary>Takes an order; from any thread, which then wakes the worker.</summary>
    public void Post(EchoOrder order)
    {
        _orders.Enqueue(order);
        Volatile.Write(ref _waiting, 1);
    }

    /// <summary>Whether there are orders.</summary>
    public bool HasOrders => Volatile.Read(ref _waiting) != 0;

    /// <summary>Sends what was ordered.</summary>
    public void SendOrders()
    {
        Volatile.Write(ref _waiting, 0);
        while (_orders.TryDequeue(out var order)) Send(order);
        SendHellos();
    }

    private void Send(EchoOrder order)
    {
        Flush();
        var (frames, datagrams) = Buffers();
        var (run, count) = (order.Run, Math.Min(order.Count, MaxAtOnce));
        var outer = new OuterClass(0, dontFragment: order.IsWhole);
        for (var i = 0; i < count; i++)
        {
            ref var frame = ref frames.Add(order.Length);
            var bytes = frames.Bytes(frame);
            bytes[EchoMessage.Size..].Fill((byte)i);
            new EchoMessage { Vni = run.Vni, Kind = EchoKind.Request, Flags = order.Flags, Nonce = run.Nonce | order.Path, Sequence = (uint)(order.First + i) }.Write(bytes);
            datagrams.TryAddWhole(frame, run.Remote, Hash(run.Nonce, order.Path), outer);
        }

        var now = nanoseconds();
        underlay.Send(datagrams);
        for (var i = 0; i < count; i++) run.NoteSent(order.First + i, now, datagrams[i].Drop);
        Forget();
    }

    /// <summary>Takes a datagram without the I flag.</summary>
    /// <param name="datagram">All of its UDP payload.</param>
    /// <param name="sender">Who sent it.</param>
    /// <param name="typeOfService">With which TOS.</param>
    /// <param name="isCoalesced">Whether it came together with others.</param>
    /// <param name="segment">The segment of the VNI that it names; null if there is none.</param>
    /// <param name="message">What <see cref="EchoMessage.TryParse"/> made of it.</param>
    /// <param name="nowMilliseconds">The clock of the limit.</param>
    /// <returns>Null if it was dealt with, else why it is dropped.</returns>
    public DropReason? Take(ReadOnlySpan<byte> datagram, InternetAddress sender, byte typeOfService, bool isCoalesced, Segment? segment, in EchoMessage message, long nowMilliseconds)
    {
        var now = nanoseconds();
        if (message.Kind == EchoKind.Reply)
        {
            if (desk.Run is not { } run || !run.Owns(message.Nonce)) return DropReason.NoVniFlag;
            run.NoteReply(message, datagram.Length, sender, now);
            return null;
        }

        if (!desk.IsOn || segment is null || !segment.Remotes.Admits(sender, out var remote) || remote is null or { IsSelf: true } or { IsNull: true })
        {
            desk.CountRefused();
            return DropReason.EchoRefused;
        }

        ref var session = ref SessionOf(message.Nonce, sender, now);
        var (elapsed, bytes) = (session.LastNanoseconds - session.FirstNanoseconds, session.Bytes);
        session.Note(message.Sequence, datagram.Length, now);
        if ((message.Flags & EchoWishes.Silent) != 0) return null;
        if (!desk.TryTake(nowMilliseconds))
        {
            desk.CountRefused();
            return DropReason.EchoRefused;
        }

        Answer(datagram, remote, message with
        {
            Kind = EchoKind.Reply,
            Flags = isCoalesced ? message.Flags | EchoWishes.Coalesced : message.Flags & ~EchoWishes.Coalesced,
            TypeOfService = typeOfService,
            Count = session.Count,
            Late = session.Late,
            ElapsedNanoseconds = (ulong)elapsed,
            Bytes = (ulong)bytes,
            Length = (uint)datagram.Length,
        }, now);
        return null;
    }

    private void Answer(ReadOnlySpan<byte> request, Remote remote, EchoMessage reply, long receivedNanoseconds)
    {
        var (frames, datagrams) = Buffers();
        ref var frame = ref frames.Add((reply.Flags & EchoWishes.Brief) != 0 ? EchoMessage.Size : request.Length);
        var bytes = frames.Bytes(frame);
        request[..bytes.Length].CopyTo(bytes);
        reply = reply with { ResidenceNanoseconds = (uint)Math.Clamp(nanoseconds() - receivedNanoseconds, 0, uint.MaxValue) };
        reply.Write(bytes);
        datagrams.TryAddWhole(frame, remote, Hash(reply.Nonce, (byte)reply.Nonce), new OuterClass(0, dontFragment: (reply.Flags & EchoWishes.DontFragment) != 0));
        if (frames.IsFull) Flush();
    }

    /// <summary>Whether answers wait to be sent.</summary>
    public bool HasAnswers => _frames is { Count: > 0 };

    /// <summary>Sends the answers that wait; after each batch.</summary>
    public void Flush()
    {
        if (!HasAnswers) return;
        underlay.Send(_datagrams!);
        Forget();
    }

    private void Forget()
    {
        _frames!.Clear();
        _datagrams!.Clear();
    }

    private (FrameBatch Frames, DatagramBatch Datagrams) Buffers()
    {
        _frames ??= new FrameBatch(MaxAtOnce);
        return (_frames, _datagrams ??= new DatagramBatch(_frames, MaxAtOnce));
    }

    /// <summary>The flow hash of a path: which source port.</summary>
    internal static uint Hash(ulong nonce, byte path) => (uint)(nonce >> 32) + (path * Spread);

    private ref Session SessionOf(ulong nonce, InternetAddress sender, long now)
    {
        var oldest = 0;
        for (var i = 0; i < _sessions.Length; i++)
        {
            ref var each = ref _sessions[i];
            if (each.Count > 0 && each.Nonce == nonce && each.Sender == sender) return ref each;
            if (each.LastNanoseconds < _sessions[oldest].LastNanoseconds) oldest = i;
        }

        _sessions[oldest] = new Session { Nonce = nonce, Sender = sender, FirstNanoseconds = now, LastNanoseconds = now };
        return ref _sessions[oldest];
    }

    private struct Session
    {
        public ulong Nonce;
        public InternetAddress Sender;
        public uint Count;
        public uint Late;
        public uint Highest;
        public long Bytes;
        public long FirstNanoseconds;
        public long LastNanoseconds;

        public void Note(uint sequence, int length, long now)
        {
            if (Count > 0 && sequence < Highest) Late++;
            Highest = Math.Max(Highest, sequence);
            Count++;
            Bytes += length;
            LastNanoseconds = now;
        }
    }
}
