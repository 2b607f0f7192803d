using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Remembers which unknown senders were turned away, so that each can be told about once, outside the frame path. Bounded: when it is full,
/// further strangers are only counted among the drops.
/// </summary>
public sealed class StrangerLog
{
    /// <summary>Senders remembered, at most.</summary>
    public const int Capacity = 64;

    private readonly (Segment Segment, InternetAddress Sender)[] _strangers = new (Segment, InternetAddress)[Capacity];
    private readonly Lock _lock = new();
    private int _count;
    private int _told;

    /// <summary>Notes a sender; by workers. Never waits: if the log is busy or full the note is left out.</summary>
    internal void Note(Segment segment, InternetAddress sender, long nowMilliseconds)
    {
        var count = Volatile.Read(ref _count);
        for (var i = 0; i < count; i++)
            if (_strangers[i].Sender == sender && _strangers[i].Segment == segment) return;
        if (count == Capacity || !_lock.TryEnter()) return;
        try
        {
            if (_count == Capacity) return;
            _strangers[_count] = (segment, sender);
            Volatile.Write(ref _count, _count + 1);
            segment.Events.Publish(EventKind.Stranger, nowMilliseconds, remote: sender);
        }
        finally
        {
            _lock.Exit();
        }
    }

    /// <summary>Every sender noted so far.</summary>
    internal IReadOnlyList<(Segment Segment, InternetAddress Sender)> All
    {
        get
        {
            lock (_lock) return _strangers[.._count];
        }
    }

    /// <summary>The senders noted since the last call.</summary>
    internal IReadOnlyList<(Segment Segment, InternetAddress Sender)> TakeNew()
    {
        lock (_lock)
        {
            if (_told == _count) return [];
            var news = _strangers[_told.._count];
            _told = _count;
            return news;
        }
    }
}
