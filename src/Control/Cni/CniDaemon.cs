using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sleeve.Control.Api;

namespace Sleeve.Control.Cni;

/// <summary>What the daemon answered.</summary>
/// <param name="Status">Of HTTP.</param>
/// <param name="Body">What came with it; an undefined element without.</param>
internal sealed record DaemonAnswer(int Status, JsonElement Body)
{
    /// <summary>The store that hosts share does not answer; "" if it does, or if nobody said so.</summary>
    public string StoreFault { get; init; } = "";

    /// <summary>Whether it was done.</summary>
    public bool IsDone => Status is >= 200 and < 300;

    /// <summary>Why not, in one line.</summary>
    public string Reason => Body.ValueKind == JsonValueKind.Object && (Text("detail") ?? Text("title")) is { } text ? text : $"the daemon answered {Status.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>A text of the body.</summary>
    public string? Text(string key) => Body.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Texts of the body; empty if there are none.</summary>
    public IReadOnlyList<string> Texts(string key)
    {
        var texts = new List<string>();
        if (Body.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Array)
            foreach (var each in value.EnumerateArray()) texts.Add(each.GetString() ?? "");
        return texts;
    }
}

/// <summary>
/// The daemon's API, asked by HTTP/1.0 on its socket: one request a connection, whose answer ends with the connection. HttpClient would take longer to start than the daemon takes to attach.
/// </summary>
/// <param name="path">The socket.</param>
internal sealed class CniDaemon(string path)
{
    private const int PatienceMilliseconds = 60_000;
    private const int MaxAnswer = 64 * 1024 * 1024;
    private const int FullPauseMilliseconds = 20;

    /// <summary>The socket of a configuration: its own, else that of SLEEVE_API, else the default.</summary>
    public static CniDaemon Of(CniConfig config) => new(
        config.Socket.Length > 0 ? config.Socket
        : Environment.GetEnvironmentVariable(Cli.ApiEnvironment.Variable) is { Length: > 0 } place && place[0] == '/' ? place
        : SocketFile.Of(SocketFile.DaemonName));

    /// <summary>The path of an endpoint.</summary>
    public static string Endpoint(string network, string id) => $"networks/{Uri.EscapeDataString(network)}/endpoints/{id}";

    /// <summary>Asks.</summary>
    /// <param name="method">GET, PUT or DELETE.</param>
    /// <param name="resource">Below /v1/.</param>
    /// <param name="body">JSON; null for none.</param>
    /// <exception cref="CniFault">Nobody answers (11).</exception>
    public DaemonAnswer Send(string method, string resource, byte[]? body = null)
    {
        try
        {
            using var socket = Connect();
            socket.SendTimeout = socket.ReceiveTimeout = PatienceMilliseconds;
            var head = Encoding.ASCII.GetBytes($"{method} /v1/{resource} HTTP/1.0\r\nHost: localhost\r\n{(body is null ? "" : $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n")}\r\n");
            SendAll(socket, head);
            if (body is not null) SendAll(socket, body);
            return Read(ReadToEnd(socket));
        }
        catch (SocketException failure)
        {
            throw new CniFault(CniCode.TryAgain, $"the daemon does not answer on {path}: {failure.Message}", "start it (systemctl start sleeve), or have socket name another; what is attached is kept");
        }
        catch (JsonException)
        {
            throw new CniFault(CniCode.Io, $"{path} gave an answer that is not one of sleeve's: is it another program's socket?");
        }
    }

    // A server that has more to accept than the kernel keeps is no error but a moment's wait; connect(2) says EAGAIN.
    private Socket Connect()
    {
        if (Encoding.UTF8.GetByteCount(path) > 107) throw new CniFault(CniCode.BadConfig, $"socket {CniNode.Shorten(path)}: must be of at most 107 bytes (unix(7))");
        var begin = Environment.TickCount64;
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                socket.Connect(new UnixDomainSocketEndPoint(path));
                return socket;
            }
            catch (SocketException full) when (full.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain && Environment.TickCount64 - begin < PatienceMilliseconds)
            {
                socket.Dispose();
                Thread.Sleep(FullPauseMilliseconds);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private static void SendAll(Socket socket, byte[] bytes)
    {
        for (var sent = 0; sent < bytes.Length;) sent += socket.Send(bytes, sent, bytes.Length - sent, SocketFlags.None);
    }

    private byte[] ReadToEnd(Socket socket)
    {
        var answer = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (socket.Receive(buffer) is > 0 and var count)
        {
            answer.Write(buffer, 0, count);
            if (answer.Length > MaxAnswer) throw new CniFault(CniCode.Io, $"{path} gave an answer of more than {MaxAnswer / 1024 / 1024} MiB");
        }

        return answer.ToArray();
    }

    private DaemonAnswer Read(byte[] answer)
    {
        var end = answer.AsSpan().IndexOf("\r\n\r\n"u8);
        var head = end < 0 ? [] : Encoding.Latin1.GetString(answer, 0, end).Split("\r\n");
        if (head.Length == 0 || head[0].Split(' ') is not [_, var number, ..] || !head[0].StartsWith("HTTP/1.", StringComparison.Ordinal) || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var status))
            throw answer.Length == 0
                ? new CniFault(CniCode.TryAgain, $"{path} broke off", "the daemon ended while it worked; what is half done is undone by its next run")
                : new CniFault(CniCode.Io, $"{path} gave an answer that is not one of sleeve's: is it another program's socket?");
        var body = answer.AsMemory(end + 4);
        var stale = head.FirstOrDefault(static line => line.StartsWith(NetworkRoutes.StaleHeader + ":", StringComparison.OrdinalIgnoreCase));
        return new DaemonAnswer(status, body.IsEmpty ? default : JsonDocument.Parse(body).RootElement) { StoreFault = stale is null ? "" : stale[(NetworkRoutes.StaleHeader.Length + 1)..].Trim() };
    }

    /// <summary>The fault of a request that was refused.</summary>
    public static CniFault Refused(DaemonAnswer answer) => new(
        answer.Status switch
        {
            400 => CniCode.BadConfig,
            404 => CniCode.BadConfig,
            503 or 504 => CniCode.TryAgain,
            _ => CniCode.Refused,
        },
        answer.Reason);

    /// <summary>Detaches an endpoint; one that is not there is as done.</summary>
    /// <exception cref="CniFault">It is not done.</exception>
    public void Detach(string network, string id)
    {
        var answer = Send("DELETE", Endpoint(network, id));
        if (!answer.IsDone) throw Refused(answer);
    }

    /// <summary>What endpoints of configurations are called: the same whenever it is asked for, so that nothing has to be kept.</summary>
    public static class Ids
    {
        /// <summary>What ids of a configuration begin with.</summary>
        public static string PrefixOf(string configuration) => $"cni-{Hash(configuration)[..8]}-";

        /// <summary>The id of an attachment: the configuration, the container as far as one reads it, and the whole of it as a hash.</summary>
        public static string Of(string configuration, CniAttachment attachment)
        {
            var readable = new string([.. attachment.ContainerId.Where(char.IsAsciiLetterOrDigit).Take(12)]);
            return $"{PrefixOf(configuration)}{readable}-{Hash($"{attachment.ContainerId}/{attachment.Ifname}")}";
        }

        private static string Hash(string text) => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
    }
}
