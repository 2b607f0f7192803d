using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Sleeve.EndToEnd.Cni;

/// <summary>
/// Asks a container runtime as kubelet does: the Container Runtime Interface, runtime.v1, in gRPC over a unix socket. Messages are put together by hand, field by field as api.proto of k8s.io/cri-api numbers them:
/// a handful of calls takes no generated code.
/// </summary>
internal sealed class CriClient : IDisposable
{
    private readonly HttpClient _client;

    public CriClient(string socket) => _client = new HttpClient(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation);
            return new NetworkStream(connection, ownsSocket: true);
        },
    })
    {
        BaseAddress = new Uri("http://localhost"),
        Timeout = TimeSpan.FromSeconds(90),
    };

    /// <summary>Asks RuntimeService.</summary>
    /// <exception cref="CriException">It says no.</exception>
    public CriMessage Ask(string method, byte[] message)
    {
        byte[] framed = [0, (byte)(message.Length >> 24), (byte)(message.Length >> 16), (byte)(message.Length >> 8), (byte)message.Length, .. message];
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/runtime.v1.RuntimeService/{method}") { Content = new ByteArrayContent(framed), Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        // HttpClient's own Send is HTTP/1.1 only.
        using var answer = _client.SendAsync(request).GetAwaiter().GetResult();
        var body = answer.Content.ReadAsByteArrayAsync().GetAwaiter().GetResult();
        var status = Header(answer, "grpc-status");
        if (status != "0") throw new CriException($"{method}: {status} {Uri.UnescapeDataString(Header(answer, "grpc-message"))}");
        return CriMessage.Read(body.AsSpan(5));
    }

    private static string Header(HttpResponseMessage answer, string name) => (answer.TrailingHeaders.TryGetValues(name, out var found) || answer.Headers.TryGetValues(name, out found) ? found.FirstOrDefault() : null) ?? "";

    public void Dispose() => _client.Dispose();
}

/// <summary>The runtime said no.</summary>
internal sealed class CriException(string message) : Exception(message);

/// <summary>A message of protocol buffers as it came: its length-delimited and variable-length fields by number.</summary>
internal sealed class CriMessage
{
    private readonly Dictionary<int, List<byte[]>> _parts = [];
    private readonly Dictionary<int, ulong> _numbers = [];

    /// <summary>Reads one.</summary>
    public static CriMessage Read(ReadOnlySpan<byte> bytes)
    {
        var message = new CriMessage();
        while (bytes.Length > 0)
        {
            var tag = Number(ref bytes);
            var field = (int)(tag >> 3);
            if ((tag & 7) == 0)
            {
                message._numbers[field] = Number(ref bytes);
                continue;
            }

            Assert.Equal(2u, tag & 7);
            var length = (int)Number(ref bytes);
            if (!message._parts.TryGetValue(field, out var all)) message._parts[field] = all = [];
            all.Add(bytes[..length].ToArray());
            bytes = bytes[length..];
        }

        return message;
    }

    public string Text(int field) => _parts.TryGetValue(field, out var all) ? Encoding.UTF8.GetString(all[0]) : "";

    public CriMessage Message(int field) => Read(_parts[field][0]);

    public ulong Number(int field) => _numbers.GetValueOrDefault(field);

    /// <summary>A field of text or of another message.</summary>
    public static byte[] Field(int number, byte[] value) => [.. Varint((ulong)number << 3 | 2), .. Varint((ulong)value.Length), .. value];

    /// <summary>A field of text.</summary>
    public static byte[] Field(int number, string value) => Field(number, Encoding.UTF8.GetBytes(value));

    /// <summary>A field of a number.</summary>
    public static byte[] Field(int number, ulong value) => [.. Varint((ulong)number << 3), .. Varint(value)];

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value > 127; value >>= 7) bytes.Add((byte)(value | 128));
        return [.. bytes, (byte)value];
    }

    private static ulong Number(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[0];
            bytes = bytes[1..];
            value |= (ulong)(next & 127) << shift;
            if (next < 128) return value;
        }
    }
}
