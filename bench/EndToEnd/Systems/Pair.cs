using System.Diagnostics;
using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>Both ends of a system, running over a lab of their own, pinged through. Disposing undoes all of it.</summary>
internal sealed class Pair : IDisposable
{
    private static readonly TimeSpan PingLimit = TimeSpan.FromSeconds(15);
    private readonly Lab _lab;

    private Pair(Contender contender, Lab lab, TunnelEnd left, TunnelEnd right)
    {
        (Contender, _lab, Left, Right) = (contender, lab, left, right);
    }

    /// <summary>What is running.</summary>
    public Contender Contender { get; }

    /// <summary>The left end.</summary>
    public TunnelEnd Left { get; }

    /// <summary>The right end.</summary>
    public TunnelEnd Right { get; }

    /// <summary>MTU of the underlay, bytes.</summary>
    public int Mtu => _lab.Mtu;

    /// <summary>From the left end's first command to the first answered ping, the right end being there already.</summary>
    public TimeSpan SetUpTime { get; private init; }

    /// <summary>Processes of both VTEPs; none where the kernel does the work at both ends.</summary>
    public IReadOnlyList<int> Processes => [.. Left.Processes, .. Right.Processes];

    /// <summary>Asks the ends how they work; null if they have nothing to say.</summary>
    public string? ReadDetail() => Left.ReadDetail() ?? Right.ReadDetail();

    /// <summary>Sets a system up.</summary>
    /// <exception cref="BenchFailure">It does not work here; the message says why.</exception>
    public static Pair Start(Contender contender, int mtu, string sleeve)
    {
        var lab = new Lab(mtu);
        TunnelEnd left = contender.Left(Host.Left, mtu, sleeve), right = contender.Right(Host.Right, mtu, sleeve);
        try
        {
            right.Prepare();
            left.Prepare();
            right.Start();
            var started = Stopwatch.StartNew();
            left.Start();
            Lab.Ping(PingLimit);
            var pair = new Pair(contender, lab, left, right) { SetUpTime = started.Elapsed };
            Host.Left.Ip("route", "add", Lab.FlowNetwork, "via", Host.Right.Overlay);
            return pair;
        }
        catch
        {
            left.Dispose();
            right.Dispose();
            lab.Dispose();
            throw;
        }
    }

    /// <summary>Ends with the reason if a VTEP has died under the load.</summary>
    /// <exception cref="BenchFailure">One has.</exception>
    public void ThrowIfDead()
    {
        if (IsDead) throw new BenchFailure("a VTEP process ended under load");
    }

    /// <summary>True if a VTEP process has ended.</summary>
    public bool IsDead => Processes.Any(static id => !Directory.Exists($"/proc/{id}"));

    /// <inheritdoc/>
    public void Dispose()
    {
        Left.Dispose();
        Right.Dispose();
        _lab.Dispose();
    }
}
