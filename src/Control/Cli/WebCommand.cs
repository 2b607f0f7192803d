using System.CommandLine;
using System.Net;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Web;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve web</c>: the status page for a browser on this machine.</summary>
internal static class WebCommand
{
    private const string ListenAllowed = "a loopback address and a port, such as 127.0.0.1:8080 (port 0: any that is free)";

    private static readonly Argument<string[]> Devices = new Argument<string[]>("DEV") { Description = "The TAP of a segment; whichever VTEP runs here without one.", HelpName = "DEV", Arity = ArgumentArity.ZeroOrMore }
        .Suggesting(SocketFile.Devices);
    private static readonly Setting Listen = new("--listen", "ADDRESS:PORT", "Where the browser finds it; loopback only. [127.0.0.1:0]", ListenAllowed);
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var web = new Command("web", "Show the status page to a browser on this machine, until Ctrl-C.") { Devices };
        web.Options.Add(Listen.Option);
        Device.AddTo(web, isRead: false);
        web.WithExamples("""
            Examples:
              sleeve web                             prints an address for the browser
              sleeve web vx0 --listen 127.0.0.1:8080
              ssh -L 8080:127.0.0.1:8080 HOST sleeve web --listen 127.0.0.1:8080
            """);
        web.SetAction(static (result, cancellation) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(Devices) ?? [];
            foreach (var surplus in words.Skip(reader.IsGiven(Device.Device) ? 0 : 1)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var word, ..] && !Words.LinkName(word, out _)) reader.Refuse($"DEV {word}: must be {Words.LinkNameAllowed}");
            var listen = reader.Read<IPEndPoint?>(Listen, Loopback, new IPEndPoint(IPAddress.Loopback, 0));
            var device = reader.Read<string?>(Device.Device, Words.LinkName!, words.FirstOrDefault());
            var place = reader.Read<string?>(Device.Socket, Words.Place!, null);
            return () => RunAsync(listen!, place, device, cancellation);
        }));
        return web;
    }

    private static async Task RunAsync(IPEndPoint listen, string? place, string? device, CancellationToken cancellation)
    {
        // The daemon's serves all segments; else whichever there is.
        device ??= File.Exists(SocketFile.Of(SocketFile.DaemonName)) ? SocketFile.DaemonName : SocketFile.Devices() is [var first, ..] ? first : null;
        place ??= device is not null ? SocketFile.Of(device) : throw new HostException("nothing to show: no sleeve up is running here (--socket names another)");
        // The page changes nothing; so it needs no more than to read.
        if (!ApiPlace.IsRemote(place) && SocketAccess.ReadOnlyTwin(place) is var twin && SocketFile.IsSocket(twin)) place = twin;
        using var client = new ApiClient(place);
        var stats = await client.GetAsync("stats", ApiJson.Default.VtepStatsJson);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        await using var web = await LoopbackWeb.StartAsync(listen, place, stop.Token);
        Console.Out.WriteLine(web.Address);
        CommandLine.Tell($"sleeve web: the status page of {stats.Local} (pid {stats.Pid}) by {place}, read-only, for whoever has this address; Ctrl-C ends it");
        await Task.Delay(Timeout.Infinite, stop.Token).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    // Without TLS and without certificates it is for this machine only.
    private static bool Loopback(string text, out IPEndPoint? value) =>
        IPEndPoint.TryParse(text, out value) && IPAddress.IsLoopback(value.Address) && text.Contains(':', StringComparison.Ordinal) && (value.Port != 0 || text.EndsWith(":0", StringComparison.Ordinal));
}
