using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>What became of one request.</summary>
public struct EchoSlot
{
    /// <summary>When it was handed to the kernel, nanoseconds; 0 before.</summary>
    public long SentNanoseconds;

    /// <summary>When the answer was taken from the socket; 0 without one. Written last.</summary>
    public long ReceivedNanoseconds;

    /// <summary>Why it could not be sent; null if it was.</summary>
    public DropReason? Drop;

    /// <summary>Which answer of the run it was, from 1.</summary>
    public int Order;

    /// <summary>UDP payload bytes of the answer.</summary>
    public int Length;

    /// <summary>The answer.</summary>
    public EchoMessage Reply;
}

/// <summary>
/// Requests to one VTEP and their answers. Whoever asks makes it and reads it; a worker sends, and any worker notes an answer, in the slot of its number. Nothing
/// waits for anybody.
/// </summary>
/// <param name="vni">The segment on whose behalf.</param>
/// <param name="remote">The VTEP.</param>
/// <param name="nonce">A random number; its low eight bits stand for the path.</param>
/// <param name="capacity">Requests that are looked at one by one: those of lower numbers. Of others it is only known whether they could be sent.</param>
public sealed class EchoRun(Vni vni, Remote remote, ulong nonce, int capacity)
{
    /// <summary>Paths of a run, at most: the low bits of the nonce tell them apart.</summary>
    public const int MaxPaths = 256;

    private readonly EchoSlot[] _slots = new EchoSlot[capacity];
    private int _replies;
    private int _duplicates;
    private int _elsewhere;
    private int _notSent;
    private int _handled;

    /// <summary>The segment on whose behalf.</summary>
    public Vni Vni { get; } = vni;

    /// <summary>The VTEP.</summary>
    public Remote Remote { get; } = remote;

    /// <summary>A random number without the bits of the path.</summary>
    public ulong Nonce { get; } = nonce & ~(ulong)(MaxPaths - 1);

    /// <summary>Requests that are looked at one by one.</summary>
    public int Capacity => _slots.Length;

    /// <summary>Answers so far.</summary>
    public int Replies => Volatile.Read(ref _replies);

    /// <summary>Answers that came twice.</summary>
    public int Duplicates => Volatile.Read(ref _duplicates);

    /// <summary>Answers that came from another address than was asked.</summary>
    public int Elsewhere => Volatile.Read(ref _elsewhere);

    /// <summary>Requests that could not be sent.</summary>
    public int NotSent => Volatile.Read(ref _notSent);

    /// <summary>Requests that were sent, or could not be.</summary>
    public int Handled => Volatile.Read(ref _handled);

    /// <summary>A request, as far as it is known now.</summary>
    public ref readonly EchoSlot this[int number] => ref _slots[number];

    /// <summary>Whether an answer has come.</summary>
    public bool IsAnswered(int number) => Volatile.Read(ref _slots[number].ReceivedNanoseconds) != 0;

    /// <summary>Whether it was sent, or could not be.</summary>
    public bool IsSent(int number) => Volatile.Read(ref _slots[number].SentNanoseconds) != 0;

    internal bool Owns(ulong other) => (other & ~(ulong)(MaxPaths - 1)) == Nonce;

    internal void NoteSent(int number, long nanoseconds, DropReason? drop)
    {
        if (drop is not null) Interlocked.Increment(ref _notSent);
        Interlocked.Increment(ref _handled);
        if (number >= _slots.Length) return;
        _slots[number].Drop = drop;
        Volatile.Write(ref _slots[number].SentNanoseconds, nanoseconds);
    }

    internal void NoteReply(in EchoMessage message, int length, InternetAddress sender, long nanoseconds)
    {
        if (message.Sequence >= (uint)_slots.Length) return;
        ref var slot = ref _slots[message.Sequence];
        if (Volatile.Read(ref slot.ReceivedNanoseconds) != 0)
        {
            Interlocked.Increment(ref _duplicates);
            return;
        }

        if (sender != Remote.Address.Address) Interlocked.Increment(ref _elsewhere);
        slot.Reply = message;
        slot.Length = length;
        slot.Order = Interlocked.Increment(ref _replies);
        Volatile.Write(ref slot.ReceivedNanoseconds, nanoseconds);
    }
}

/// <summary>Requests that a worker is to send at once.</summary>
/// <param name="Run">Whose.</param>
/// <param name="First">Number of the first.</param>
/// <param name="Count">How many, at most 64.</param>
/// <param name="Length">UDP payload bytes of each, <see cref="EchoMessage.Size"/> or more.</param>
/// <param name="Path">Which path: stands for a source port, and in the nonce.</param>
/// <param name="Flags">What is asked for.</param>
/// <param name="IsWhole">Set DF: nobody may fragment it.</param>
public sealed record EchoOrder(EchoRun Run, int First, int Count, int Length, byte Path, EchoWishes Flags, bool IsWhole);
