using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// Serves one network's names to its members, by UDP and TCP on the addresses that its bridge has. The sockets are bound to the bridge (SO_BINDTOIFINDEX, socket(7)), so of the members
/// of all networks only those that are attached to it can ask, whatever addresses and routes there are. Own names are answered where they arrive, within microseconds; a question for others is a task
/// of its own, so nobody waits for somebody else's slow resolver.
/// </summary>
internal sealed class NameServer : IAsyncDisposable
{
    private const int MaxQuerySize = 4096;
    private const int Backlog = 64;
    private const int TurnOfQueries = 64;
    private const int PauseAfterFault = 100;

    private readonly NetworkNames _names;
    private readonly Forwarder _forwarder;
    private readonly NameOptions _options;
    private readonly ClientLimits _limits;
    private readonly NameTally _tally;
    private readonly IReadOnlyList<Socket> _sockets;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task[] _loops;
    private int _connections;

    private NameServer(NetworkNames names, Forwarder forwarder, NameOptions options, NameTally tally, IReadOnlyList<Socket> sockets)
    {
        (_names, _forwarder, _options, _tally, _sockets) = (names, forwarder, options, tally, sockets);
        _limits = new ClientLimits(options);
        _loops = [.. sockets.Select(socket => Task.Run(() => socket.SocketType == SocketType.Dgram ? ServeDatagramsAsync(socket) : AcceptAsync(socket)))];
    }

    /// <summary>Starts to serve.</summary>
    /// <param name="place">Where.</param>
    /// <param name="link">The bridge, as it is now.</param>
    /// <param name="names">What.</param>
    /// <param name="forwarder">Asks others.</param>
    /// <param name="options">Limits and port.</param>
    /// <param name="tally">Counts; it goes on when the server is made anew.</param>
    /// <exception cref="HostException">The port is in use there, or there is no permission.</exception>
    public static NameServer Start(NamePlace place, LinkInfo link, NetworkNames names, Forwarder forwarder, NameOptions options, NameTally tally)
    {
        var sockets = new List<Socket>();
        try
        {
            foreach (var address in place.Addresses)
            {
                var endpoint = new IPEndPoint(AddressOn(address, link.Index), options.Port);
                sockets.Add(NameSockets.Open(place.Namespace, endpoint, SocketType.Dgram, link.Index));
                sockets.Add(NameSockets.Open(place.Namespace, endpoint, SocketType.Stream, link.Index));
                sockets[^1].Listen(Backlog);
            }

            return new NameServer(names, forwarder, options, tally, sockets);
        }
        catch (SocketException failure)
        {
            foreach (var socket in sockets) socket.Dispose();
            throw new HostException(failure.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse =>
                    $"names of {place.Network}: port {options.Port} of {place.Device} is taken by another program (ss -lnp 'sport = {options.Port}'); let it listen on other addresses only, such as dnsmasq's bind-interfaces",
                SocketError.AccessDenied => $"names of {place.Network}: port {options.Port} takes CAP_NET_BIND_SERVICE (run as root, or give the unit that capability)",
                _ => $"names of {place.Network}: cannot listen on port {options.Port} of {place.Device}: {failure.Message}",
            });
        }
    }

    /// <summary>Stops; when it is done the addresses are free.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        foreach (var socket in _sockets) socket.Dispose();
        await Task.WhenAll(_loops);
        // Not disposed: questions that are under way may still look at it, and it holds nothing.
    }

    // A link-local address needs its interface.
    private static IPAddress AddressOn(InternetAddress address, int index)
    {
        var plain = address.ToIPAddress();
        return address.IsIPv6LinkLocal ? new IPAddress(plain.GetAddressBytes(), index) : plain;
    }

    private async Task ServeDatagramsAsync(Socket socket)
    {
        var (query, reply) = (new byte[MaxQuerySize], new byte[DnsReply.MaxSize]);
        var from = new SocketAddress(socket.AddressFamily);
        for (var turn = 1; !_stopping.IsCancellationRequested; turn++)
        {
            try
            {
                // Who floods one network does not keep this thread from all the others.
                if (turn % TurnOfQueries == 0) await Task.Yield();
                var length = await socket.ReceiveFromAsync(query, SocketFlags.None, from, _stopping.Token);
                var client = ((IPEndPoint)EndPointOf(socket).Create(from)).Address;
                var answer = Answer(query.AsSpan(0, length), client, isStream: false, reply, out var outside);
                if (answer > 0) await socket.SendToAsync(reply.AsMemory(0, answer), SocketFlags.None, from, _stopping.Token);
                else if (outside is not null) BeginOutside(socket, outside, client, Copy(from));
            }
            catch (Exception) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (SocketException failure) when (failure.SocketErrorCode == SocketError.MessageSize)
            {
                _tally.Count(NameEvent.Fault);
            }
            catch (Exception)
            {
                // The root of what serves a network: whatever came of one question, the next is answered. What lasts must not take a core.
                _tally.Count(NameEvent.Fault);
                await Task.Delay(PauseAfterFault);
            }
        }
    }

    private static IPEndPoint EndPointOf(Socket socket) => socket.AddressFamily == AddressFamily.InterNetwork ? NameSockets.AnyIPv4 : NameSockets.AnyIPv6;

    private static SocketAddress Copy(SocketAddress from)
    {
        var copy = new SocketAddress(from.Family, from.Size);
        from.Buffer.Span[..from.Size].CopyTo(copy.Buffer.Span);
        return copy;
    }

    // The length of an answer that can be sent, or 0 and what others are to be asked, or 0 and null: nothing.
    private int Answer(ReadOnlySpan<byte> query, IPAddress client, bool isStream, byte[] reply, out OutsideQuestion? outside)
    {
        outside = null;
        _tally.Count(NameEvent.Query);
        var asker = InternetAddress.FromIPAddress(client);
        if (!_limits.TryAsk(asker, Environment.TickCount64))
        {
            _tally.Count(NameEvent.Limited);
            return 0;
        }

        var length = _names.Answer(query, isStream, (uint)Random.Shared.Next(), asker, reply, out outside);
        if (length > 0) _tally.Count(NameEvent.Answered);
        return length;
    }

    private async void BeginOutside(Socket socket, OutsideQuestion question, IPAddress client, SocketAddress to)
    {
        var reply = ArrayPool<byte>.Shared.Rent(Forwarder.MaxSize);
        try
        {
            var length = await AskOutsideAsync(question, client, reply);
            await socket.SendToAsync(reply.AsMemory(0, length), SocketFlags.None, to, _stopping.Token);
        }
        catch (Exception)
        {
            // The root of a question: the server stops, or the client is gone. Whatever it was, it is this question's end only.
            if (!_stopping.IsCancellationRequested) _tally.Count(NameEvent.Fault);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(reply);
        }
    }

    private async Task<int> AskOutsideAsync(OutsideQuestion question, IPAddress client, byte[] reply)
    {
        var place = _limits.TryBeginOutside(InternetAddress.FromIPAddress(client), Environment.TickCount64);
        if (place is null)
        {
            _tally.Count(NameEvent.Failed);
            return Forwarder.Fail(question, reply);
        }

        try
        {
            var (length, isAnswered) = await _forwarder.AskAsync(question, client, reply, _stopping.Token);
            _tally.Count(isAnswered ? NameEvent.Forwarded : NameEvent.Failed);
            return length;
        }
        finally
        {
            _limits.EndOutside(place);
        }
    }

    private async Task AcceptAsync(Socket socket)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Serve(await socket.AcceptAsync(_stopping.Token));
            }
            catch (Exception) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (SocketException)
            {
                // It was gone before it was taken, or there are no descriptors left.
                _tally.Count(NameEvent.Fault);
                await Task.Delay(PauseAfterFault);
            }
        }
    }

    private async void Serve(Socket connection)
    {
        ClientPlace? place = null;
        Interlocked.Increment(ref _connections);
        try
        {
            // Who has reset it already has no address any more, which is an exception.
            var client = ((IPEndPoint)connection.RemoteEndPoint!).Address;
            if (Volatile.Read(ref _connections) <= _options.Connections) place = _limits.TryBeginConnection(InternetAddress.FromIPAddress(client), Environment.TickCount64);
            if (place is null)
            {
                _tally.Count(NameEvent.Limited);
                return;
            }

            await using var stream = new NetworkStream(connection);
            await TalkAsync(stream, client);
        }
        catch (Exception failure)
        {
            // The root of a connection: it said nothing for too long, was closed or reset, or the server stops. Anything else is its end only, too.
            if (failure is not (OperationCanceledException or IOException or SocketException)) _tally.Count(NameEvent.Fault);
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
            if (place is not null) _limits.EndConnection(place);
            connection.Dispose();
        }
    }

    // One question after the other (RFC 7766, section 6.2.1), each with two bytes of length before it.
    private async Task TalkAsync(NetworkStream stream, IPAddress client)
    {
        var query = new byte[MaxQuerySize];
        var reply = ArrayPool<byte>.Shared.Rent(Math.Max(DnsReply.MaxSize, Forwarder.MaxSize));
        try
        {
            while (true)
            {
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
                patience.CancelAfter(_options.ConnectionMilliseconds);
                await stream.ReadExactlyAsync(query.AsMemory(0, 2), patience.Token);
                var length = (query[0] << 8) | query[1];
                if (length > MaxQuerySize) return;
                await stream.ReadExactlyAsync(query.AsMemory(0, length), patience.Token);
                var answer = Answer(query.AsSpan(0, length), client, isStream: true, reply, out var outside);
                if (outside is not null) answer = await AskOutsideAsync(outside, client, reply);
                if (answer == 0) return;
                await stream.WriteAsync(new byte[] { (byte)(answer >> 8), (byte)answer }, patience.Token);
                await stream.WriteAsync(reply.AsMemory(0, answer), patience.Token);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(reply);
        }
    }
}
