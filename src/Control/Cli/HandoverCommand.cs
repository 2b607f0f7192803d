using System.CommandLine;
using System.Diagnostics;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve handover</c>: has a running daemon become the program that is installed now, without a frame lost.</summary>
internal static class HandoverCommand
{
    private const int PatienceSeconds = 30;

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("handover", "Have the daemon become the program as it is installed now; TAPs and sockets go on.") { DaemonSocket.Option.Option };
        command.WithExamples("""
            For upgrades: install the new files, then hand over. Frames wait in the kernel's queues meanwhile. A program that would not start is not handed over to.

            Examples:
              sleeve handover
            """);
        command.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var path = DaemonSocket.PathOf(reader);
            return () => RunAsync(path);
        }));
        return command;
    }

    private static async Task RunAsync(string path)
    {
        DateTimeOffset before;
        using (var client = new ApiClient(path))
        {
            before = (await client.GetAsync("config", ApiJson.Default.ConfigurationJson)).Started;
            await client.PostAsync("handover");
        }

        var start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < PatienceSeconds)
        {
            await Task.Delay(50);
            try
            {
                using var client = new ApiClient(path);
                var now = await client.GetAsync("config", ApiJson.Default.ConfigurationJson);
                if (now.Started == before) continue;
                Console.Out.WriteLine($"handed over: {now.Segments} segments{(now.Failed == 0 ? "" : $", {now.Failed} of them cannot be had (sleeve segment show)")}");
                return;
            }
            catch (HostException)
            {
                // Not there yet.
            }
        }

        throw new HostException($"{path}: nobody has answered for {PatienceSeconds} s since the handover; look into the daemon's log");
    }
}
