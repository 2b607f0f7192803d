using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A collector on 127.0.0.1 of a host that takes metrics by OTLP/HTTP and reads the protobuf by hand: the schema is opentelemetry/proto/metrics/v1.</summary>
public sealed class OtlpReceiver : IDisposable
{
    private readonly TcpListener _listener;
    private readonly Lock _lock = new();
    private readonly List<(string Request, IReadOnlyDictionary<string, OtlpMetric> Metrics)> _requests = [];

    /// <summary>Listens from here on; 0 takes any port.</summary>
    public OtlpReceiver(Host host, int port = 0)
    {
        ArgumentNullException.ThrowIfNull(host);
        _listener = host.InNamespace(() =>
        {
            var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return listener;
        });
        new Thread(Serve) { IsBackground = true }.Start();
    }

    /// <summary>Where it listens.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>What came: the first line and headers, and metrics by name.</summary>
    public IReadOnlyList<(string Request, IReadOnlyDictionary<string, OtlpMetric> Metrics)> Requests
    {
        get
        {
            lock (_lock) return [.. _requests];
        }
    }

    private void Serve()
    {
        try
        {
            while (true)
            {
                using var client = _listener.AcceptTcpClient();
                using var stream = client.GetStream();
                while (Take(stream)) stream.Write("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"u8);
            }
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Disposed.
        }
    }

    private bool Take(NetworkStream stream)
    {
        var head = new StringBuilder();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            var next = stream.ReadByte();
            if (next < 0) return false;
            head.Append((char)next);
        }

        var length = int.Parse(head.ToString().Split("\r\n").First(static line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).AsSpan(15), CultureInfo.InvariantCulture);
        var body = new byte[length];
        stream.ReadExactly(body);
        var metrics = new Dictionary<string, OtlpMetric>();
        foreach (var resource in Messages(body, 1))
            foreach (var scope in Messages(resource, 2))
                foreach (var metric in Messages(scope, 2))
                    metrics.Add(Text(metric, 1), OtlpMetric.Read(metric, Text(Messages(scope, 1).Single(), 1)));
        lock (_lock) _requests.Add((head.ToString(), metrics));
        return true;
    }

    internal static string Text(byte[] message, int field) => Encoding.UTF8.GetString(Messages(message, field).SingleOrDefault() ?? []);

    internal static IEnumerable<byte[]> Messages(byte[] message, int field) => Fields(message).Where(each => each.Field == field && each.Bytes is not null).Select(static each => each.Bytes!);

    // Protocol buffers: a tag of field number and wire type, then a varint, 8 bytes, a length with bytes, or 4 bytes.
    internal static IEnumerable<(int Field, long Number, byte[]? Bytes)> Fields(byte[] message)
    {
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message, ref at);
            switch (tag & 7)
            {
                case 0: yield return ((int)(tag >> 3), Varint(message, ref at), null); break;
                case 1: yield return ((int)(tag >> 3), BinaryPrimitives.ReadInt64LittleEndian(message.AsSpan(at)), null); at += 8; break;
                case 2:
                    var length = (int)Varint(message, ref at);
                    yield return ((int)(tag >> 3), 0, message[at..(at + length)]);
                    at += length;
                    break;
                case 5: yield return ((int)(tag >> 3), BinaryPrimitives.ReadInt32LittleEndian(message.AsSpan(at)), null); at += 4; break;
                default: throw new InvalidDataException($"wire type {tag & 7}");
            }
        }
    }

    private static long Varint(byte[] message, ref int at)
    {
        long value = 0;
        for (var shift = 0; ; shift += 7)
        {
            value |= (long)(message[at] & 0x7F) << shift;
            if ((message[at++] & 0x80) == 0) return value;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();
}

/// <summary>A metric as it came.</summary>
/// <param name="Scope">The meter.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="IsSum">A sum, that only grows and counts from the start; else a gauge.</param>
/// <param name="Points">Value by attributes, written name=value, sorted, with commas.</param>
public sealed record OtlpMetric(string Scope, string Unit, bool IsSum, IReadOnlyDictionary<string, double> Points)
{
    internal static OtlpMetric Read(byte[] metric, string scope)
    {
        var sum = OtlpReceiver.Messages(metric, 7).SingleOrDefault();
        var data = sum ?? OtlpReceiver.Messages(metric, 5).Single();
        // AGGREGATION_TEMPORALITY_CUMULATIVE, is_monotonic.
        if (sum is not null) Assert.Equal((2L, 1L), (OtlpReceiver.Fields(sum).Single(static field => field.Field == 2).Number, OtlpReceiver.Fields(sum).Single(static field => field.Field == 3).Number));
        var points = OtlpReceiver.Messages(data, 1).ToDictionary(
            static point => string.Join(',', OtlpReceiver.Messages(point, 7).Select(static pair => $"{OtlpReceiver.Text(pair, 1)}={OtlpReceiver.Text(OtlpReceiver.Messages(pair, 2).Single(), 1)}").Order(StringComparer.Ordinal)),
            static point => OtlpReceiver.Fields(point).Where(static field => field.Field is 4 or 6).Select(static field => field.Field == 4 ? BitConverter.Int64BitsToDouble(field.Number) : field.Number).Single());
        return new OtlpMetric(scope, OtlpReceiver.Text(metric, 3), sum is not null, points);
    }
}
