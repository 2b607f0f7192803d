using System.Net.Sockets;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// Network namespaces wired together for one test. Everything a test makes in it (namespaces, processes, sockets) ends with it, last made first.
/// A VTEP that did not live until then, or does not end as it should, fails the test.
/// What was done is written to the test's output, which is shown when the test fails.
/// </summary>
public sealed class Lab : IDisposable
{
    private static int _labs;
    private readonly ITestOutputHelper _output;
    private readonly Stack<IDisposable> _owned = new();
    private readonly List<Host> _hosts = [];
    private readonly int _number = Interlocked.Increment(ref _labs);
    private string? _said;
    private int _repeats;

    /// <summary>An empty lab; skips the test where namespaces cannot be made.</summary>
    public Lab(ITestOutputHelper output, AddressFamily family = AddressFamily.InterNetwork)
    {
        Requirements.Namespaces();
        (_output, Family) = (output, family);
    }

    /// <summary>The family of the underlay that VTEPs use; hosts have addresses of both.</summary>
    public AddressFamily Family { get; }

    /// <summary>The hosts made so far, the switch of the underlay not counted.</summary>
    public IReadOnlyList<Host> Hosts => _hosts;

    /// <summary>Makes a host that is connected to nothing yet.</summary>
    public Host AddHost(string name)
    {
        var host = MakeHost(name, _hosts.Count + 1);
        _hosts.Add(host);
        return host;
    }

    /// <summary>
    /// Joins hosts by a switch, a Linux bridge in a namespace of its own; returns that. Port `p1` leads to the host numbered 1.
    /// </summary>
    public Host JoinBySwitch(params Host[] hosts)
    {
        var middle = MakeHost("switch", 0);
        middle.Run("ip link add br0 type bridge mcast_snooping 0");
        middle.Run("ip link set br0 up");
        foreach (var host in hosts)
        {
            host.Run($"ip link add {Host.UnderlayDevice} type veth peer name p{host.Number} netns {middle.Namespace}");
            middle.Run($"ip link set p{host.Number} master br0 up");
            GiveUnderlayAddresses(host);
        }

        return middle;
    }

    /// <summary>Joins two hosts by a veth pair.</summary>
    public static void JoinDirectly(Host one, Host other, bool offloads = true)
    {
        one.Run($"ip link add {Host.UnderlayDevice} type veth peer name {Host.UnderlayDevice} netns {other.Namespace}");
        foreach (var host in new[] { one, other })
        {
            if (!offloads) TurnOffloadsOff(host, Host.UnderlayDevice);
            GiveUnderlayAddresses(host);
        }
    }

    /// <summary>
    /// What leaves a device is finished then: segmented and with checksums. With veth's default, on, neither is done before a packet reaches a
    /// socket on the same machine.
    /// </summary>
    public static void TurnOffloadsOff(Host host, string device)
    {
        Requirements.Programs("ethtool");
        host.Run($"ethtool -K {device} tx off tso off gso off gro off");
    }

    /// <summary>Hands something to the lab, to be disposed with it.</summary>
    public T Own<T>(T thing)
        where T : IDisposable
    {
        lock (_owned) _owned.Push(thing);
        return thing;
    }

    /// <summary>Those of a kind that were handed to it.</summary>
    public IReadOnlyList<T> Owned<T>()
    {
        lock (_owned) return [.. _owned.OfType<T>()];
    }

    /// <summary>A line for the reader of a failed test. What is polled says the same again and again: that is one line.</summary>
    public void Log(string line)
    {
        lock (_owned)
        {
            if (line == _said)
            {
                _repeats++;
                return;
            }

            if (_repeats > 0) _output.WriteLine($"    … {_repeats} more of these");
            (_said, _repeats) = (line, 0);
            _output.WriteLine(line);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        CommandFailedException? failure = null;
        while (_owned.TryPop(out var thing))
        {
            try
            {
                thing.Dispose();
            }
            catch (CommandFailedException e)
            {
                failure ??= e;
            }
        }

        if (failure is not null) throw failure;
    }

    private static void GiveUnderlayAddresses(Host host)
    {
        host.Run($"ip addr add {host.Address4}/24 dev {Host.UnderlayDevice}");
        host.Run($"ip addr add {host.Address6}/64 dev {Host.UnderlayDevice} nodad");
        host.Run($"ip link set {Host.UnderlayDevice} up");
    }

    private Host MakeHost(string name, int number)
    {
        var @namespace = $"e2e{Environment.ProcessId}-{_number}-{name}";
        Own(new Namespace(@namespace));
        return new Host(this, name, @namespace, number);
    }

    private sealed class Namespace(string name) : IDisposable
    {
        public void Dispose() => Command.Run(["ip", "netns", "del", name]);
    }
}
