using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Sleeve.EndToEnd.Rig;

/// <summary>One machine of the lab: a network namespace. Made and removed by <see cref="Lab"/>.</summary>
public sealed class Host
{
    /// <summary>The device that leads into the underlay.</summary>
    public const string UnderlayDevice = "u0";

    private readonly Lab _lab;

    internal Host(Lab lab, string name, string @namespace, int number)
    {
        (_lab, Name, Namespace, Number) = (lab, name, @namespace, number);
        Command.Run(["ip", "netns", "add", Namespace]).Ok();

        // Devices stay silent unless a test makes them speak: no link-local addresses, no router solicitations, no duplicate detection.
        InNamespace(() =>
        {
            foreach (var (key, value) in new[] { ("addr_gen_mode", "1"), ("accept_ra", "0"), ("dad_transmits", "0"), ("accept_dad", "0") })
                File.WriteAllText($"/proc/sys/net/ipv6/conf/default/{key}", value);
        });
        Run("ip link set lo up");
    }

    /// <summary>Short name, unique in the lab.</summary>
    public string Name { get; }

    /// <summary>Name of the network namespace, unique on the machine.</summary>
    public string Namespace { get; }

    /// <summary>The last number of its underlay addresses, from 1.</summary>
    public int Number { get; }

    /// <summary>10.0.0.Number.</summary>
    public IPAddress Address4 => new([10, 0, 0, (byte)Number]);

    /// <summary>fd00::Number.</summary>
    public IPAddress Address6 => IPAddress.Parse($"fd00::{Number:x}");

    /// <summary>The lab it belongs to.</summary>
    public Lab Lab => _lab;

    /// <summary>Its underlay address in the family of the lab's underlay.</summary>
    public IPAddress Address => _lab.Family == AddressFamily.InterNetwork ? Address4 : Address6;

    /// <summary>Runs a command line here and returns what it printed; throws with its standard error if it failed.</summary>
    public string Run(string line) => Try(line).Ok();

    /// <summary>Runs a command line here, whatever comes of it.</summary>
    public CommandResult Try(string line, TimeSpan? timeout = null) => Try(Command.Split(line), timeout);

    /// <summary>Runs a command here, whatever comes of it.</summary>
    public CommandResult Try(IReadOnlyList<string> words, TimeSpan? timeout = null)
    {
        var result = Command.Run(Inside(words), timeout: timeout);
        var outcome = result.ExitCode == 0 ? "" : $"  → {result.ExitCode} {result.Error.Trim()}";
        _lab.Log($"[{Name}] {string.Join(' ', words)}{outcome}");
        return result;
    }

    /// <summary>Starts a program here that runs until it is stopped, at the latest with the lab.</summary>
    public BackgroundProcess Start(params IReadOnlyList<string> words)
    {
        _lab.Log($"[{Name}] {string.Join(' ', words)} &");
        return _lab.Own(new BackgroundProcess(["ip", "netns", "exec", Namespace, .. words]));
    }

    /// <summary>Runs code on a thread of its own that has entered this namespace: what it opens stays here.</summary>
    public T InNamespace<T>(Func<T> open)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                using var handle = File.OpenHandle($"/run/netns/{Namespace}", FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                if (LibC.setns(handle, LibC.CLONE_NEWNET) != 0) throw new IOException($"setns: errno {Marshal.GetLastPInvokeError()}");
                result = open();
            }
#pragma warning disable CA1031 // carried to the caller's thread
            catch (Exception e)
#pragma warning restore CA1031
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    /// <inheritdoc cref="InNamespace{T}"/>
    public void InNamespace(Action action) => InNamespace(() =>
    {
        action();
        return true;
    });

    /// <summary>Index of a device here; throws if there is none.</summary>
    public int IndexOf(string device)
    {
        var link = Run($"ip -o link show dev {device}");
        return int.Parse(link.AsSpan(0, link.IndexOf(':', StringComparison.Ordinal)), CultureInfo.InvariantCulture);
    }

    /// <summary>True if there is a device of that name here.</summary>
    public bool HasDevice(string device) => Try($"ip link show dev {device}").ExitCode == 0;

    /// <summary>The hardware address of a device here.</summary>
    public string MacOf(string device)
    {
        var words = Command.Split(Run($"ip -o link show dev {device}"));
        return words[Array.IndexOf(words, "link/ether") + 1];
    }

    private string[] Inside(IReadOnlyList<string> words) => words[0] is "ip" or "bridge"
        ? [words[0], "-n", Namespace, .. words.Skip(1)]
        : ["ip", "netns", "exec", Namespace, .. words];
}
