using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Turns a batch of datagrams into as few kernel calls as it takes: what leaves by one source port goes in one sendmmsg(2), and in it equal
/// datagrams to one remote, with one outer class, in one message that the kernel cuts (UDP_SEGMENT, udp(7)); the last may be shorter. A message that the kernel will not
/// cut is sent again datagram by datagram. One thread.
/// </summary>
internal sealed class UdpTransmitter : IDisposable
{
    // A message and the headers below it must stay within 65,535 bytes.
    private const int MaxMessageBytes = 65000;
    private const int MaxMessages = 1024;

    private readonly DatagramBatch _batch;
    private readonly DatagramSender _sender;
    private readonly Message[] _messages = new Message[MaxMessages];
    private readonly Piece[] _pieces = new Piece[2 * MaxMessages];
    private readonly int[] _errors = new int[MaxMessages];
    private int _pieceCount;

    internal UdpTransmitter(DatagramBatch batch)
    {
        _batch = batch;
        _sender = new DatagramSender(batch.Frames.Slab, MaxMessages, DatagramBatch.MaxSlices);
    }

    /// <summary>Whether runs may go in one message.</summary>
    internal bool UsesGso { get; set; }

    /// <summary>Datagrams of one message, at most: the kernel's UDP_MAX_SEGMENTS.</summary>
    internal int MaxSegments { get; init; } = 64;

    /// <summary>The address that the sockets send from; unspecified for the route's.</summary>
    internal required InternetAddress Local { get; init; }

    /// <summary>Takes super-frames whole; null without an underlay TAP.</summary>
    internal TunnelTransmitter? Tunnel { get; init; }

    /// <summary>Messages that the kernel was to cut.</summary>
    internal long GsoMessages { get; private set; }

    /// <summary>Messages that the kernel refused to cut.</summary>
    internal long GsoRefused { get; private set; }

    /// <summary>Sends everything in the batch and writes to each entry how it went.</summary>
    /// <param name="ports">Where from.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    internal void Send(SourcePorts ports, long nowMilliseconds)
    {
        for (var first = 0; first < _batch.Count;)
        {
            var port = ports.IndexOf(_batch[first].FlowHash);
            var socket = ports.Get(port);
            _sender.Clear();
            _pieceCount = 0;
            for (; first < _batch.Count && ports.IndexOf(_batch[first].FlowHash) == port; first++)
                if (!TrySendWhole(socket, first, nowMilliseconds)) Add(socket, first);
            Flush(socket);
        }
    }

    // What stands before it in its flow goes first, by the same port: no way overtakes the other.
    private bool TrySendWhole(UnderlaySocket socket, int index, long nowMilliseconds)
    {
        ref var datagram = ref _batch[index];
        datagram.Drop = null;
        datagram.Dropped = 0;
        if (Tunnel is null || datagram.SuperFrame == 0) return false;
        Flush(socket);
        return Tunnel.TrySend(_batch, datagram, socket.LocalPort, nowMilliseconds);
    }

    private void Add(UnderlaySocket socket, int index)
    {
        ref var datagram = ref _batch[index];
        // A flow hardly ever changes its mind, and a socket has few flows: it costs a call where that happens.
        if (datagram.Outer.DontFragment != socket.DontFragment)
        {
            Flush(socket);
            socket.SetDontFragment(datagram.Outer.DontFragment);
        }

        for (var from = 0; from < datagram.Count;)
        {
            var room = UsesGso ? Math.Clamp(MaxMessageBytes / datagram.LengthEach, 1, MaxSegments) : 1;
            var count = Math.Min(datagram.Count - from, room);
            var piece = new Piece(index, from, count);
            if (_pieceCount == _pieces.Length || _sender.SlicesLeft < count * datagram.SlicesEach) Flush(socket);
            if (!TryExtend(datagram, piece))
            {
                if (_sender.Count == _sender.Capacity) Flush(socket);
                Begin(datagram, piece);
            }

            _pieces[_pieceCount++] = piece with { Message = _sender.Count - 1 };
            from += count;
        }
    }

    private void Begin(in Datagram datagram, in Piece piece)
    {
        BeginMessage(datagram);
        ref var message = ref _messages[_sender.Count - 1];
        message = new Message { LengthEach = datagram.LengthEach };
        Append(ref message, datagram, piece);
    }

    private bool TryExtend(in Datagram datagram, in Piece piece)
    {
        if (!UsesGso || _sender.Count == 0) return false;
        ref var message = ref _messages[_sender.Count - 1];
        ref var last = ref _batch[_pieces[_pieceCount - 1].Datagram];
        if (message.IsClosed || last.Remote != datagram.Remote || last.Outer != datagram.Outer) return false;
        // A shorter one can only be the last, and only by itself.
        if (datagram.LengthEach > message.LengthEach || (datagram.LengthEach < message.LengthEach && piece.Count > 1)) return false;
        if (message.Count + piece.Count > MaxSegments || message.Length + BytesOf(datagram, piece) > MaxMessageBytes) return false;
        Append(ref message, datagram, piece);
        return true;
    }

    private void Append(ref Message message, in Datagram datagram, in Piece piece)
    {
        foreach (var slice in _batch.SlicesOf(datagram).Slice(piece.From * datagram.SlicesEach, piece.Count * datagram.SlicesEach))
            _sender.AddSlice(slice.Offset, slice.Length);
        var bytes = BytesOf(datagram, piece);
        message.Count += piece.Count;
        message.Length += bytes;
        message.IsClosed = bytes != piece.Count * message.LengthEach;
        if (message.Count > 1) _sender.CutInto((ushort)message.LengthEach);
    }

    private void Flush(UnderlaySocket socket)
    {
        if (_sender.Count == 0) return;
        _sender.Send(socket, 0, _sender.Count, _errors);
        for (var i = 0; i < _sender.Count; i++)
            if (_messages[i].Count > 1) GsoMessages++;

        // Sending again uses the sender anew, so what is to be sent again is gathered first.
        var again = 0;
        for (var i = 0; i < _pieceCount; i++)
        {
            var piece = _pieces[i];
            var errno = _errors[piece.Message];
            if (errno == 0) continue;
            if (_messages[piece.Message].Count > 1 && errno is LibC.EINVAL or LibC.EIO or LibC.EMSGSIZE or LibC.EOPNOTSUPP)
            {
                GsoRefused++;
                _pieces[again++] = piece;
                continue;
            }

            Drop(piece.Datagram, piece.Count, errno);
        }

        _sender.Clear();
        _pieceCount = 0;
        for (var i = 0; i < again; i++) SendSingly(socket, _pieces[i]);
    }

    private void SendSingly(UnderlaySocket socket, in Piece piece)
    {
        ref var datagram = ref _batch[piece.Datagram];
        var slices = _batch.SlicesOf(datagram);
        for (var i = piece.From; i < piece.From + piece.Count; i++)
        {
            BeginMessage(datagram);
            foreach (var slice in slices.Slice(i * datagram.SlicesEach, datagram.SlicesEach)) _sender.AddSlice(slice.Offset, slice.Length);
        }

        _sender.Send(socket, 0, piece.Count, _errors);
        for (var i = 0; i < piece.Count; i++)
            if (_errors[i] != 0) Drop(piece.Datagram, 1, _errors[i]);
        _sender.Clear();
    }

    private void BeginMessage(in Datagram datagram)
    {
        var to = datagram.Remote.Address;
        Span<byte> address = stackalloc byte[16];
        to.Address.Write(address);
        _sender.Begin(address[..to.Address.Size], to.Port);
        if (datagram.Outer.NeedsControl) OuterControl.Write(_sender, datagram.Outer, to.Address.IsIPv4);
        if (datagram.Remote.InterfaceIndex != 0) OuterControl.WriteInterface(_sender, datagram.Remote.InterfaceIndex, Local);
    }

    private void Drop(int index, int count, int errno)
    {
        ref var datagram = ref _batch[index];
        datagram.Dropped += count;
        datagram.Drop = errno switch
        {
            LibC.EAGAIN or LibC.ENOBUFS => DropReason.WouldBlock,
            LibC.EMSGSIZE => DropReason.TooBig,
            LibC.ENETUNREACH or LibC.EHOSTUNREACH or LibC.ENETDOWN or LibC.EADDRNOTAVAIL or LibC.EINVAL => DropReason.NoRoute,
            LibC.ENODEV => DropReason.NoInterface,
            _ => DropReason.Rejected,
        };
    }

    private static int BytesOf(in Datagram datagram, in Piece piece) =>
        piece.From + piece.Count == datagram.Count ? datagram.Length - (piece.From * datagram.LengthEach) : piece.Count * datagram.LengthEach;

    public void Dispose() => _sender.Dispose();

    private struct Message
    {
        public int LengthEach;
        public int Count;
        public int Length;
        public bool IsClosed;
    }

    // Datagrams From to From + Count − 1 of an entry of the batch, and the message they went into.
    private readonly record struct Piece(int Datagram, int From, int Count, int Message = 0);
}
