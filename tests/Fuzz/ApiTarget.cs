using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sleeve.Control.Api;
using Sleeve.Control.Logging;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Fuzz;

/// <summary>The API of a VTEP on loopback in this process, with one segment, whose TAP is down; nothing moves.</summary>
internal sealed class ApiTarget : IAsyncDisposable
{
    private const int StreamMilliseconds = 300;
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-fuzz-").FullName;
    private readonly Vtep _vtep;
    private readonly Segment _segment;
    private readonly TapDevice _tap;
    private ApiServer? _server;

    private ApiTarget(TapDevice tap)
    {
        _tap = tap;
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var port = (ushort)((IPEndPoint)probe.LocalEndPoint!).Port;
        probe.Close();
        Assert.True(InternetAddress.TryParse("127.0.0.1", out var local));
        _vtep = new Vtep(new VtepOptions { Local = local, Port = port, Workers = 1, TransmitOffload = TransmitOffload.None, ReceiveOffload = false }, NullLogger.Instance);
        _segment = new Segment(new SegmentOptions { Vni = new Vni(100), Name = "vx0", MaxAddress = 200 }, new VtepAddress(local, port), _vtep.Events);
        foreach (var last in new byte[] { 2, 3 })
        {
            Assert.True(InternetAddress.TryParse($"192.0.2.{last}", out var remote));
            _segment.Fdb.Append(MacAddress.Zero, new VtepAddress(remote, port), new Vni(100), EntryKind.Permanent, Vtep.NowMilliseconds);
            _segment.Fdb.Add(MacAddress.FromValue(0x0200_0000_0000UL | last), new VtepAddress(remote, port), new Vni(100), EntryKind.Static, Vtep.NowMilliseconds);
            _segment.Neighbours.Add(new Neighbour(remote, MacAddress.FromValue(0x0200_0000_0000UL | last)));
        }
    }

    internal string Socket => Path.Combine(_folder, "s");

    internal string ReadOnlySocket => Socket + "-ro";

    internal static async Task<ApiTarget> StartAsync()
    {
        var target = new ApiTarget(OpenTap());
        var attached = new Dictionary<string, VtepSegment> { ["vx0"] = target._vtep.AddSegment(target._segment, [target._tap]) };
        target._server = await ApiServer.StartAsync(new ApiOptions { Sockets = [target.Socket], ReadOnlySockets = true }, new VtepState(target._vtep, () => attached, new StderrLogger("fuzz")), NullLogger.Instance, CancellationToken.None);
        return target;
    }

    private static TapDevice OpenTap()
    {
        try
        {
            return TapDevice.Open($"fz{Environment.ProcessId % 100_000}");
        }
        catch (ErrnoException refusal)
        {
            Skip.If(true, $"needs to make a TAP: {refusal.Message}");
            throw;
        }
    }

    /// <summary>Everything that a request could change, as text.</summary>
    internal string State()
    {
        var text = new StringBuilder();
        foreach (var entry in _segment.Fdb.Snapshot(0).OrderBy(static entry => entry.Mac.Value))
            text.AppendLine($"{entry.Mac} {entry.Kind} {string.Join(' ', entry.Destinations.Remotes.Select(static remote => $"{remote.Address} {remote.Vni} {remote.InterfaceIndex}"))}");
        foreach (var neighbour in _segment.Neighbours.Snapshot().OrderBy(static neighbour => neighbour.Address.ToString(), StringComparer.Ordinal)) text.AppendLine($"{neighbour}");
        return text.ToString();
    }

    /// <summary>Sends bytes and gives what comes back until the other side ends it or says nothing more; "" for nothing at all.</summary>
    internal static async Task<string> SendAsync(string socket, byte[] request, int patienceMilliseconds)
    {
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(socket));
        using var patience = new CancellationTokenSource(patienceMilliseconds);
        var answer = new StringBuilder();
        var buffer = new byte[16384];
        try
        {
            for (var sent = 0; sent < request.Length;) sent += await client.SendAsync(request.AsMemory(sent), patience.Token);
            while (await client.ReceiveAsync(buffer, patience.Token) is > 0 and var length && answer.Length < 100_000)
            {
                answer.Append(Encoding.Latin1.GetString(buffer, 0, length));
                // What has begun comes at once, or is a stream that has no end.
                patience.CancelAfter(StreamMilliseconds);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException)
        {
            // It waits for the rest of the request, or has cut us off.
        }

        return answer.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _vtep.Dispose();
        _tap.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
