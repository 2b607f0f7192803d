using System.Diagnostics;
using System.Globalization;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// One thread that runs both directions to completion: drains its socket of the underlay and its queue of every TAP, and sleeps in one poll when all
/// are dry. Both on one thread keeps a flow's two directions in one cache and saves the wake-ups between threads. What workers share is the
/// tables of the segments; nothing else.
/// </summary>
public sealed class Worker : IDisposable
{
    private const int UnderlayTag = 0;
    private const int FirstGroupTag = 1 << 30;

    // Rounds over what was ready before asking the poll for others: fairness between many TAPs against a system call a round.
    private const int RoundsPerPoll = 16;

    private readonly UdpUnderlay _underlay;
    private readonly EncapsulationPath _encapsulation;
    private readonly EventPoll _poll = new();
    private readonly Thread _thread;
    private readonly Action<Exception> _onFailure;
    private readonly Spinner _spinner = new();
    private readonly EchoPort _echo;
    private SegmentPort?[] _ports = [];
    private GroupReceiver?[] _groups = [];
    private volatile bool _stopping;
    private bool _isDisposed;
    private long _rounds;
    private long _roundsAtLook = -1;
    private long _bytesAtSleep;
    private long _sleeps;
    private long _spared;
    private int _threadId;

    /// <summary>Makes a worker; <see cref="Start"/> starts it.</summary>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="underlay">Its sockets; disposed with the worker.</param>
    /// <param name="hashKey">Key of the flow hash, one for the process.</param>
    /// <param name="strangers">Where unknown senders are noted.</param>
    /// <param name="echo">What all workers share about echo messages.</param>
    /// <param name="onFailure">Told of an exception that ended the thread: our own bug or a lost descriptor.</param>
    public Worker(int number, UdpUnderlay underlay, ulong hashKey, StrangerLog strangers, EchoDesk echo, Action<Exception> onFailure)
    {
        ArgumentNullException.ThrowIfNull(underlay);
        _underlay = underlay;
        _onFailure = onFailure;
        _encapsulation = new EncapsulationPath(underlay, hashKey);
        _echo = new EchoPort(underlay, echo, static () => Stopwatch.GetElapsedTime(0).Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond));
        Decapsulation = new DecapsulationPath(underlay, strangers) { Echo = _echo };
        _poll.Add(underlay.Descriptor, UnderlayTag);
        _thread = new Thread(Run) { Name = $"sleeve-worker-{number}", IsBackground = true };
    }

    /// <summary>The way in, which holds the counters of what no segment could be found for.</summary>
    public DecapsulationPath Decapsulation { get; }

    /// <summary>Its sockets.</summary>
    public UdpUnderlay Underlay => _underlay;

    /// <summary>How often it slept, and how often frames came while it still looked before a sleep, which that spared.</summary>
    public (long Sleeps, long Spared) Sleeps => (Volatile.Read(ref _sleeps), Volatile.Read(ref _spared));

    /// <summary>The kernel's id of the thread, as /proc/self/task names it; 0 before it runs, or where there is no /proc.</summary>
    public int ThreadId => Volatile.Read(ref _threadId);

    /// <summary>Bytes taken from TAPs and from the underlay.</summary>
    public (long Out, long In) BytesTaken => (_encapsulation.BytesTaken, Decapsulation.BytesTaken);

    /// <summary>Copies packets into a ring from here on, or no more; from any thread.</summary>
    internal void SetCapture(CaptureRing? ring)
    {
        _encapsulation.SetCapture(ring);
        Decapsulation.SetCapture(ring);
        _underlay.SetCapture(ring);
    }

    /// <summary>Starts the thread.</summary>
    public void Start() => _thread.Start();

    /// <summary>Adds a segment; from any thread, one at a time.</summary>
    /// <param name="port">The segment with this worker's counters.</param>
    /// <param name="tapDescriptor">Queue of the TAP to read; null if another worker reads for this one.</param>
    public void Add(SegmentPort port, int? tapDescriptor)
    {
        var ports = _ports;
        var index = Array.IndexOf(ports, null);
        if (index < 0)
        {
            index = ports.Length;
            Array.Resize(ref ports, ports.Length == 0 ? 4 : ports.Length * 2);
        }

        ports[index] = port;
        Volatile.Write(ref _ports, ports);
        Decapsulation.SetPorts(ports.OfType<SegmentPort>());
        if (tapDescriptor is { } descriptor) _poll.Add(descriptor, UnderlayTag + 1 + index);
    }

    /// <summary>
    /// Takes a segment out; from any thread, one at a time. When it returns, the worker no longer touches the port or its TAP.
    /// </summary>
    public void Remove(SegmentPort port, int? tapDescriptor)
    {
        if (tapDescriptor is { } descriptor) _poll.Remove(descriptor);
        var ports = (SegmentPort?[])_ports.Clone();
        ports[Array.IndexOf(ports, port)] = null;
        Decapsulation.SetPorts(ports.OfType<SegmentPort>());
        Volatile.Write(ref _ports, ports);

        AwaitRounds();
    }

    /// <summary>Puts a port in the place of another over the same TAP; from any thread, one at a time. When it returns, the worker no longer touches the former.</summary>
    public void Replace(SegmentPort port, SegmentPort by)
    {
        var ports = (SegmentPort?[])_ports.Clone();
        ports[Array.IndexOf(ports, port)] = by;
        Volatile.Write(ref _ports, ports);
        Decapsulation.SetPorts(ports.OfType<SegmentPort>());
        AwaitRounds();
    }

    /// <summary>Adds a multicast group to receive from; from any thread, one at a time.</summary>
    internal void Add(GroupReceiver group)
    {
        var groups = _groups;
        var index = Array.IndexOf(groups, null);
        if (index < 0)
        {
            index = groups.Length;
            Array.Resize(ref groups, groups.Length == 0 ? 4 : groups.Length * 2);
        }

        groups[index] = group;
        Volatile.Write(ref _groups, groups);
        _poll.Add(group.Descriptor, FirstGroupTag + index);
    }

    /// <summary>Takes a group out; from any thread, one at a time. When it returns, the worker no longer touches it.</summary>
    internal void Remove(GroupReceiver group)
    {
        _poll.Remove(group.Descriptor);
        var groups = (GroupReceiver?[])_groups.Clone();
        groups[Array.IndexOf(groups, group)] = null;
        Volatile.Write(ref _groups, groups);
        AwaitRounds();
    }

    // The round that is under way may still use what was taken out; the one after the next cannot.
    private void AwaitRounds()
    {
        var end = Volatile.Read(ref _rounds) + 2;
        while (_thread.IsAlive && Volatile.Read(ref _rounds) < end)
        {
            _poll.Wake();
            Thread.Sleep(1);
        }
    }

    /// <summary>Has it send echo requests. From any thread.</summary>
    internal void Post(EchoOrder order)
    {
        _echo.Post(order);
        _poll.Wake();
    }

    /// <summary>Has it send hellos. From any thread.</summary>
    internal void Post(ReadOnlySpan<HelloOrder> hellos)
    {
        _echo.Post(hellos);
        _poll.Wake();
    }

    /// <summary>How often it has looked for work; goes on when it is woken, if it moves at all. From any thread.</summary>
    internal long Rounds => Volatile.Read(ref _rounds);

    /// <summary>Has it look for work once more. From any thread.</summary>
    internal void Wake() => _poll.Wake();

    /// <summary>
    /// Whether the thread went on since this was asked the last time; it is woken for the next. False means that it hangs in a system call, or that the kernel ended it
    /// without a word (a BUG in the kernel kills the thread that met it). Ask once a second, from one thread.
    /// </summary>
    internal bool IsMoving()
    {
        var rounds = Volatile.Read(ref _rounds);
        var isMoving = rounds != _roundsAtLook;
        _roundsAtLook = rounds;
        _poll.Wake();
        return isMoving;
    }

    private void Run()
    {
        ThreadCapabilities.Restrict(_underlay.NeededCapabilities);
        Span<int> ready = stackalloc int[64];
        try
        {
            Volatile.Write(ref _threadId, OwnThreadId());
            while (!_stopping)
            {
                Volatile.Write(ref _rounds, _rounds + 1);
                var count = Await(ready);
                if (_echo.HasOrders) _echo.SendOrders();
                for (var round = 0; round < RoundsPerPoll && !_stopping; round++)
                    if (!RunReady(ready[..count])) break;
            }
        }
        catch (Exception exception)
        {
            // The root of a thread: nobody above can hear it.
            _onFailure(exception);
        }
    }

    // proc(5): "PID/task/TID". Whoever measures the thread's CPU time needs it; nothing here does.
    private static int OwnThreadId() =>
        int.TryParse(Path.GetFileName(new FileInfo("/proc/thread-self").LinkTarget), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0;

    private static long NowMicroseconds => (long)Stopwatch.GetElapsedTime(0).TotalMicroseconds;

    // Looks again for a while if that is likely to spare a sleep, then sleeps.
    private int Await(Span<int> ready)
    {
        var taken = _encapsulation.BytesTaken + Decapsulation.BytesTaken;
        var start = NowMicroseconds;
        var budget = _spinner.Budget(taken - _bytesAtSleep);
        _bytesAtSleep = taken;
        if (budget > 0)
        {
            var end = start + budget;
            do
            {
                var count = _poll.Wait(ready, timeoutMilliseconds: 0);
                if (count > 0)
                {
                    Volatile.Write(ref _spared, _spared + 1);
                    _spinner.Looked(inVain: false);
                    return count;
                }

                Scheduler.Yield();
                start = NowMicroseconds;
            }
            while (start < end && !_stopping);
            _spinner.Looked(inVain: true);
        }

        Volatile.Write(ref _sleeps, _sleeps + 1);
        var woken = _poll.Wait(ready, timeoutMilliseconds: -1);
        _spinner.Slept(NowMicroseconds - start);
        return woken;
    }

    // True if there may be more: what gave less than a batch was emptied.
    private bool RunReady(ReadOnlySpan<int> ready)
    {
        var now = Environment.TickCount64;
        var ports = Volatile.Read(ref _ports);
        var most = 0;
        foreach (var tag in ready)
        {
            if (tag == UnderlayTag) most = Math.Max(most, Decapsulation.Run(now));
            else if (tag >= FirstGroupTag) most = Math.Max(most, RunGroup(tag - FirstGroupTag, now));
            else if (ports[tag - UnderlayTag - 1] is { } port) most = Math.Max(most, _encapsulation.Run(port, now));
        }

        return most == FrameBatch.DefaultCapacity;
    }

    private int RunGroup(int index, long now) => Volatile.Read(ref _groups)[index] is { } group ? Decapsulation.Run(group, now) : 0;

    /// <summary>Stops the thread; what comes in from here on waits in the kernel's queues.</summary>
    public void Stop()
    {
        // A second time the descriptors may be somebody else's.
        if (_stopping) return;
        _stopping = true;
        _poll.Wake();
        if (_thread.IsAlive) _thread.Join();
    }

    /// <summary>Stops the thread and closes the sockets; TAPs are the caller's.</summary>
    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        Stop();
        _poll.Dispose();
        _underlay.Dispose();
    }
}
