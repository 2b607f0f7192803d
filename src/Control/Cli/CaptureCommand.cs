using System.CommandLine;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Capture;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve capture</c>: packets as they pass, inner and outer, and why those were dropped that were.</summary>
internal static class CaptureCommand
{
    private const string StandardOutput = "-";

    private static readonly Argument<string[]> WordsArgument = new Argument<string[]>("DEV FILTER")
    {
        Description = $"The TAP of a segment, or {CaptureRoutes.Any} for all; then conditions that must all hold: {CaptureFilter.Allowed}.",
        HelpName = "DEV FILTER",
        Arity = ArgumentArity.ZeroOrMore,
    }.Suggesting(static () => SocketFile.Devices().Append(CaptureRoutes.Any));

    private static readonly Setting Output = new("--write", "FILE", "Write pcapng to a file, - for standard output. [a line a packet]", "a path, or -", false, "-w");
    private static readonly Setting Snaplen = new("--snaplen", "BYTES", "Keep so many bytes of each packet. [all]", $"14 to {CaptureRoutes.MaxSnapLength}", false, "-s");
    private static readonly Setting Count = new("--count", "N", "End after so many packets. [Ctrl-C]", "1 to 1000000000", false, "-c");
    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket of the VTEP, or https://HOST:PORT. [SLEEVE_API, or /run/sleeve/DEV.sock]", Words.PlaceAllowed);

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var capture = new Command("capture", "Show or record packets as they pass, inner and outer, and why dropped.") { WordsArgument, Output.Option, Snaplen.Option, Count.Option, Socket.Option };
        capture.WithExamples("""
            Examples:
              sleeve capture vx0                              a line a packet
              sleeve capture vx0 drop                         only what is dropped, with the reason
              sleeve capture vx0 outer vtep 192.0.2.2         datagrams to and from one VTEP
              sleeve capture vx0 -w - | wireshark -k -i -     live, in Wireshark
              sleeve capture any -w all.pcapng --snaplen 128  every segment, and datagrams of none
            """);
        capture.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            string[] words = [.. result.GetValue(WordsArgument) ?? []];
            if (words.Length == 0) reader.Refuse($"DEV: missing; it must be {Words.LinkNameAllowed}");
            if (!CaptureFilter.TryParse([.. words.Skip(1)], out CaptureFilter _, out var error)) reader.Refuse(error!);
            var output = reader.Read<string?>(Output, Words.Text!, null);
            var snaplen = reader.Read(Snaplen, Words.Number(14, CaptureRoutes.MaxSnapLength), CaptureRoutes.MaxSnapLength);
            var count = reader.Read(Count, Words.Number(1, 1_000_000_000), int.MaxValue);
            var path = reader.Read<string?>(Socket, Words.Place!, null);
            if (words.Length == 0 || reader.Errors.Count > 0) return null;
            // A socket serves all segments of its process.
            path ??= words[0] != CaptureRoutes.Any ? SocketFile.Of(words[0]) : SocketFile.Of(SocketFile.Devices() is [var first, ..] ? first : words[0]);
            var query = $"capture?dev={ApiClient.Escape(words[0])}&snaplen={snaplen}&filter={Uri.EscapeDataString(string.Join(' ', words.Skip(1)))}";
            return () => RunAsync(path, query, output, count);
        }));
        return capture;
    }

    private static async Task RunAsync(string path, string query, string? output, int count)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var client = new ApiClient(path);
        await using var source = await client.GetStreamAsync(query);
        // The stream ends in order, with what was lost, once the other side is told.
        await using var told = stop.Token.Register(() => _ = TellAsync(path));
        try
        {
            await using var file = output switch { null => null, StandardOutput => OutputPipe.Open(), _ => new FileStream(output, FileMode.Create, FileAccess.Write) };
            CommandLine.Tell($"sleeve capture: capturing, {(output is null ? "" : "pcapng ")}until Ctrl-C");
            var (packets, lost) = await CopyAsync(source, file, count, stop);
            CommandLine.Tell($"sleeve capture: {packets} packets, {lost} lost{(lost > 0 ? ": the reader was too slow, so that this is a sample; a smaller --snaplen or -w a file is faster" : "")}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException(output is null or StandardOutput && failure is IOException ? $"broke off: {failure.Message}" : $"--write {output}: {failure.Message}");
        }

        void OnSignal(PosixSignalContext context)
        {
            // The second one ends it at once, such as when nobody reads what is still to be written.
            context.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }
    }

    private static async Task TellAsync(string path)
    {
        using var client = new ApiClient(path);
        try
        {
            await client.DeleteAsync("capture");
        }
        catch (HostException)
        {
            // It is gone, and the stream with it.
        }
    }

    private static async Task<(long Packets, long Lost)> CopyAsync(Stream source, Stream? file, int limit, CancellationTokenSource stop)
    {
        var reader = PipeReader.Create(source);
        var text = file is null ? OutputPipe.OpenText() : TextWriter.Null;
        var printer = new PacketPrinter(text);
        var (packets, lost) = (0L, 0L);
        var isReaderGone = false;
        while (true)
        {
            var read = await reader.ReadAsync();
            var rest = read.Buffer;
            try
            {
                while (PcapngReader.TryTake(ref rest, out var block))
                {
                    lost += block.Lost;
                    if (isReaderGone || (block.IsPacket && packets >= limit)) continue;
                    if (file is not null) await file.WriteAsync(block.Bytes);
                    else printer.Print(block);
                    if (block.IsPacket && ++packets == limit) await stop.CancelAsync();
                }

                if (file is not null) await file.FlushAsync();
                else if (!isReaderGone) await text.FlushAsync();
            }
            catch (IOException failure) when (OutputPipe.IsClosed(failure))
            {
                // Whoever read has seen enough: an end like any other.
                isReaderGone = true;
                await stop.CancelAsync();
            }

            reader.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted) break;
        }

        await reader.CompleteAsync();
        return (packets, lost);
    }
}
