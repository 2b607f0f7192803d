using System.Collections.Concurrent;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>A VTEP that hellos (<see cref="HelloMessage"/>) are exchanged with.</summary>
/// <param name="address">Where it receives.</param>
/// <param name="nonce">Random, of this VTEP towards that one alone; not 0.</param>
public sealed class HelloPeer(VtepAddress address, ulong nonce)
{
    private const int Remembered = 16;

    private readonly long[] _sent = new long[Remembered];
    private long _received;
    private long _notSent;

    /// <summary>Where it receives.</summary>
    public VtepAddress Address { get; } = address;

    /// <summary>What a hello of it has to bear to prove anything.</summary>
    public ulong Nonce { get; } = nonce;

    /// <summary>Hellos taken from it, with our nonce or without.</summary>
    public long Received => Interlocked.Read(ref _received);

    /// <summary>Hellos to it that could not be sent.</summary>
    public long NotSent => Interlocked.Read(ref _notSent);

    internal Remote Remote { get; } = new(address, default, isSelf: false, number: 0);

    /// <summary>Limits hellos that do not bear our nonce: anybody who forges its address can send those.</summary>
    internal long FirstContacts;

    /// <summary>When a hello was handed to the kernel, nanoseconds of the VTEP's clock; 0 if that is not known, or long ago.</summary>
    public long SentNanoseconds(uint sequence) => Volatile.Read(ref _sent[sequence % Remembered]);

    internal void CountReceived() => Interlocked.Increment(ref _received);

    internal void NoteSent(uint sequence, long nanoseconds, DropReason? drop)
    {
        if (drop is not null) Interlocked.Increment(ref _notSent);
        Volatile.Write(ref _sent[sequence % Remembered], drop is null ? nanoseconds : 0);
    }
}

/// <summary>A hello that is to be sent.</summary>
/// <param name="Peer">To whom.</param>
/// <param name="Message">What.</param>
public readonly record struct HelloOrder(HelloPeer Peer, HelloMessage Message);

/// <summary>A hello that came.</summary>
/// <param name="Peer">From whom.</param>
/// <param name="Message">What.</param>
/// <param name="Nanoseconds">When, by the VTEP's clock.</param>
public readonly record struct HeardHello(HelloPeer Peer, HelloMessage Message, long Nanoseconds);

/// <summary>
/// What all workers of a VTEP share about hellos: whom they are exchanged with, and those that came, for whoever keeps the sessions to fetch. Independent of segments: a VTEP that was found dead and is in no table
/// any more must still be heard when it returns. Bounded, and nothing is allocated for a hello. What keeps it from being of use to an attacker: a hello is taken only from the address of a VTEP that was added;
/// without the nonce of 64 bits that only this VTEP and that one know, it makes for no more than an answer of the same size to that VTEP's own port, a few a second; and a budget of each VTEP is touched by
/// nobody else's hellos.
/// </summary>
public sealed class HelloDesk
{
    /// <summary>VTEPs, at most.</summary>
    public const int MaxPeers = 4096;

    /// <summary>Hellos without our nonce that are taken from a VTEP, a second and at once.</summary>
    public const int FirstContactsPerSecond = 10;

    // Hellos that wait to be fetched, or to be sent: some seconds of the most VTEPs there can be.
    private const int MaxWaiting = 64 * 1024;

    private readonly ConcurrentDictionary<InternetAddress, HelloPeer> _peers = new();
    private readonly ConcurrentQueue<HeardHello> _heard = new();
    private readonly RateLimit _firstContacts = new(FirstContactsPerSecond, FirstContactsPerSecond);
    private int _waiting;
    private long _sent;
    private long _received;
    private long _refused;
    private long _lost;

    /// <summary>Hellos sent.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Hellos taken.</summary>
    public long Received => Interlocked.Read(ref _received);

    /// <summary>Hellos of strangers, with a nonce that is not ours, or too many without one.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Hellos that nobody fetched in time.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Takes a VTEP in; from any thread.</summary>
    /// <returns>False if there is one of that address, or there are too many.</returns>
    public bool TryAdd(HelloPeer peer)
    {
        ArgumentNullException.ThrowIfNull(peer);
        return _peers.Count < MaxPeers && _peers.TryAdd(peer.Address.Address, peer);
    }

    /// <summary>Leaves one out; from any thread. One that is not there is no error.</summary>
    public void Remove(HelloPeer peer)
    {
        ArgumentNullException.ThrowIfNull(peer);
        _peers.TryRemove(new KeyValuePair<InternetAddress, HelloPeer>(peer.Address.Address, peer));
    }

    /// <summary>Fetches the next hello that came; one thread.</summary>
    public bool TryFetch(out HeardHello heard)
    {
        if (!_heard.TryDequeue(out heard)) return false;
        Interlocked.Decrement(ref _waiting);
        return true;
    }

    /// <summary>Takes a hello off the wire; any worker.</summary>
    /// <returns>Null if it was taken, else why it is dropped.</returns>
    internal DropReason? Take(in HelloMessage message, InternetAddress sender, long nanoseconds, long nowMilliseconds)
    {
        if (!_peers.TryGetValue(sender, out var peer)) return Refuse(DropReason.EchoRefused);
        if (message.Yours != peer.Nonce)
        {
            // Of a run before this one, or forged.
            if (message.Yours != 0) return Refuse(DropReason.NoVniFlag);
            if (!_firstContacts.TryTake(ref peer.FirstContacts, 1, nowMilliseconds)) return Refuse(DropReason.EchoRefused);
        }

        peer.CountReceived();
        Interlocked.Increment(ref _received);
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            Interlocked.Increment(ref _lost);
            return null;
        }

        _heard.Enqueue(new HeardHello(peer, message, nanoseconds));
        return null;
    }

    internal void CountSent() => Interlocked.Increment(ref _sent);

    private DropReason Refuse(DropReason reason)
    {
        Interlocked.Increment(ref _refused);
        return reason;
    }
}
