using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>
/// One end of a tunnel on one host: made by <see cref="Start"/>, undone by disposing. The overlay address is on <see cref="Device"/>.
/// </summary>
internal abstract class TunnelEnd(Host host, int underlayMtu) : IDisposable
{
    /// <summary>Bytes that VXLAN over IPv4 adds to a frame: what an overlay MTU is smaller by.</summary>
    protected const int Overhead = 50;

    private readonly List<Background> _processes = [];

    /// <summary>Where it runs.</summary>
    public Host Host { get; } = host;

    /// <summary>The overlay device.</summary>
    public virtual string Device => "vx0";

    /// <summary>MTU of the underlay, bytes.</summary>
    protected int UnderlayMtu { get; } = underlayMtu;

    /// <summary>Processes whose CPU and memory is the VTEP's; none where the kernel does the work.</summary>
    public IReadOnlyList<int> Processes => [.. _processes.Select(static process => process.Id)];

    /// <summary>Asks the running system how it works, for the report; null if it has nothing to say.</summary>
    public virtual string? ReadDetail() => null;

    /// <summary>What has to be there before a user would call it set-up, such as keys and files; not timed.</summary>
    public virtual void Prepare()
    {
    }

    /// <summary>Makes the end, so that it carries frames as soon as the other end does. Timed.</summary>
    /// <exception cref="BenchFailure">It does not work here; the message says why.</exception>
    public abstract void Start();

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        foreach (var process in _processes) process.Dispose();
        _processes.Clear();
    }

    /// <summary>Starts a process that is part of the VTEP, in the host's namespace.</summary>
    protected Background Run(params IReadOnlyList<string> words)
    {
        var process = new Background(Host.Inside(words));
        _processes.Add(process);
        return process;
    }

    /// <summary>Gives the overlay device its address and brings it up.</summary>
    protected void Address(string device)
    {
        Host.Ip("addr", "add", $"{Host.Overlay}/24", "dev", device);
        Host.Ip("link", "set", device, "up");
    }
}
