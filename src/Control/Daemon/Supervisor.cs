using System.Globalization;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Daemon;

/// <summary>
/// Tells the service manager how things stand (sd_notify(3)): readiness, reloads, the watchdog, a line for <c>systemctl status</c>. Without one every method does nothing; a
/// manager that is gone is no reason to stop.
/// </summary>
internal sealed class Supervisor : IDisposable
{
    private const string SocketVariable = "NOTIFY_SOCKET";
    private const string StoreVariable = "FDSTORE";
    private const int MaxNameLength = 255;
    private const string WatchdogVariable = "WATCHDOG_USEC";
    private const string WatchdogPidVariable = "WATCHDOG_PID";

    private readonly ManagerSocket? _socket;
    private readonly int _roomForDescriptors;
    private readonly Dictionary<string, int> _kept = [];
    private readonly Lock _turn = new();

    /// <summary>Finds the manager in the environment.</summary>
    public Supervisor()
    {
        _socket = ManagerSocket.TryOpen(Environment.GetEnvironmentVariable(SocketVariable) ?? "");
        if (_socket is null) return;
        // FileDescriptorStoreMax= of the unit; systemd 254 says it to the service.
        if (int.TryParse(Environment.GetEnvironmentVariable(StoreVariable), NumberStyles.None, CultureInfo.InvariantCulture, out var room)) _roomForDescriptors = room;
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

    /// <summary>
    /// Has the manager keep these descriptors and no others, for the next run to go on with (file descriptor store, sd_pid_notify_with_fds(3)): so not even a killed daemon loses what
    /// the kernel has queued in them. What there is no room for is left out.
    /// </summary>
    public void Keep(IEnumerable<(string Name, int Descriptor)> descriptors)
    {
        if (_socket is null || _roomForDescriptors == 0) return;
        lock (_turn)
        {
            var wanted = descriptors.Where(static each => each.Name.Length <= MaxNameLength && each.Name.All(static c => c is > ' ' and < '\x7f' and not ':')).Take(_roomForDescriptors).ToArray();
            foreach (var gone in _kept.Keys.Except(wanted.Select(static each => each.Name)).ToArray()) Forget(gone);
            foreach (var (name, descriptor) in wanted)
            {
                if (_kept.TryGetValue(name, out var known) && known == descriptor) continue;
                _kept[name] = descriptor;
                // What an earlier run had kept under the name is closed by now. An error on a socket is no reason to let go of it.
                _socket.Send($"FDSTOREREMOVE=1\nFDNAME={name}");
                _socket.Send($"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", descriptor);
            }
        }
    }

    /// <summary>Says that a device's queues are others from now on, or none.</summary>
    public void Forget(string name)
    {
        lock (_turn)
        {
            if (_kept.Remove(name)) _socket?.Send($"FDSTOREREMOVE=1\nFDNAME={name}");
        }
    }

    private void Send(string message) => _socket?.Send(message);

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();
}
