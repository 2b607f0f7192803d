using System.Net;
using System.Net.Sockets;

namespace Sleeve.Control.Tests.Store;

/// <summary>Hands bytes to and from an etcd, and can swallow what its watches tell while all else goes on.</summary>
internal sealed class MutableProxy : IAsyncDisposable
{
    private readonly Uri _target;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    public MutableProxy(Uri target)
    {
        _target = target;
        _listener.Start();
        Endpoint = new Uri($"http://{_listener.LocalEndpoint}");
        _accepting = AcceptAsync();
    }

    public Uri Endpoint { get; }

    /// <summary>Whether watches tell nothing.</summary>
    public volatile bool IsMute;

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var near = client;
        using var far = new TcpClient();
        try
        {
            await far.ConnectAsync(_target.Host, _target.Port, _stop.Token);
            var isWatch = false;
            var there = PumpAsync(near.GetStream(), far.GetStream(), bytes => isWatch |= bytes.IndexOf("POST /v3/watch"u8) >= 0);
            var back = PumpAsync(far.GetStream(), near.GetStream(), null, () => IsMute && isWatch);
            await Task.WhenAny(there, back);
        }
        catch (Exception failure) when (failure is IOException or SocketException or OperationCanceledException)
        {
            // One of the two is gone, and so is the other then.
        }
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to, SpanAction? look, Func<bool>? isMute = null)
    {
        var buffer = new byte[64 * 1024];
        while (await from.ReadAsync(buffer, _stop.Token) is > 0 and var length)
        {
            look?.Invoke(buffer.AsSpan(0, length));
            if (isMute?.Invoke() != true) await to.WriteAsync(buffer.AsMemory(0, length), _stop.Token);
        }
    }

    private delegate void SpanAction(ReadOnlySpan<byte> bytes);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }
}
