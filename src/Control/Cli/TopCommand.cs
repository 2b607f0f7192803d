using System.CommandLine;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Top;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve top</c>: rates as they are now, in a terminal or line by line.</summary>
internal static class TopCommand
{
    private static readonly Setting Interval = new("--interval", "SECONDS", "How long rates are taken over. [1]", "1 to 3600 (seconds)");
    private static readonly Setting Sort = new Setting("--sort", "KEY", "Order of rows: rate, frames, drops or name; the key s changes it. [rate]", "rate, frames, drops or name").Suggesting(static () => ["rate", "frames", "drops", "name"]);
    private static readonly Option<bool> Once = Setting.Flag("--once", "Show it once and end.");
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var top = new Command("top", "Watch rates: segments, remotes, drops with reason, busiest stations, CPU of workers.");
        Device.AddTo(top, isRead: true);
        foreach (var option in (ReadOnlySpan<Option>)[Interval.Option, Sort.Option, Once]) top.Options.Add(option);
        top.WithExamples("""
            Examples:
              sleeve top                        keys: q quits, p pauses, s sorts
              sleeve top dev vx0 --interval 5
              sleeve top --once --json          one answer, for programs; without --once a line an interval
            """);
        top.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var path = reader.Read<string?>(Device.Socket, Words.SocketPath!, null);
            var only = reader.IsGiven(Device.Device) ? Device.Require(reader).Device : null;
            string[] paths = only is not null ? [path ?? SocketFile.Of(only)] : path is not null ? [path] : [.. SocketFile.Devices().Select(SocketFile.Of)];
            var options = new TopOptions(
                TimeSpan.FromSeconds(reader.Read(Interval, Words.Number(1, 3600), 1)), reader.Read(Sort, SortOf, TopSort.Rate), result.GetValue(Once), result.GetValue(Device.Json));
            return () => RunAsync(paths, only, options);
        }));
        return top;
    }

    private static async Task RunAsync(string[] paths, string? only, TopOptions options)
    {
        if (paths.Length == 0) throw new HostException("nothing to watch: no sleeve up is running here (--socket names another)");
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        try
        {
            await new TopLoop([.. paths.Select(path => new TopSource(path, only))], options, stop.Token).RunAsync();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Ctrl-C is how it ends.
        }
        catch (IOException failure) when (OutputPipe.IsClosed(failure))
        {
            // So is a reader that has seen enough.
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private static bool SortOf(string text, out TopSort value) => Enum.TryParse(text, ignoreCase: true, out value) && text is "rate" or "frames" or "drops" or "name";
}
