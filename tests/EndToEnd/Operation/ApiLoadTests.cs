using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Many, slow and hanging clients of the API while frames pass: no frame is lost, no memory is held, whoever asks properly is answered.
/// <code>
///     clients ─ unix socket ─ a: sleeve up ═══ veth pair ═══ b: kernel's vxlan        a pings b all the time
/// </code>
/// </summary>
public sealed class ApiLoadTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Calls = 10_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(150);

    [SkippableFact]
    public async Task Ten_thousand_calls_at_once_are_answered_and_no_frame_is_lost()
    {
        Skip.If(DescriptorLimit() < Calls + 4096, $"needs {Calls + 4096} descriptors a process: ulimit -Hn {Calls + 4096}");
        var (pair, vtep, ping) = Start();
        var before = vtep.Process.ResidentBytes();
        using var patience = new CancellationTokenSource(Patience);

        // All are connected before the first is asked.
        var clients = new Socket[Calls];
        await Parallel.ForEachAsync(Enumerable.Range(0, Calls), new ParallelOptions { MaxDegreeOfParallelism = 64, CancellationToken = patience.Token }, async (i, cancellation) => clients[i] = await ConnectAsync(vtep, cancellation));
        var clock = Stopwatch.StartNew();
        var answers = await Task.WhenAll(clients.Select((client, i) => Task.Run(() => AskAsync(client, RequestOf(vtep, i), patience.Token))));
        var took = clock.Elapsed;
        var after = vtep.Process.ResidentBytes();

        Assert.All(answers, answer => Assert.Matches("^HTTP/1.1 20[04] ", answer));
        Assert.Equal(Calls / 2, vtep.Fdb().Count(entry => entry.State == "static"));
        pair.Lab.Log(string.Create(CultureInfo.InvariantCulture, $"{Calls} calls at once: {took.TotalSeconds:f1} s, memory {before >> 20} MiB before, {after >> 20} MiB after"));
        ping.AssertLostNothing(pair.Lab);
        Assert.InRange(after - before, long.MinValue, 512L << 20);
    }

    [SkippableFact]
    public async Task Clients_that_hang_are_cut_off_and_others_are_served_meanwhile()
    {
        const int each = 100;
        var (pair, vtep, ping) = Start();
        var idle = OpenDescriptors(vtep);
        using var patience = new CancellationTokenSource(Patience);
        var put = $"PUT /v1/segments/{vtep.Device}/fdb/02:00:00:00:ff:01 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{{\"dst\":";
        // One says nothing, one half a line, one half a head, one half a body; one asks for a megabyte and reads none of it.
        string[] hangs = ["", "GET /v1/st", "GET /v1/stats HTTP/1.1\r\nHost: x\r\nX-Slow: ", put, string.Concat(Enumerable.Repeat("GET /openapi/v1.json HTTP/1.1\r\nHost: x\r\n\r\n", 30))];
        var clients = new List<Socket>();
        foreach (var hang in hangs)
        {
            for (var i = 0; i < each; i++)
            {
                var client = await ConnectAsync(vtep, patience.Token);
                clients.Add(client);
                if (hang.Length > 0) await client.SendAsync(Encoding.ASCII.GetBytes(hang), patience.Token);
            }
        }

        // Whoever comes now is answered as if they were not there.
        for (var i = 0; i < 50; i++)
        {
            using var client = await ConnectAsync(vtep, patience.Token);
            Assert.StartsWith("HTTP/1.1 204 ", await AskAsync(client, RequestOf(vtep, i * 2), patience.Token), StringComparison.Ordinal);
        }

        // Every one of them is let go; the readers of nothing have what fitted into their socket, and then the end.
        foreach (var client in clients) await ReadToEndAsync(client, patience.Token);
        Assert.DoesNotContain(vtep.Fdb(), entry => entry.Mac == "02:00:00:00:ff:01");
        Wait.Until(() => OpenDescriptors(vtep) < idle + each / 2, $"connections closed, {idle} descriptors before, {OpenDescriptors(vtep)} now", TimeSpan.FromSeconds(20));
        ping.AssertLostNothing(pair.Lab);
    }

    [SkippableFact]
    public async Task Readers_of_events_and_packets_that_do_not_read_hold_no_memory()
    {
        const int readers = 32, rounds = 20, parts = 8, each = 60, entries = parts * each;
        var (pair, vtep, ping) = Start();
        var idle = OpenDescriptors(vtep);
        using var patience = new CancellationTokenSource(Patience);
        var clients = new List<Socket>();
        for (var i = 0; i < readers; i++)
        {
            var client = await ConnectAsync(vtep, patience.Token);
            await client.SendAsync(Encoding.ASCII.GetBytes($"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: {(i % 2 == 0 ? "text/event-stream" : "*/*")}\r\n\r\n"), patience.Token);
            clients.Add(client);
        }

        var capture = await ConnectAsync(vtep, patience.Token);
        await capture.SendAsync(Encoding.ASCII.GetBytes($"GET /v1/capture?dev={vtep.Device} HTTP/1.1\r\nHost: x\r\n\r\n"), patience.Token);
        var flood = pair.One.Host.Start(["ping", "-n", "-q", "-i", "0.002", "-s", "1400", $"{Pair.Overlay2}"]);
        long half = 0;
        for (var round = 0; round < rounds; round++)
        {
            if (round == rounds / 2) half = vtep.Process.ResidentBytes();
            await Task.WhenAll(Enumerable.Range(0, parts).Select(async part =>
            {
                using var client = await ConnectAsync(vtep, patience.Token);
                var lines = Enumerable.Range(part * each, each).Select(i => Request(vtep, "PUT", $"fdb/02:00:00:01:{i / 256:x2}:{i % 256:x2}", "{\"dst\":\"10.0.0.2\",\"state\":\"static\"}", isLast: i == (part * each) + each - 1));
                await AskAsync(client, string.Concat(lines), patience.Token);
            }));
            using var last = await ConnectAsync(vtep, patience.Token);
            await AskAsync(last, Request(vtep, "POST", "fdb/flush?all=true", "", isLast: true), patience.Token);
        }

        var end = vtep.Process.ResidentBytes();
        pair.Lab.Log($"{readers} readers of nothing and {rounds * entries * 2} events: {half >> 20} MiB at half time, {end >> 20} MiB at the end");
        Assert.InRange(end - half, long.MinValue, 48L << 20);
        flood.Signal();
        ping.AssertLostNothing(pair.Lab);
        // Those who go on reading are told what they missed.
        Assert.Contains("\"lost\":", await ReadUntilAsync(clients[0], "\"lost\":", patience.Token), StringComparison.Ordinal);
        foreach (var client in clients.Append(capture)) client.Dispose();
        Wait.Until(() => OpenDescriptors(vtep) < idle + readers, $"streams closed, {idle} descriptors before, {OpenDescriptors(vtep)} now", TimeSpan.FromSeconds(20));
    }

    private (Pair Pair, SleeveVtep Vtep, BackgroundPing Ping) Start()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no API");
        var pair = Pair.Make(NewLab(), VtepKind.Kernel);
        return (pair, (SleeveVtep)pair.One, new BackgroundPing(pair.One.Host, Pair.Overlay2));
    }

    private static string RequestOf(SleeveVtep vtep, int number) => number % 2 == 0
        ? Request(vtep, "PUT", $"fdb/02:00:00:00:{number / 512:x2}:{number / 2 % 256:x2}", "{\"dst\":\"10.0.0.2\",\"state\":\"static\"}", isLast: true)
        : "GET /v1/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    private static string Request(SleeveVtep vtep, string method, string path, string body, bool isLast) =>
        $"{method} /v1/segments/{vtep.Device}/{path} HTTP/1.1\r\nHost: x\r\n{(isLast ? "Connection: close\r\n" : "")}Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    // The kernel keeps some thousand connections for a server to accept; with more, connect(2) says to try again.
    private static async Task<Socket> ConnectAsync(SleeveVtep vtep, CancellationToken cancellation)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint($"/run/sleeve/{vtep.Device}.sock"), cancellation);
                return socket;
            }
            catch (SocketException full) when (full.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
            {
                socket.Dispose();
                await Task.Delay(10, cancellation);
            }
        }
    }

    private static async Task<string> AskAsync(Socket client, string request, CancellationToken cancellation)
    {
        await client.SendAsync(Encoding.ASCII.GetBytes(request), cancellation);
        return await ReadToEndAsync(client, cancellation);
    }

    private static async Task<string> ReadToEndAsync(Socket client, CancellationToken cancellation)
    {
        var (buffer, start) = (new byte[4096], "");
        try
        {
            while (await client.ReceiveAsync(buffer, cancellation) is > 0 and var length)
                if (start.Length == 0) start = Encoding.ASCII.GetString(buffer, 0, Math.Min(length, 40));
        }
        catch (SocketException)
        {
            // Cut off.
        }

        client.Dispose();
        return start;
    }

    private static async Task<string> ReadUntilAsync(Socket client, string text, CancellationToken cancellation)
    {
        var (buffer, all) = (new byte[65536], new StringBuilder());
        while (await client.ReceiveAsync(buffer, cancellation) is > 0 and var length)
        {
            all.Append(Encoding.ASCII.GetString(buffer, 0, length));
            if (all.ToString().Contains(text, StringComparison.Ordinal)) break;
        }

        return all.ToString();
    }

    private static int OpenDescriptors(SleeveVtep vtep) => Directory.GetFiles($"/proc/{vtep.Process.Id}/fd").Length;

    private static int DescriptorLimit() =>
        int.Parse(File.ReadLines("/proc/self/limits").First(line => line.StartsWith("Max open files", StringComparison.Ordinal))[14..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture);
}
