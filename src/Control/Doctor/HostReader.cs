using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor;

/// <summary>Collects the facts of the host in the network namespace of this process.</summary>
internal static class HostReader
{
    private const int PatienceMilliseconds = 5000;
    private const int MaxFileBytes = 4 << 20;
    private static readonly string[] Folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];

    /// <summary>Collects them.</summary>
    /// <param name="host">The namespace's configuration; it must live as long as the facts.</param>
    public static async Task<HostFacts> ReadAsync(RouteNetlink host)
    {
        var nft = await RunAsync("nft", "-j", "list", "ruleset");
        return new HostFacts
        {
            Read = ReadFile,
            Links = [.. host.ListLinks().Select(static link => new LinkFact(link.Index, link.Name, link.Mtu, link.IsUp, link.IsRunning, link.MasterIndex, link.Vxlan?.Port))],
            Route = (destination, source, index) => host.TryGetRoute(destination, source, index, out _) is { } route ? new RouteFact(route.LinkIndex, route.IsLocal) : null,
            PortHolder = port => UdpPortHolder.Find(host, port, InternetAddress.AnyIPv4),
            TunErrno = OpenTun(),
            Firewall = new FirewallFacts(nft.Output, nft.Problem, (await RunAsync("iptables-save")).Output, (await RunAsync("ip6tables-save")).Output),
            Clock = ReadClock(),
        };
    }

    private static string? ReadFile(string path)
    {
        try
        {
            using var reader = new StreamReader(path);
            var buffer = new char[MaxFileBytes];
            var length = reader.ReadBlock(buffer);
            return new string(buffer, 0, length);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static int OpenTun()
    {
        using var descriptor = new FileDescriptor(LibC.open("/dev/net/tun", LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC));
        return descriptor.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
    }

    private static ClockFacts ReadClock()
    {
        const int Looks = 1000;
        var backwards = false;
        var last = Stopwatch.GetTimestamp();
        for (var i = 0; i < Looks; i++)
        {
            var now = Stopwatch.GetTimestamp();
            backwards |= now < last;
            last = now;
        }

        var discipline = ClockDiscipline.Read();
        return new ClockFacts(discipline?.IsSynchronised, discipline?.EstimatedErrorMicroseconds ?? 0, backwards);
    }

    private static async Task<(string? Output, string? Problem)> RunAsync(string program, params string[] words)
    {
        var path = Folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
        if (path is null) return (null, $"{program} is not installed");
        var start = new ProcessStartInfo(path, words) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using var process = new Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception failure)
        {
            return (null, $"{program}: {failure.Message}");
        }

        process.StandardInput.Close();
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        using var patience = new CancellationTokenSource(PatienceMilliseconds);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            return (null, $"{program} did not end within {PatienceMilliseconds / 1000} s");
        }

        return process.ExitCode == 0 ? (await output, null) : (null, $"{program}: {(await errors).Trim().Split('\n')[0]}");
    }
}
