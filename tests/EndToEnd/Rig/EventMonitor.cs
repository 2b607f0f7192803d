namespace Sleeve.EndToEnd.Rig;

/// <summary>What a VTEP tells as it happens: `sleeve monitor`, or `ip monitor neigh` for the kernel's device, whose words for misses are the same. Ends with its host.</summary>
public sealed class EventMonitor
{
    private readonly BackgroundProcess _process;

    /// <summary>Starts to listen, and with JSON waits until it does.</summary>
    public EventMonitor(Vtep vtep, bool json = false, params IReadOnlyList<string> kinds)
    {
        ArgumentNullException.ThrowIfNull(vtep);
        _process = vtep.Kind == VtepKind.Kernel
            ? vtep.Host.Start(["ip", "monitor", "neigh"])
            : vtep.Host.Start([.. SleeveProgram.Words, "monitor", vtep.Device, .. kinds, .. json ? ["--json"] : Array.Empty<string>()]);
        if (json) _process.WaitForText("\"listening\"", TimeSpan.FromSeconds(20));
    }

    /// <summary>The lines so far.</summary>
    public string[] Lines => [.. _process.Output.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0)];

    /// <summary>Does something until a line has come of it: the monitor may not listen yet, and events are limited.</summary>
    public void WaitFor(string line, Action cause)
    {
        ArgumentNullException.ThrowIfNull(cause);
        Wait.Until(
            () =>
            {
                cause();
                return Lines.Contains(line);
            },
            $"the line \"{line}\" in: {string.Join(" | ", Lines)}",
            TimeSpan.FromSeconds(20),
            pollMilliseconds: 200);
    }
}
