using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// The sending sockets, one a source port, opened as flows need them: a UDP socket has one source port, and the port is the entropy that spreads
/// flows over paths and receive queues (RFC 7348, section 5). A flow's hash always gives the same socket. They never receive. One thread.
/// </summary>
public sealed class SourcePorts : IDisposable
{
    /// <summary>
    /// Sockets of all workers, at most: 64 flows hashed over 512 ports use 60 of them on average, and hardly ever fewer than 50; each costs a descriptor
    /// and about a kilobyte of kernel memory.
    /// </summary>
    public const int MaxSockets = 512;

    private const int SendBufferBytes = 4 << 20;

    private readonly VtepOptions _options;
    private readonly UnderlaySocket?[] _sockets;
    private readonly int _rangeStart;
    private readonly int _rangeSize;

    /// <summary>Opens the first socket, so that an address or a range that cannot be used is found out at once.</summary>
    /// <param name="options">The range, and what the sockets are set to.</param>
    /// <param name="worker">Whose ports: each worker has its part of the range and of the sockets.</param>
    /// <param name="workers">How many parts; no more than the range has ports.</param>
    /// <exception cref="ErrnoException">bind: EADDRNOTAVAIL, the local address is not this host's; EADDRINUSE, no port of the part is free.</exception>
    public SourcePorts(VtepOptions options, int worker = 0, int workers = 1)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        var whole = options.SourcePortMax - options.SourcePortMin + 1;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(workers, whole);
        _rangeStart = options.SourcePortMin + (int)((long)worker * whole / workers);
        _rangeSize = options.SourcePortMin + (int)((long)(worker + 1) * whole / workers) - _rangeStart;
        _sockets = new UnderlaySocket[Math.Min(_rangeSize, MaxSockets / workers)];
        OpenFirst();
    }

    /// <summary>Sockets open now.</summary>
    public int OpenCount { get; private set; }

    /// <summary>The most there can be.</summary>
    public int Limit => _sockets.Length;

    /// <summary>Which socket a flow uses.</summary>
    public int IndexOf(uint flowHash) => (int)(((ulong)flowHash * (ulong)_sockets.Length) >> 32);

    /// <summary>The source port of a flow, as far as it can be known without opening it; from any thread.</summary>
    /// <returns>The port, and whether its socket is open: if not, another process may still take the port, and the next of its part serves.</returns>
    public (ushort Port, bool IsOpen) PortOf(uint flowHash)
    {
        var index = IndexOf(flowHash);
        return Volatile.Read(ref _sockets[index]) is { } socket ? (socket.LocalPort, true) : ((ushort)PartStart(index), false);
    }

    /// <summary>The socket of an index, opened if need be. Once no more can be opened (descriptors, ports), a neighbour that is open serves.</summary>
    public UnderlaySocket Get(int index) => _sockets[index] ?? Open(index);

    // In a small range a part is one port, and somebody else may have it: then the next part.
    private void OpenFirst()
    {
        for (var index = 0; OpenCount == 0; index++)
        {
            try
            {
                Get(index);
            }
            catch (ErrnoException exception) when (exception.Errno == LibC.EADDRINUSE && index < _sockets.Length - 1)
            {
            }
        }
    }

    private UnderlaySocket Open(int index)
    {
        // The range in as many equal parts as there are sockets; a port somebody else has is stepped over within its part.
        var first = PartStart(index);
        var end = PartStart(index + 1);
        Span<byte> address = stackalloc byte[16];
        _options.Local.Write(address);
        using var raised = ThreadCapabilities.Raise();
        ErrnoException? failure = null;
        for (var port = first; port < end; port++)
        {
            UnderlaySocket? socket = null;
            try
            {
                socket = new UnderlaySocket(!_options.Local.IsIPv4);
                Prepare(socket);
                var errno = socket.TryBind(address[.._options.Local.Size], (ushort)port);
                if (errno == 0)
                {
                    OpenCount++;
                    return _sockets[index] = socket;
                }

                socket.Dispose();
                failure = new ErrnoException(errno, nameof(LibC.bind), $"{_options.Local} port {port}");
                if (errno != LibC.EADDRINUSE) break;
            }
            catch (ErrnoException exception)
            {
                socket?.Dispose();
                failure = exception;
                break;
            }
        }

        for (var step = 1; step < _sockets.Length; step++)
            if (_sockets[(index + step) % _sockets.Length] is { } neighbour) return _sockets[index] = neighbour;
        throw failure!;
    }

    private int PartStart(int part) => _rangeStart + (int)((long)part * _rangeSize / _sockets.Length);

    private void Prepare(UnderlaySocket socket)
    {
        socket.RefuseInput();
        if (!socket.TrySet(LibC.SOL_SOCKET, LibC.SO_SNDBUFFORCE, SendBufferBytes)) socket.TrySet(LibC.SOL_SOCKET, LibC.SO_SNDBUF, SendBufferBytes);
        if (_options.InterfaceIndex != 0) Multicast.SendBy(socket, _options.InterfaceIndex);
        // DF clear: the kernel's device leaves fragmenting to the IP layer, while a UDP socket would set DF.
        if (socket.IsIPv6)
        {
            socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_MTU_DISCOVER, LibC.IPV6_PMTUDISC_DONT);
            // Routers that hash the flow label must see one flow in a flow's super-frames, which have none, and its other datagrams.
            if (_options.UnderlayTap is not null) socket.TrySet(LibC.IPPROTO_IPV6, LibC.IPV6_AUTOFLOWLABEL, 0);
            if (_options.ZeroChecksum6Transmit) socket.Set(LibC.IPPROTO_UDP, LibC.UDP_NO_CHECK6_TX, 1);
        }
        else
        {
            socket.Set(LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.IP_PMTUDISC_DONT);
            if (!_options.UdpChecksum) socket.Set(LibC.SOL_SOCKET, LibC.SO_NO_CHECK, 1);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var socket in _sockets) socket?.Dispose();
    }
}
