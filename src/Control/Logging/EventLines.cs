using Microsoft.Extensions.Logging;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.DataPlane.Events;

namespace Sleeve.Control.Logging;

/// <summary>While the level is debug, writes what happens (stations learned, moved, aged, …) as <c>sleeve monitor</c> would; otherwise nobody listens, which costs nothing.</summary>
internal sealed partial class EventLines : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly EventRing _ring;
    private readonly ILogger _logger;
    private readonly Timer _timer;
    private readonly Lock _lock = new();
    private EventReader? _reader;

    /// <summary>Begins to look whether it is wanted.</summary>
    public EventLines(EventRing ring, ILogger logger)
    {
        (_ring, _logger) = (ring, logger);
        _timer = new Timer(_ => Look(), null, TimeSpan.Zero, Interval);
    }

    private void Look()
    {
        // One that takes longer than the interval is not joined by a second.
        if (!_lock.TryEnter()) return;
        try
        {
            if (!_logger.IsEnabled(LogLevel.Debug))
            {
                _reader?.Dispose();
                _reader = null;
                return;
            }

            _reader ??= _ring.Listen();
            while (_reader.TryRead(out var happened))
                if (EventRoutes.Show(happened) is var shown && MonitorCommand.Format(shown) is { } line) Happened(_logger, shown.Event, line);
        }
        finally
        {
            _lock.Exit();
        }
    }

    [LoggerMessage(220, LogLevel.Debug, "{Kind}: {Line}")]
    private static partial void Happened(ILogger logger, string kind, string line);

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock) _reader?.Dispose();
    }
}
