using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.ClusterScale.Model;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>A store in a process of its own, and what it has used.</summary>
internal abstract class StoreServer : IDisposable
{
    /// <summary>Where it answers.</summary>
    public required StorePlace Place { get; init; }

    /// <summary>CPU seconds so far.</summary>
    public abstract Task<double> CpuAsync();

    /// <summary>Resident memory now, after a collection where there is a garbage collector; and what its files take on the disk. MiB.</summary>
    public abstract Task<(double Rss, double Disk)> SizeAsync();

    /// <summary>Requests so far; null if it does not count them.</summary>
    public abstract Task<double?> RequestsAsync();

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Starts one in a folder.</summary>
    /// <param name="name">"embedded" or "etcd".</param>
    /// <param name="folder">Empty.</param>
    public static async Task<StoreServer> StartAsync(string name, string folder) => name == "etcd" ? await EtcdServer.StartAsync(folder) : await EmbeddedServer.StartAsync(folder);

    /// <summary>Mebibytes of the files in a folder that match.</summary>
    protected static double DiskOf(string folder, string pattern) => Directory.EnumerateFiles(folder, pattern, SearchOption.AllDirectories).Sum(static path => new FileInfo(path).Length) / 1048576.0;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private sealed class EmbeddedServer(Child process, string folder) : StoreServer
    {
        public static async Task<StoreServer> StartAsync(string folder)
        {
            var port = FreePort();
            var process = new Child("store", folder, port.ToString(CultureInfo.InvariantCulture));
            await process.ExpectAsync("ready");
            return new EmbeddedServer(process, folder) { Place = new StorePlace(new Uri($"https://127.0.0.1:{port}/")) };
        }

        public override async Task<double> CpuAsync() => (await process.AskAsync("quick", "quick"))["cpu"];

        public override async Task<(double Rss, double Disk)> SizeAsync() => ((await process.AskAsync("figures", "figures"))["rss"], DiskOf(folder, "cluster.db*"));

        public override async Task<double?> RequestsAsync() => (await process.AskAsync("quick", "quick"))["requests"];

        public override void Dispose() => process.Dispose();
    }

    private sealed class EtcdServer(Background process, string folder) : StoreServer
    {
        public static async Task<StoreServer> StartAsync(string folder)
        {
            var (client, peer) = (FreePort(), FreePort());
            var (at, peers) = ($"http://127.0.0.1:{client}", $"http://127.0.0.1:{peer}");
            var process = new Background(
                "etcd", "--data-dir", folder, "--listen-client-urls", at, "--advertise-client-urls", at, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", $"default={peers}");
            var place = new StorePlace(new Uri(at));
            await using var probe = place.ClientOf("probe");
            for (var attempt = 0; ; attempt++)
            {
                try
                {
                    await probe.RangeAsync("none", CancellationToken.None);
                    return new EtcdServer(process, folder) { Place = place };
                }
                catch (IOException) when (attempt < 300 && process.IsRunning)
                {
                    await Task.Delay(100);
                }
                catch (IOException failure)
                {
                    process.Dispose();
                    throw new BenchFailure($"etcd does not start: {failure.Message}: {process.LastWords}");
                }
            }
        }

        public override Task<double> CpuAsync() => Task.FromResult(Cpu.Read([process.Id]).Processes);

        public override Task<(double Rss, double Disk)> SizeAsync() => Task.FromResult((Memory.Read([process.Id]).Rss, DiskOf(folder, "db")));

        public override Task<double?> RequestsAsync() => Task.FromResult<double?>(null);

        public override void Dispose() => process.Dispose();
    }
}
