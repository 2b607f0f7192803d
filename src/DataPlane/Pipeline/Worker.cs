using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// One thread that runs both directions to completion: drains the underlay and every TAP that has frames, and sleeps in one poll when all
/// are dry. Both on one thread keeps a flow's two directions in one cache and saves the wake-ups between threads.
/// </summary>
public sealed class Worker : IDisposable
{
    private const int UnderlayTag = 0;

    // Rounds over what was ready before asking the poll for others: fairness between many TAPs against a system call a round.
    private const int RoundsPerPoll = 16;

    private readonly UdpUnderlay _underlay;
    private readonly EncapsulationPath _encapsulation;
    private readonly EventPoll _poll = new();
    private readonly Thread _thread;
    private readonly Action<Exception> _onFailure;
    private SegmentPort?[] _ports = [];
    private volatile bool _stopping;
    private long _rounds;

    /// <summary>Makes a worker; <see cref="Start"/> starts it.</summary>
    /// <param name="underlay">Its sockets; disposed with the worker.</param>
    /// <param name="hashKey">Key of the flow hash, one for the process.</param>
    /// <param name="strangers">Where unknown senders are noted.</param>
    /// <param name="onFailure">Told of an exception that ended the thread: our own bug or a lost descriptor.</param>
    public Worker(UdpUnderlay underlay, ulong hashKey, StrangerLog strangers, Action<Exception> onFailure)
    {
        ArgumentNullException.ThrowIfNull(underlay);
        _underlay = underlay;
        _onFailure = onFailure;
        _encapsulation = new EncapsulationPath(underlay, hashKey);
        Decapsulation = new DecapsulationPath(underlay, strangers);
        _poll.Add(underlay.Descriptor, UnderlayTag);
        _thread = new Thread(Run) { Name = "sleeve-worker", IsBackground = true };
    }

    /// <summary>The way in, which holds the counters of what no segment could be found for.</summary>
    public DecapsulationPath Decapsulation { get; }

    /// <summary>Starts the thread.</summary>
    public void Start() => _thread.Start();

    /// <summary>Adds a segment; from any thread, one at a time.</summary>
    public void Add(SegmentPort port, int tapDescriptor)
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
        _poll.Add(tapDescriptor, UnderlayTag + 1 + index);
    }

    /// <summary>
    /// Takes a segment out; from any thread, one at a time. When it returns, the worker no longer touches the port or its TAP.
    /// </summary>
    public void Remove(SegmentPort port, int tapDescriptor)
    {
        _poll.Remove(tapDescriptor);
        var ports = (SegmentPort?[])_ports.Clone();
        ports[Array.IndexOf(ports, port)] = null;
        Decapsulation.SetPorts(ports.OfType<SegmentPort>());
        Volatile.Write(ref _ports, ports);

        // The round that is under way may still use it; the one after the next cannot.
        var end = Volatile.Read(ref _rounds) + 2;
        while (_thread.IsAlive && Volatile.Read(ref _rounds) < end)
        {
            _poll.Wake();
            Thread.Sleep(1);
        }
    }

    private void Run()
    {
        Span<int> ready = stackalloc int[64];
        try
        {
            while (!_stopping)
            {
                Volatile.Write(ref _rounds, _rounds + 1);
                var count = _poll.Wait(ready, timeoutMilliseconds: -1);
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

    private bool RunReady(ReadOnlySpan<int> ready)
    {
        var now = Environment.TickCount64;
        var ports = Volatile.Read(ref _ports);
        var taken = 0;
        foreach (var tag in ready)
        {
            if (tag == UnderlayTag) taken += Decapsulation.Run(now);
            else if (ports[tag - UnderlayTag - 1] is { } port) taken += _encapsulation.Run(port);
        }

        return taken > 0;
    }

    /// <summary>Stops the thread and closes the sockets; TAPs are the caller's.</summary>
    public void Dispose()
    {
        // A second time the descriptors may be somebody else's.
        if (_stopping) return;
        _stopping = true;
        _poll.Wake();
        if (_thread.IsAlive) _thread.Join();
        _poll.Dispose();
        _underlay.Dispose();
    }
}
