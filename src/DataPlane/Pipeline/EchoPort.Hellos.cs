using System.Collections.Concurrent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <content>The hellos that it sends: signs of life to other VTEPs (<see cref="HelloMessage"/>).</content>
public sealed partial class EchoPort
{
    /// <summary>Hellos that wait to be sent, at most; a worker that is so far behind has other troubles.</summary>
    private const int MaxHellosWaiting = 4 * HelloDesk.MaxPeers;

    // Not always the same source port: one dead way of several is lost datagrams, not a dead VTEP.
    private const uint HelloPaths = 4;

    private readonly ConcurrentQueue<HelloOrder> _hellos = new();
    private readonly HelloPeer[] _helloPeers = new HelloPeer[MaxAtOnce];
    private readonly uint[] _helloSequences = new uint[MaxAtOnce];

    /// <summary>Takes hellos to send; from any thread, which then wakes the worker.</summary>
    public void Post(ReadOnlySpan<HelloOrder> hellos)
    {
        foreach (var hello in hellos)
        {
            if (_hellos.Count >= MaxHellosWaiting) hello.Peer.NoteSent(hello.Message.Sequence, 0, DropReason.WouldBlock);
            else _hellos.Enqueue(hello);
        }

        Volatile.Write(ref _waiting, 1);
    }

    private void SendHellos()
    {
        if (_hellos.IsEmpty) return;
        Flush();
        var (frames, datagrams) = Buffers();
        while (!_hellos.IsEmpty)
        {
            var count = 0;
            while (count < MaxAtOnce && _hellos.TryDequeue(out var hello))
            {
                ref var frame = ref frames.Add(HelloMessage.Size);
                hello.Message.Write(frames.Bytes(frame));
                datagrams.TryAddWhole(frame, hello.Peer.Remote, Hash(hello.Peer.Nonce, (byte)(hello.Message.Sequence % HelloPaths)), default);
                _helloPeers[count] = hello.Peer;
                _helloSequences[count++] = hello.Message.Sequence;
            }

            var now = nanoseconds();
            underlay.Send(datagrams);
            for (var i = 0; i < count; i++)
            {
                _helloPeers[i].NoteSent(_helloSequences[i], now, datagrams[i].Drop);
                if (datagrams[i].Drop is null) desk.Hellos.CountSent();
            }

            Forget();
        }
    }

    /// <summary>Takes a hello.</summary>
    /// <param name="message">What <see cref="HelloMessage.TryParse"/> made of a datagram.</param>
    /// <param name="sender">Who sent it.</param>
    /// <param name="nowMilliseconds">The clock of the limit.</param>
    /// <returns>Null if it was taken, else why it is dropped.</returns>
    public DropReason? Take(in HelloMessage message, InternetAddress sender, long nowMilliseconds) =>
        desk.IsOn ? desk.Hellos.Take(message, sender, nanoseconds(), nowMilliseconds) : DropReason.EchoRefused;
}
