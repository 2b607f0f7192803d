namespace Sleeve.DataPlane.Events;

/// <summary>One listener of an <see cref="EventRing"/>. One thread at a time; it looks when it likes, and is told how much it missed.</summary>
public sealed class EventReader : IDisposable
{
    private readonly EventRing _ring;
    private long _position;
    private long _missing = -1;
    private long _lost;
    private bool _isClosed;

    internal EventReader(EventRing ring)
    {
        _ring = ring;
        _position = ring.Next;
    }

    /// <summary>Number of the event to be read next; numbers grow by one an event.</summary>
    public long Position => _position;

    internal void GoTo(long number) => _position = Math.Clamp(number, 0, _ring.Next);

    /// <summary>Reads the next event; false if there is none yet.</summary>
    public bool TryRead(out SegmentEvent happened)
    {
        happened = default;
        while (_position < _ring.Next)
        {
            var overwritten = _ring.Next - EventRing.Capacity - _position;
            if (overwritten > 0) Skip(overwritten);
            switch (_ring.TryGet(_position, out happened))
            {
                case EventPresence.There:
                    _position++;
                    return true;
                case EventPresence.Missing when _missing != _position:
                    // Its writer is at it. What is still missing at the next look was given up.
                    _missing = _position;
                    return false;
                default:
                    Skip(1);
                    break;
            }
        }

        return false;
    }

    /// <summary>How many events were overwritten before they could be read, since the last call.</summary>
    public long TakeLost()
    {
        var lost = _lost;
        _lost = 0;
        return lost;
    }

    private void Skip(long events)
    {
        _position += events;
        _lost += events;
    }

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        if (_isClosed) return;
        _isClosed = true;
        _ring.StopListening();
    }
}
