using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Sleeve.Control.Store;

/// <summary>
/// Requests to the members of an etcd cluster, or to a <c>StoreGateway</c>: from one to the next until one answers or the time is over. What may have been done is never sent twice, unless it may be repeated. Any thread.
/// </summary>
internal sealed class EtcdClient : IDisposable
{
    /// <summary>Header of a request: the run of the store and the revision that were seen last, "RUN/REVISION". etcd ignores it.</summary>
    public const string SeenHeader = "Sleeve-Seen";

    /// <summary>Header of an answer: what was seen is not part of this store's past. etcd never says it.</summary>
    public const string AnotherHeader = "Sleeve-Another";

    // A member that does not answer is left for the next one after this part of the time, where a request may be repeated.
    private const double PartOfTime = 0.4;
    private const int MaxErrorBytes = 64 * 1024;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(2);

    private readonly EtcdStoreOptions _options;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _loggingIn = new(1);
    private volatile string? _token;
    private int _current;

    /// <summary>Makes one; nothing is connected yet.</summary>
    public EtcdClient(EtcdStoreOptions options)
    {
        _options = options;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            MaxResponseHeadersLength = 16,
            ConnectTimeout = ConnectTime,
            // Sooner than the other side closes it, so that nothing is sent into a connection that ends.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            // A watch that is left has a read under way: to read its rest beside that, and to use the connection again, would mix up two conversations.
            ResponseDrainTimeout = TimeSpan.Zero,
            MaxResponseDrainSize = 0,
            ConnectCallback = ConnectAsync,
        };
        if (options.Tls is { } tls) handler.SslOptions = tls;
        _http = new HttpClient(handler, disposeHandler: true) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>What was seen of the store.</summary>
    public EtcdLineage Lineage { get; } = new();

    /// <summary>The addresses, for messages.</summary>
    public string Place => _options.Socket ?? string.Join(',', _options.Endpoints.Select(static endpoint => endpoint.Authority));

    /// <summary>A reason with the place before it, unless it begins with that already.</summary>
    public string Tell(string reason) => reason.StartsWith(Place, StringComparison.Ordinal) ? reason : $"{Place}: {reason}";

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = _options.Socket is null ? new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true } : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (_options.Socket is { } path)
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            }
            else
            {
                // A watch may be silent for long: whether the other side is still there is the kernel's to find out.
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 5);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 2);
                socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
                await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The token counts no more: the next request asks for another.</summary>
    public void ForgetToken() => _token = null;

    /// <summary>Asks until there is an answer.</summary>
    /// <param name="path">Such as /v3/kv/range.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="ask">How it is written.</param>
    /// <param name="answer">How the answer is read.</param>
    /// <param name="isRepeatable">Done twice it is as done once.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">No answer in time.</exception>
    /// <exception cref="StoreRefusedException">The answer is no.</exception>
    /// <exception cref="EtcdFault">Of the kinds that are the caller's to know.</exception>
    public async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        string path, TRequest request, JsonTypeInfo<TRequest> ask, JsonTypeInfo<TAnswer> answer, bool isRepeatable, CancellationToken cancellation)
        where TAnswer : class, IEtcdAnswer
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(request, ask);
        return await TryAsync(
            path, async (endpoint, patience, stop) =>
            {
                var seen = Lineage.Seen;
                using var response = await SendAsync(endpoint, path, body, seen, patience, stop);
                return await ReadAsync(response, endpoint, seen, answer, stop);
            },
            isRepeatable, cancellation);
    }

    /// <summary>Opens a stream of answers. How it goes on is the caller's to read.</summary>
    /// <returns>The response, which member it is of, and what was seen before it was asked for.</returns>
    public Task<(HttpResponseMessage Response, Uri Endpoint, EtcdSeen Seen)> OpenAsync<TRequest>(string path, TRequest request, JsonTypeInfo<TRequest> ask, CancellationToken cancellation)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(request, ask);
        return TryAsync(
            path, async (endpoint, patience, stop) =>
            {
                var seen = Lineage.Seen;
                return (await SendAsync(endpoint, path, body, seen, patience, stop), endpoint, seen);
            },
            isRepeatable: true, cancellation);
    }

    /// <summary>Asks one member once.</summary>
    /// <exception cref="EtcdFault">It does not answer well.</exception>
    public async Task<TAnswer> AskOneAsync<TRequest, TAnswer>(
        Uri endpoint, string path, TRequest request, JsonTypeInfo<TRequest> ask, JsonTypeInfo<TAnswer> answer, CancellationToken cancellation)
        where TAnswer : class, IEtcdAnswer
    {
        var seen = Lineage.Seen;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        stop.CancelAfter(_options.Timeout);
        try
        {
            using var response = await SendAsync(endpoint, path, JsonSerializer.SerializeToUtf8Bytes(request, ask), seen, _options.Timeout, stop.Token);
            return await ReadAsync(response, endpoint, seen, answer, stop.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw Silent(endpoint, _options.Timeout);
        }
    }

    // From member to member. All that is known of a failure is in its kind.
    private async Task<T> TryAsync<T>(string path, Func<Uri, TimeSpan, CancellationToken, Task<T>> attempt, bool isRepeatable, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var started = TimeProvider.System.GetTimestamp();
        var (unreachable, tokens) = (0, 0);
        // That one member says "no leader" tells more than that another is not there.
        EtcdFault? telling = null;
        while (true)
        {
            var left = _options.Timeout - TimeProvider.System.GetElapsedTime(started);
            var current = Volatile.Read(ref _current);
            var endpoint = _options.Endpoints[current % _options.Endpoints.Count];
            EtcdFault fault;
            try
            {
                var patience = isRepeatable && _options.Endpoints.Count > 1 ? TimeSpan.FromSeconds(Math.Min(left.TotalSeconds, _options.Timeout.TotalSeconds * PartOfTime)) : left;
                return await AttemptAsync(endpoint, patience, attempt, cancellation);
            }
            catch (EtcdFault failed)
            {
                fault = failed;
            }

            if (fault.Kind is EtcdFaultKind.NoLease or EtcdFaultKind.NoRevision or EtcdFaultKind.TooLarge) throw fault;
            if (fault.Kind == EtcdFaultKind.Refused) throw new StoreRefusedException($"{Tell(fault.Message)}{AsWhom}");
            if (fault.Kind == EtcdFaultKind.Token)
            {
                if (_options.User is null) throw new StoreRefusedException($"{Tell(fault.Message)}: it wants a user and a password");
                // Drawn anew once; what is refused then is refused.
                if (tokens++ > 0) throw new StoreRefusedException($"{Tell(fault.Message)}{AsWhom}");
                _token = null;
                continue;
            }

            Interlocked.CompareExchange(ref _current, current + 1, current);
            if (fault.Kind == EtcdFaultKind.Unreachable) unreachable++;
            else (unreachable, telling) = (0, fault);
            // Whom nobody listens to any more does not get better by asking again at once.
            var isOver = unreachable >= _options.Endpoints.Count || (fault.Kind == EtcdFaultKind.Unknown && !isRepeatable) || TimeProvider.System.GetElapsedTime(started) + Pause >= _options.Timeout;
            if (isOver)
                throw new StoreUnavailableException($"{Tell((fault.Kind == EtcdFaultKind.Unreachable ? telling ?? fault : fault).Message)}{(fault.Kind == EtcdFaultKind.Unknown && !isRepeatable ? ": it may have been done all the same" : "")}", fault);
            if (fault.Kind != EtcdFaultKind.Unreachable) await Task.Delay(Pause, cancellation);
        }
    }

    private string AsWhom => _options.User is { } user ? $" (as user {user})" : "";

    private static async Task<T> AttemptAsync<T>(Uri endpoint, TimeSpan patience, Func<Uri, TimeSpan, CancellationToken, Task<T>> attempt, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        stop.CancelAfter(patience > TimeSpan.Zero ? patience : TimeSpan.FromMilliseconds(1));
        try
        {
            return await attempt(endpoint, patience, stop.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw Silent(endpoint, patience);
        }
    }

    private static EtcdFault Silent(Uri endpoint, TimeSpan patience) =>
        new(EtcdFaultKind.Unknown, string.Create(CultureInfo.InvariantCulture, $"{endpoint.Authority}: no answer in {Math.Max(0, patience.TotalSeconds):0.#} s"));

    private async Task<HttpResponseMessage> SendAsync(Uri endpoint, string path, byte[] body, EtcdSeen seen, TimeSpan patience, CancellationToken cancellation)
    {
        var token = _options.User is null || path == EtcdPaths.Login ? null : _token ?? await LogInAsync(endpoint, patience, cancellation);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(endpoint, path)) { Content = new ByteArrayContent(body), Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Content.Headers.ContentType = new System.Net.Http.Headers.MediaTypeHeaderValue("application/json");
        // A member without a leader says so at once, instead of waiting for one; and ends its watches.
        request.Headers.TryAddWithoutValidation("Grpc-Metadata-Hasleader", "true");
        if (seen.Member != 0) request.Headers.TryAddWithoutValidation(SeenHeader, string.Create(CultureInfo.InvariantCulture, $"{seen.Member}/{seen.Revision}"));
        if (_options.Header is var (name, value)) request.Headers.TryAddWithoutValidation(name, value);
        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", token);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            throw Broken(endpoint, failure);
        }

        if (response.StatusCode == HttpStatusCode.OK) return response;
        using (response)
        {
            EtcdError? error = null;
            try
            {
                error = JsonSerializer.Deserialize((await ReadAsync(response, MaxErrorBytes, endpoint, cancellation)).Span, EtcdJson.Default.EtcdError);
            }
            catch (JsonException)
            {
                // Not etcd's words; the status is all there is.
            }

            throw EtcdFault.Of(error, response.StatusCode, endpoint);
        }
    }

    /// <summary>What a broken connection means.</summary>
    public static EtcdFault Broken(Uri endpoint, Exception failure)
    {
        var isUnsent = failure is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError };
        var reason = failure;
        while (reason.InnerException is { } inner) reason = inner;
        return new EtcdFault(isUnsent ? EtcdFaultKind.Unreachable : EtcdFaultKind.Unknown, $"{endpoint.Authority}: {EtcdFault.Brief(reason.Message)}", failure);
    }

    private async Task<TAnswer> ReadAsync<TAnswer>(HttpResponseMessage response, Uri endpoint, EtcdSeen seen, JsonTypeInfo<TAnswer> type, CancellationToken cancellation)
        where TAnswer : class, IEtcdAnswer
    {
        var bytes = await ReadAsync(response, _options.MaxAnswerBytes, endpoint, cancellation);
        TAnswer? answer;
        try
        {
            answer = JsonSerializer.Deserialize(bytes.Span, type);
        }
        catch (JsonException failure)
        {
            throw Senseless(endpoint, failure);
        }

        if (answer is EtcdLeaseLine { Error: { } error }) throw EtcdFault.Of(error, HttpStatusCode.OK, endpoint);
        if (answer?.Header is not { Revision: >= 0 } header) throw Senseless(endpoint, null);
        if (answer is not EtcdLogin) Lineage.Note(seen, header, isCurrent: answer is EtcdRange or EtcdTransaction, IsAnother(response));
        return answer;
    }

    /// <summary>Whether the store says of itself that it is not what was seen.</summary>
    public static bool IsAnother(HttpResponseMessage response) => response.Headers.Contains(AnotherHeader);

    /// <summary>An answer that cannot be etcd's.</summary>
    public static EtcdFault Senseless(Uri endpoint, Exception? inner) => new(EtcdFaultKind.Unknown, $"{endpoint.Authority}: the answer makes no sense", inner);

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpResponseMessage response, int limit, Uri endpoint, CancellationToken cancellation)
    {
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
            var bytes = new byte[Math.Clamp(response.Content.Headers.ContentLength ?? 4096, 1024, Math.Min(limit, 1024 * 1024)) + 1];
            var length = 0;
            while (true)
            {
                var read = await stream.ReadAsync(bytes.AsMemory(length), cancellation);
                if (read == 0) return bytes.AsMemory(0, length);
                length += read;
                if (length > limit) throw new EtcdFault(EtcdFaultKind.TooLarge, $"{endpoint.Authority}: the answer is larger than {limit} bytes");
                if (length == bytes.Length) Array.Resize(ref bytes, Math.Min(bytes.Length * 2, limit + 1));
            }
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            throw Broken(endpoint, failure);
        }
    }

    private async Task<string> LogInAsync(Uri endpoint, TimeSpan patience, CancellationToken cancellation)
    {
        await _loggingIn.WaitAsync(cancellation);
        try
        {
            if (_token is { } already) return already;
            string password;
            try
            {
                password = _options.PasswordFile is { } path ? (await File.ReadAllTextAsync(path, cancellation)).TrimEnd('\n', '\r') : "";
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw new EtcdFault(EtcdFaultKind.Refused, $"{_options.PasswordFile}: cannot be read: {failure.Message}", failure);
            }

            var body = JsonSerializer.SerializeToUtf8Bytes(new EtcdLoginRequest(_options.User, password), EtcdJson.Default.EtcdLoginRequest);
            using var response = await SendAsync(endpoint, EtcdPaths.Login, body, Lineage.Seen, patience, cancellation);
            var answer = await ReadAsync(response, endpoint, Lineage.Seen, EtcdJson.Default.EtcdLogin, cancellation);
            return _token = answer.Token is { Length: > 0 and <= 4096 } token && !token.Any(char.IsControl) ? token : throw Senseless(endpoint, null);
        }
        finally
        {
            _loggingIn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _loggingIn.Dispose();
        Lineage.Dispose();
    }
}

/// <summary>Where etcd's gateway has what.</summary>
internal static class EtcdPaths
{
    public const string Range = "/v3/kv/range";
    public const string Transaction = "/v3/kv/txn";
    public const string Watch = "/v3/watch";
    public const string Grant = "/v3/lease/grant";
    public const string KeepAlive = "/v3/lease/keepalive";
    public const string Revoke = "/v3/lease/revoke";
    public const string Login = "/v3/auth/authenticate";
}
