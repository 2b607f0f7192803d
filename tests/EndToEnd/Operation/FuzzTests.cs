using System.Globalization;
using System.Net;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Random and mutated datagrams at full rate from a VTEP that is admitted, while two hosts go about their business. For SLEEVE_FUZZ_SECONDS, 60
/// unless set.
/// <code>
///     c: UDP socket ══ anything at all ══▶ a: device under test ◀══ ping ══▶ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output) : LabTest(output)
{
    // What the runtime's heap may move between two looks; a leak of one byte per datagram is more within a minute.
    private const long RoomForTheRuntimeBytes = 8 << 20;

    private static readonly int Seconds =
        int.Parse(Environment.GetEnvironmentVariable("SLEEVE_FUZZ_SECONDS") ?? "60", NumberStyles.None, CultureInfo.InvariantCulture);

    [SkippableFact]
    [Trait("Case", "RX19")]
    public void Survives_anything_for_a_minute_in_flat_memory_while_a_ping_loses_nothing()
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
        lab.JoinBySwitch(hosts);
        var dut = Vtep.Start(SleeveProgram.DeviceUnderTest, hosts[0], new VtepOptions
        {
            Remotes = [hosts[1].Address, hosts[2].Address],
            Addresses = ["192.168.100.1/24"],
            Proxy = true,

            // Every other datagram has a source MAC of its own: a table with room for a million of them is not flat, and need not be.
            MaxAddresses = 4096,
        });
        var peer = Vtep.Start(VtepKind.Kernel, hosts[1], new VtepOptions { Remotes = [hosts[0].Address], Addresses = ["192.168.100.2/24"] });
        hosts[0].Run($"ip neigh replace 192.168.100.2 lladdr {hosts[1].MacOf(peer.Device)} dev {dut.Device} nud permanent");
        hosts[1].Run($"ip neigh replace 192.168.100.1 lladdr {hosts[0].MacOf(dut.Device)} dev {peer.Device} nud permanent");
        Traffic.WaitForPing(hosts[0], Pair.Overlay2);

        using var attacker = new UnderlayPeer(hosts[2]);
        var overflowsBefore = ReceiveOverflows(hosts[0]);
        using var stop = new CancellationTokenSource();
        var attack = Task.Factory.StartNew(
            () => Attack(attacker, hosts[0].Address, stop.Token), stop.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            var count = Seconds * 20;
            var ping = hosts[0].Start("ping", "-n", "-q", "-i", "0.05", "-W", "2", "-c", $"{count}", "192.168.100.2");

            // A quarter of the time to fill the table and compile what is hot; from there on memory must not grow.
            var process = (dut as SleeveVtep)?.Process;
            Thread.Sleep(TimeSpan.FromSeconds(Seconds / 4.0));
            var warm = process?.ResidentBytes() ?? 0;
            Assert.True(ping.WaitForExit(TimeSpan.FromSeconds((Seconds * 2) + 20)), "ping does not end");
            var end = process?.ResidentBytes() ?? 0;
            stop.Cancel();
            Assert.True(attack.Wait(Wait.Soon));

            var overflows = ReceiveOverflows(hosts[0]) - overflowsBefore;
            var lost = count - Received(ping.Output);
            Output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{attack.Result} datagrams in {Seconds} s, of which the socket dropped {overflows}; ping lost {lost} of {count}; "
                + $"resident {warm >> 10} KiB, then {end >> 10} KiB"));
            Assert.True(attack.Result > Seconds * 1000, $"only {attack.Result} datagrams were sent");

            // A full socket buffer drops a ping as readily as anything else; three times its share, as overflows come in bursts.
            var explained = overflows == 0 ? 0 : (3.0 * count * overflows / attack.Result) + 3;
            Assert.True(lost <= explained, $"ping lost {lost} of {count}, the socket's buffer overflowed {overflows} times: {ping.Output}");
            Assert.InRange(end, 0, warm + RoomForTheRuntimeBytes);
            if (process is not null) Assert.False(process.HasExited, process.Error);
        }
        finally
        {
            stop.Cancel();
        }

        Assert.Equal(20, Traffic.Ping(hosts[0], Pair.Overlay2, count: 20));
        Assert.Equal(20, Traffic.Ping(hosts[1], Pair.Overlay1, count: 20));
    }

    private static long Attack(UnderlayPeer attacker, IPAddress target, CancellationToken stop)
    {
        var random = new Random(7348);
        var sent = 0L;
        while (!stop.IsCancellationRequested)
        {
            // Making a datagram costs more than sending it: each one made goes out again with other bytes in its place.
            var datagram = Mutations.Next(random);
            for (var again = 0; again < 8; again++, sent++)
            {
                attacker.SendAtOnce(datagram, target);
                if (datagram.Length > 8) datagram[random.Next(datagram.Length)] = (byte)random.Next(256);
            }
        }

        return sent;
    }

    private static int Received(string output)
    {
        var words = Command.Split(output.Replace(',', ' ').Replace('\n', ' '));
        var received = Array.IndexOf(words, "received");
        return received < 1 ? 0 : int.Parse(words[received - 1], CultureInfo.InvariantCulture);
    }

    // Udp: RcvbufErrors of /proc/net/snmp: the header line names the columns of the line after it.
    private static long ReceiveOverflows(Host host)
    {
        var lines = host.InNamespace(() => File.ReadAllLines("/proc/thread-self/net/snmp"))
            .Where(line => line.StartsWith("Udp:", StringComparison.Ordinal)).ToArray();
        return long.Parse(Command.Split(lines[1])[Array.IndexOf(Command.Split(lines[0]), "RcvbufErrors")], CultureInfo.InvariantCulture);
    }
}
