namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// The destinations and kinds that the entries of an FDB name by number, from 1 on, so that an entry fits a word. Read by any thread without a lock;
/// changed under the table's lock. A number whose last entry went is given to another list later: readers compare <see cref="Version"/>.
/// </summary>
internal sealed class DestinationLists
{
    private readonly Dictionary<(ReplicationList List, EntryKind Kind), int> _numbers = [];
    private readonly Stack<int> _free = new();
    private Meaning[] _meanings = new Meaning[16];
    private int[] _users = new int[16];
    private int _last;
    private int _version;

    /// <summary>Changes before a number changes its meaning. Read it before the number and after list and kind: if it is the same, so are they.</summary>
    internal int Version => Volatile.Read(ref _version);

    /// <summary>Whether a list has a number or can be given one.</summary>
    internal bool HasRoomFor(ReplicationList list, EntryKind kind) => _last < StationSlots.MaxNumber || _free.Count > 0 || _numbers.ContainsKey((list, kind));

    /// <summary>The VTEPs of an entry.</summary>
    internal ReplicationList ListOf(int number) => Volatile.Read(ref Volatile.Read(ref _meanings)[number].List);

    /// <summary>How long an entry lives.</summary>
    internal EntryKind KindOf(int number) => (EntryKind)Volatile.Read(ref Volatile.Read(ref _meanings)[number].Kind);

    /// <summary>The number of a list for one more entry; there must be room.</summary>
    internal int Hold(ReplicationList list, EntryKind kind)
    {
        if (!_numbers.TryGetValue((list, kind), out var number)) _numbers[(list, kind)] = number = Give(list, kind);
        _users[number]++;
        return number;
    }

    /// <summary>An entry has let go of a number.</summary>
    internal void Release(int number)
    {
        if (--_users[number] > 0) return;
        // Late readers still find the list there until another gets the number.
        _numbers.Remove((_meanings[number].List, KindOf(number)));
        _free.Push(number);
    }

    private int Give(ReplicationList list, EntryKind kind)
    {
        if (_free.TryPop(out var number))
        {
            Interlocked.Increment(ref _version);
        }
        else
        {
            number = ++_last;
            if (number == _users.Length)
            {
                Array.Resize(ref _users, 2 * number);
                var larger = new Meaning[2 * number];
                _meanings.CopyTo(larger, 0);
                Volatile.Write(ref _meanings, larger);
            }
        }

        _meanings[number].Kind = (byte)kind;
        Volatile.Write(ref _meanings[number].List, list);
        return number;
    }

    private struct Meaning
    {
        public ReplicationList List;

        /// <summary>An <see cref="EntryKind"/>, as a byte because those can be read in order.</summary>
        public byte Kind;
    }
}
