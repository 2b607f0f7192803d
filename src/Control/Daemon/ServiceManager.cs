using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Sleeve.Control.Daemon;

/// <summary>
/// Tells the service manager how things stand (sd_notify(3)): readiness, reloads, the watchdog, a line for <c>systemctl status</c>. Without one every method does nothing; a
/// manager that is gone is no reason to stop.
/// </summary>
internal sealed class ServiceManager : IDisposable
{
    private const string SocketVariable = "NOTIFY_SOCKET";
    private const string WatchdogVariable = "WATCHDOG_USEC";
    private const string WatchdogPidVariable = "WATCHDOG_PID";

    private readonly Socket? _socket;
    private readonly UnixDomainSocketEndPoint? _manager;

    /// <summary>Finds the manager in the environment.</summary>
    public ServiceManager()
    {
        if (Environment.GetEnvironmentVariable(SocketVariable) is not ['/' or '@', ..] path) return;
        // A leading @ stands for a name that is in no file system (unix(7)).
        _manager = new UnixDomainSocketEndPoint(path[0] == '@' ? '\0' + path[1..] : path);
        _socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        var isForUs = Environment.GetEnvironmentVariable(WatchdogPidVariable) is not { } pid || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (isForUs && long.TryParse(Environment.GetEnvironmentVariable(WatchdogVariable), NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds) && microseconds > 0)
            WatchdogInterval = TimeSpan.FromMicroseconds(microseconds / 3.0);
    }

    /// <summary>How often <see cref="Alive"/> is to be told; null without a watchdog.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>Everything stands.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={status}\nMAINPID={Environment.ProcessId}");

    /// <summary>The configuration is being read again; <see cref="Ready"/> ends it.</summary>
    public void Reloading() => Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={(long)(System.Diagnostics.Stopwatch.GetTimestamp() / (System.Diagnostics.Stopwatch.Frequency / 1e6))}"));

    /// <summary>It comes to an end.</summary>
    public void Stopping() => Send("STOPPING=1");

    /// <summary>It still lives.</summary>
    public void Alive() => Send("WATCHDOG=1");

    /// <summary>What goes on, in a line.</summary>
    public void Status(string status) => Send($"STATUS={status}");

    private void Send(string message)
    {
        if (_socket is null || _manager is null) return;
        try
        {
            _socket.SendTo(Encoding.UTF8.GetBytes(message), _manager);
        }
        catch (SocketException)
        {
            // Nobody listens any more.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();

}
