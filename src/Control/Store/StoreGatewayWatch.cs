using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Sleeve.Control.Store;

/// <summary>One watch that a <see cref="StoreGateway"/> serves: lines as etcd's, of batches as they come. Nothing is kept for it but the lines that are being written, so one that reads slowly only falls behind.</summary>
internal sealed class StoreGatewayWatch(EmbeddedStore store, StoreGatewayOptions options, HttpContext context, Func<long, EtcdHeader> headerAt, WatchLines lines)
{
    // So much waits at most for what comes behind it.
    private const int EnoughBytes = 64 * 1024;

    private int _unflushed;

    /// <summary>Serves it until whoever watches leaves, or it cannot go on.</summary>
    /// <param name="prefix">What is watched.</param>
    /// <param name="from">First revision.</param>
    /// <param name="isProgressTold">Whether it is told how far it is when nothing with the prefix changes.</param>
    public async Task ServeAsync(string prefix, long from, bool isProgressTold)
    {
        // It may be as slow as it likes; whether it is there at all is checked line by line.
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
        context.Response.ContentType = "application/json";
        await WriteAsync(new EtcdWatch(headerAt(store.Revision), true, null, null, null, null, null));
        try
        {
            await TellAsync(prefix, from, isProgressTold);
        }
        catch (StoreCompactedException gone)
        {
            await WriteAsync(new EtcdWatch(headerAt(store.Revision), null, true, null, gone.Oldest - 1, null, null));
        }
        catch (StoreUnavailableException failure)
        {
            Add(WatchLines.LineOf(new EtcdWatchLine(null, new EtcdError(null, 14, failure.Message))));
            await FlushAsync();
        }
    }

    private async Task TellAsync(string prefix, long from, bool isProgressTold)
    {
        var told = from - 1;
        await using var batches = store.WatchAsync(prefix, from, context.RequestAborted).GetAsyncEnumerator(context.RequestAborted);
        var next = batches.MoveNextAsync().AsTask();
        while (true)
        {
            try
            {
                // What is there already goes along: many changes at a time are one packet to each host.
                if (_unflushed > 0 && (!next.IsCompletedSuccessfully || _unflushed >= EnoughBytes)) await FlushAsync();
                if (!await next.WaitAsync(options.Progress, context.RequestAborted)) return;
            }
            catch (TimeoutException)
            {
                if (isProgressTold) await WriteAsync(new EtcdWatch(headerAt(told), null, null, null, null, null, null));
                continue;
            }
            catch
            {
                // The enumerator may not be disposed of while it moves, which ends with the request.
                if (!next.IsCompleted) context.Abort();
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw;
            }

            told = batches.Current.Revision;
            if (batches.Current.Changes.Count > 0 || isProgressTold) Add(lines.Of(batches.Current));
            next = batches.MoveNextAsync().AsTask();
        }
    }

    private async Task WriteAsync(EtcdWatch watch)
    {
        Add(WatchLines.LineOf(new EtcdWatchLine(watch, null)));
        await FlushAsync();
    }

    private void Add(byte[] lines)
    {
        context.Response.BodyWriter.Write(lines);
        _unflushed += lines.Length;
    }

    private async Task FlushAsync()
    {
        _unflushed = 0;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        patience.CancelAfter(options.Patience);
        try
        {
            await context.Response.BodyWriter.FlushAsync(patience.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
            throw new OperationCanceledException(context.RequestAborted.IsCancellationRequested ? context.RequestAborted : new CancellationToken(canceled: true));
        }
    }
}
