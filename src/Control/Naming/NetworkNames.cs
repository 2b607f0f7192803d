using System.Diagnostics;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>A question that none of the network's names answers, to be asked elsewhere.</summary>
/// <param name="Id">Id of the client's query.</param>
/// <param name="Question">Name, type and class, as they came.</param>
/// <param name="Flags">Flags of the client's query.</param>
/// <param name="HasEdns">Whether it had an OPT record.</param>
/// <param name="IsDnssecOk">Whether it wants DNSSEC records.</param>
/// <param name="Limit">Bytes that the client takes.</param>
/// <param name="IsStream">Whether it came by TCP.</param>
internal sealed record OutsideQuestion(ushort Id, byte[] Question, ushort Flags, bool HasEdns, bool IsDnssecOk, int Limit, bool IsStream);

/// <summary>
/// The names of one network, live: bytes of a query in, bytes of the answer out. Any thread. Its index of names is made anew when the view is another, by whoever asks next; where
/// that takes long, because the network is large and changes all the time, it takes no more than a twentieth of a core and answers are that much older.
/// </summary>
/// <param name="options">How names are served.</param>
/// <param name="view">The network as it is now; null if there is none of that name.</param>
/// <param name="isUp">Whether a host is up.</param>
internal sealed class NetworkNames(NameOptions options, Func<NetworkView?> view, Func<string, bool> isUp)
{
    // Time of its making that passes until the next.
    private const int PauseFactor = 20;

    private readonly NetworkResolver _resolver = new(options.Domain);
    private readonly Lock _making = new();
    private volatile NameIndex? _index;
    private long _next;

    /// <summary>Whether a member has another server for what does not stand in the network. Default: none has.</summary>
    public Func<InternetAddress, bool> HasOwnResolver { get; init; } = static _ => false;

    /// <summary>The other networks that a member is in: their names are its own too. Default: none.</summary>
    public Func<InternetAddress, IReadOnlyList<NetworkNames>> OthersOf { get; init; } = static _ => [];

    /// <summary>The names as they are now; null if there is no such network.</summary>
    public NameIndex? Index
    {
        get
        {
            if (view() is not { Record: not null } now) return null;
            if (_index is { } known && (ReferenceEquals(known.View, now) || Stopwatch.GetTimestamp() < Volatile.Read(ref _next))) return known;
            lock (_making)
            {
                if (_index is { } made && ReferenceEquals(made.View, now)) return made;
                var start = Stopwatch.GetTimestamp();
                _index = new NameIndex(now);
                var end = Stopwatch.GetTimestamp();
                Volatile.Write(ref _next, end + ((end - start) * PauseFactor));
                return _index;
            }
        }
    }

    /// <summary>Answers a question out of the network alone.</summary>
    /// <param name="name">In any case, with or without the final dot.</param>
    /// <param name="type">One of <see cref="DnsType"/>.</param>
    /// <returns>Null if there is no such network.</returns>
    public NameAnswer? Resolve(string name, ushort type) => Index is { } index ? _resolver.Resolve(index, name.TrimEnd('.').ToLowerInvariant(), type, isUp) : null;

    /// <summary>Answers a query.</summary>
    /// <param name="message">What a client sent.</param>
    /// <param name="isStream">Whether by TCP.</param>
    /// <param name="rotation">Which of several addresses comes first; a random number.</param>
    /// <param name="asker">Who asks.</param>
    /// <param name="reply">Where to write the answer; <see cref="DnsReply.MaxSize"/> long.</param>
    /// <param name="outside">Instead of an answer, what others are to be asked.</param>
    /// <returns>Length of the answer; 0 if there is none.</returns>
    public int Answer(ReadOnlySpan<byte> message, bool isStream, uint rotation, InternetAddress asker, Span<byte> reply, out OutsideQuestion? outside)
    {
        outside = null;
        var verdict = DnsQuery.Read(message, out var query);
        if (verdict == QueryVerdict.Ignored) return 0;
        var limit = isStream ? reply.Length : query.UdpLimit;
        var answer = new DnsReply(reply, query, limit);
        if (verdict != QueryVerdict.Good)
        {
            answer.SetCode(verdict switch { QueryVerdict.NotImplemented => DnsCode.NotImplemented, QueryVerdict.BadVersion => DnsCode.BadVersion, _ => DnsCode.FormatError }, false);
            return answer.Finish();
        }

        if (Index is not { } index)
        {
            answer.SetCode(DnsCode.ServerFailure, false);
            return answer.Finish();
        }

        var found = query.Class == DnsType.ClassIn ? Resolve(query, asker, ref index) : new NameAnswer(NameOutcome.Refused);
        var hasOwnResolver = HasOwnResolver(asker);
        // Who does not want others to be asked gets what is known here, which is nothing.
        if (found.Outcome == NameOutcome.Elsewhere && (!query.WantsRecursion || hasOwnResolver)) found = new NameAnswer(NameOutcome.Refused);
        // A name without a dot may stand in another network that it is in, or be known to its engine alone.
        if (hasOwnResolver && found is { Outcome: NameOutcome.NoName, Zone: < 0 }) found = new NameAnswer(NameOutcome.Refused);
        if (found.Outcome == NameOutcome.Elsewhere)
        {
            outside = new OutsideQuestion(query.Id, query.Question.ToArray(), query.Flags, query.HasEdns, query.IsDnssecOk, limit, isStream);
            return 0;
        }

        Write(ref answer, found, index, rotation);
        return answer.Finish();
    }

    // What does not stand here may stand in another network that the asker is in.
    private NameAnswer Resolve(in DnsQuery query, InternetAddress asker, ref NameIndex index)
    {
        Span<char> buffer = stackalloc char[DnsQuery.MaxNameSize];
        var name = buffer[..query.CopyName(buffer)];
        var found = _resolver.Resolve(index, name, query.Type, isUp);
        if (found.Outcome is not (NameOutcome.Elsewhere or NameOutcome.NoName)) return found;
        foreach (var other in OthersOf(asker))
        {
            if (other.Index is not { } theirs || _resolver.Resolve(theirs, name, query.Type, isUp) is not { Outcome: not (NameOutcome.Elsewhere or NameOutcome.NoName or NameOutcome.Refused) } known) continue;
            index = theirs;
            return known;
        }

        return found;
    }

    private void Write(ref DnsReply answer, NameAnswer found, NameIndex index, uint rotation)
    {
        answer.SetCode(found.Outcome switch { NameOutcome.NoName => DnsCode.NameError, NameOutcome.Refused => DnsCode.Refused, _ => DnsCode.NoError }, found.Outcome != NameOutcome.Refused);
        if (found.IsZone) answer.AddZone(found.Zone, (uint)index.Serial, options.TtlSeconds, isAnswer: true);
        else if (found.Pointer is { } pointer) answer.AddPointer(pointer, options.TtlSeconds);
        else if (found.Outcome == NameOutcome.Minimal) answer.AddMinimal(options.TtlSeconds);
        else if (found.Outcome is NameOutcome.NoData or NameOutcome.NoName && found.Zone >= 0) answer.AddZone(found.Zone, (uint)index.Serial, options.TtlSeconds, isAnswer: false);
        var addresses = found.Addresses;
        for (var i = 0; i < addresses.Count; i++)
            if (!answer.TryAddAddress(addresses[(int)((rotation + (uint)i) % (uint)addresses.Count)], options.TtlSeconds)) return;
    }
}
