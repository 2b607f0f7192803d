using System.Net.Sockets;
using System.Text;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Packaging;

/// <summary>What the daemon tells a service manager (sd_notify(3)), heard on a socket of our own: for managers other than systemd, and where that does not run.</summary>
public sealed class NotifyTests(ITestOutputHelper output) : LabTest(output)
{
    private const int SIGHUP = 1;

    [SkippableFact]
    public void The_manager_hears_of_readiness_life_reload_and_end()
    {
        Requirements.Namespaces();
        Requirements.Tap();
        var host = NewLab().AddHost("a");
        var folder = Directory.CreateTempSubdirectory("sleeve-notify-").FullName;
        try
        {
            var path = Path.Combine(folder, "notify");
            using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
            manager.Bind(new UnixDomainSocketEndPoint(path));
            var config = Path.Combine(folder, "sleeve.yaml");
            File.WriteAllText(config, "dstport: 4789\n");
            var daemon = host.Start(["env", $"NOTIFY_SOCKET={path}", "WATCHDOG_USEC=900000", .. SleeveProgram.Words, "daemon", "--config", config, "--state", Path.Combine(folder, "state"), "--socket", Path.Combine(folder, "socket")]);

            var ready = Next(manager, "READY=1");
            Assert.Contains($"MAINPID={daemon.Id}", ready);
            Assert.Contains("STATUS=0 segments", ready);
            // The socket is served by then.
            SleeveProgram.Run(host, $"stats --socket {Path.Combine(folder, "socket")} --json").Ok();
            Next(manager, "WATCHDOG=1");
            Next(manager, "WATCHDOG=1");

            daemon.Signal(SIGHUP);
            var reloading = Next(manager, "RELOADING=1");
            var told = long.Parse(Assert.Single(reloading, static line => line.StartsWith("MONOTONIC_USEC=", StringComparison.Ordinal)).Split('=')[1], System.Globalization.CultureInfo.InvariantCulture);
            // CLOCK_MONOTONIC, as the manager compares it with its own.
            Assert.InRange(Environment.TickCount64 * 1000 - told, -1_000_000, 30_000_000);
            Next(manager, "READY=1");

            daemon.Signal();
            Next(manager, "STOPPING=1");
            Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(20)));
            Assert.Equal(0, daemon.ExitCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // The next message of a kind, whatever else comes before it.
    private static string[] Next(Socket manager, string kind)
    {
        var buffer = new byte[4096];
        for (var i = 0; i < 200; i++)
        {
            string[] lines = Encoding.UTF8.GetString(buffer, 0, manager.Receive(buffer)).Split('\n');
            if (lines.Contains(kind)) return lines;
        }

        Assert.Fail($"never said {kind}");
        return [];
    }
}
