using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Sleeve.Control.Naming;

/// <summary>
/// Asks the host's resolvers what no network knows. Each question goes by a socket of its own, whose port the kernel chose at random, with an id of its own (RFC 5452, section 4); what comes
/// back is taken only from the resolver that was asked, with that id and that question. One that does not answer in time gives way to the next, and is asked last for a while. Any thread.
/// </summary>
/// <param name="options">The limits.</param>
/// <param name="resolvers">Whom to ask.</param>
internal sealed class Forwarder(NameOptions options, HostResolvers resolvers)
{
    /// <summary>Bytes of an answer at most.</summary>
    public const int MaxSize = ushort.MaxValue;

    private const ushort DnsPort = 53;
    private const int LengthSize = 2;
    private const int MaxQuerySize = 512;
    private const int SlowMilliseconds = 10_000;
    private const int MaxStrangers = 64;
    private const ushort ForwardedFlags = 0x0130; // RD, AD, CD
    private int _asking;
    private readonly ConcurrentDictionary<IPAddress, long> _slowUntil = new();

    /// <summary>UDP and TCP port of the resolvers; another only in tests.</summary>
    public ushort Port { get; init; } = DnsPort;

    /// <summary>Asks.</summary>
    /// <param name="question">What.</param>
    /// <param name="client">Who wants to know: a resolver that asks us what we would ask it, or the host itself, is answered SERVFAIL, so that they do not go on for ever.</param>
    /// <param name="reply">Where to write the answer, <see cref="MaxSize"/> long: with the client's id, no longer than it takes.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Length of the answer, and whether a resolver gave it; otherwise it says SERVFAIL.</returns>
    public async Task<(int Length, bool IsAnswered)> AskAsync(OutsideQuestion question, IPAddress client, Memory<byte> reply, CancellationToken cancellation)
    {
        var servers = InOrder(client);
        if (servers.Count == 0) return (Fail(question, reply.Span), false);
        try
        {
            if (Interlocked.Increment(ref _asking) > options.InFlight) return (Fail(question, reply.Span), false);
            var (length, isAnswered) = (0, false);
            foreach (var server in servers)
            {
                var got = await AskOneAsync(question, server, reply, cancellation);
                if (got == 0) continue;
                (length, isAnswered) = (got, true);
                // Another may know better than one that could not, or would not.
                if ((DnsCode)(reply.Span[3] & 0xF) is not (DnsCode.ServerFailure or DnsCode.Refused)) break;
            }

            return isAnswered ? (Fit(question, reply.Span, length), true) : (Fail(question, reply.Span), false);
        }
        finally
        {
            Interlocked.Decrement(ref _asking);
        }
    }

    // Those that answered first; the only one twice.
    private List<IPAddress> InOrder(IPAddress client)
    {
        var now = Environment.TickCount64;
        var servers = resolvers.Read(now);
        if (servers.Contains(client) || resolvers.IsOwn(client)) return [];
        List<IPAddress> order = [.. servers.OrderBy(server => _slowUntil.TryGetValue(server, out var until) && until > now)];
        if (order.Count == 1) order.Add(order[0]);
        return order;
    }

    private async Task<int> AskOneAsync(OutsideQuestion question, IPAddress server, Memory<byte> reply, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(options.ResolverMilliseconds);
        var query = ArrayPool<byte>.Shared.Rent(LengthSize + MaxQuerySize);
        try
        {
            var id = (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1);
            var length = WriteQuery(question, id, query.AsSpan(LengthSize));
            BinaryPrimitives.WriteUInt16BigEndian(query, (ushort)length);
            var got = await AskByUdpAsync(server, query.AsMemory(LengthSize, length), id, question, reply, patience.Token);
            // Who came by TCP takes it whole; who came by UDP is told to come by TCP.
            if (got > 0 && question.IsStream && IsTruncated(reply.Span)) got = await AskByTcpAsync(server, query.AsMemory(0, LengthSize + length), id, question, reply, patience.Token);
            if (got > 0) _slowUntil.TryRemove(server, out _);
            return got;
        }
        catch (Exception failure) when (failure is SocketException or IOException || (failure is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            if (_slowUntil.Count > 16 * HostResolvers.MaxServers) _slowUntil.Clear();
            _slowUntil[server] = Environment.TickCount64 + SlowMilliseconds;
            return 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(query);
        }
    }

    private async Task<int> AskByUdpAsync(IPAddress server, ReadOnlyMemory<byte> query, ushort id, OutsideQuestion question, Memory<byte> reply, CancellationToken cancellation)
    {
        // Connected, it hears nobody but the server, and that nobody is there.
        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(new IPEndPoint(server, Port), cancellation);
        await socket.SendAsync(query, SocketFlags.None, cancellation);
        // Whoever sends so many that do not fit is guessing.
        for (var strangers = 0; strangers < MaxStrangers; strangers++)
        {
            var length = await socket.ReceiveAsync(reply, SocketFlags.None, cancellation);
            if (DnsAnswer.TryRead(reply.Span[..length], id, question.Question, out _)) return length;
        }

        return 0;
    }

    private async Task<int> AskByTcpAsync(IPAddress server, ReadOnlyMemory<byte> query, ushort id, OutsideQuestion question, Memory<byte> reply, CancellationToken cancellation)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(server, Port), cancellation);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(query, cancellation);
        await stream.ReadExactlyAsync(reply[..LengthSize], cancellation);
        var length = BinaryPrimitives.ReadUInt16BigEndian(reply.Span);
        await stream.ReadExactlyAsync(reply[..length], cancellation);
        return DnsAnswer.TryRead(reply.Span[..length], id, question.Question, out var answer) && !answer.IsTruncated ? length : 0;
    }

    private static bool IsTruncated(ReadOnlySpan<byte> message) => (message[2] & 0x02) != 0;

    /// <summary>Writes the query that others are asked: nothing of the client's but the question and what it says of the answer. EDNS options concern neighbours only (RFC 6891, section 6.2.6).</summary>
    /// <returns>Its length in bytes.</returns>
    internal static int WriteQuery(OutsideQuestion question, ushort id, Span<byte> query)
    {
        BinaryPrimitives.WriteUInt16BigEndian(query, id);
        BinaryPrimitives.WriteUInt16BigEndian(query[2..], (ushort)(question.Flags & ForwardedFlags));
        BinaryPrimitives.WriteUInt64BigEndian(query[4..], question.HasEdns ? 0x0001_0000_0000_0001UL : 0x0001_0000_0000_0000UL);
        question.Question.CopyTo(query[DnsQuery.HeaderSize..]);
        var length = DnsQuery.HeaderSize + question.Question.Length;
        return question.HasEdns ? length + DnsReply.WriteOpt(query[length..], 0, question.IsDnssecOk) : length;
    }

    /// <summary>Makes an answer the client's: with its id and its spelling of the name. One that is too long for it, or was cut off, says only that.</summary>
    /// <returns>Its length in bytes.</returns>
    internal static int Fit(OutsideQuestion question, Span<byte> reply, int length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(reply, question.Id);
        question.Question.CopyTo(reply[DnsQuery.HeaderSize..]);
        if (length <= question.Limit && !IsTruncated(reply)) return length;
        reply[2] |= 0x02;
        BinaryPrimitives.WriteUInt32BigEndian(reply[6..], 0);
        return EndAfterQuestion(question, reply);
    }

    /// <summary>Writes that it cannot be answered now.</summary>
    /// <returns>Its length in bytes.</returns>
    internal static int Fail(OutsideQuestion question, Span<byte> reply)
    {
        BinaryPrimitives.WriteUInt16BigEndian(reply, question.Id);
        BinaryPrimitives.WriteUInt16BigEndian(reply[2..], (ushort)((question.Flags & 0x0110) | 0x8080 | (int)DnsCode.ServerFailure));
        BinaryPrimitives.WriteUInt64BigEndian(reply[4..], 0x0001_0000_0000_0000UL);
        question.Question.CopyTo(reply[DnsQuery.HeaderSize..]);
        return EndAfterQuestion(question, reply);
    }

    private static int EndAfterQuestion(OutsideQuestion question, Span<byte> reply)
    {
        var length = DnsQuery.HeaderSize + question.Question.Length;
        BinaryPrimitives.WriteUInt16BigEndian(reply[10..], question.HasEdns ? (ushort)1 : (ushort)0);
        return question.HasEdns ? length + DnsReply.WriteOpt(reply[length..], 0, isDnssecOk: false) : length;
    }
}
