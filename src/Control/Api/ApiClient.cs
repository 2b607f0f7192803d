using System.Net.Http.Json;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;

namespace Sleeve.Control.Api;

/// <summary>The commands' side of the socket.</summary>
internal sealed class ApiClient : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private readonly HttpClient _http;
    private readonly string _path;

    /// <summary>Makes a client of one socket; connects with the first request.</summary>
    /// <param name="path">The socket, or https://HOST:PORT.</param>
    /// <param name="wait">What the request itself says that it may take, on top of the ten seconds that any answer may.</param>
    /// <exception cref="HostException">With https://: the certificate that the environment names cannot be read.</exception>
    public ApiClient(string path, TimeSpan wait = default)
    {
        _path = path;
        _http = new HttpClient(ApiPlace.NewHandler(path))
        {
            BaseAddress = new Uri(ApiPlace.BaseOf(path), "/v1/"),
            Timeout = Patience + wait,
        };
    }

    /// <summary>Makes a device's name part of a path: it may have a '?' or '#' in it.</summary>
    public static string Escape(string device) => Uri.EscapeDataString(device);

    /// <summary>Asks for something to read.</summary>
    /// <exception cref="HostException">It cannot be had, with the reason.</exception>
    public async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, path));
        return await ReadAsync(response, type);
    }

    /// <summary>Asks for a change.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task PostAsync<T>(string path, T body, JsonTypeInfo<T> type)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body, type) });
    }

    /// <summary>Asks for something to be done.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task PostAsync(string path)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, path));
    }

    /// <summary>Asks for a change that answers something.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task<T> PostAsync<T>(string path, JsonTypeInfo<T> answer)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, path));
        return await ReadAsync(response, answer);
    }

    /// <summary>Asks something that takes more words than a path has.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task<TAnswer> PostAsync<T, TAnswer>(string path, T body, JsonTypeInfo<T> type, JsonTypeInfo<TAnswer> answer)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body, type) });
        return await ReadAsync(response, answer);
    }

    /// <summary>Asks for something to be so, and answers how it is.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task<TAnswer> PutAsync<T, TAnswer>(string path, T body, JsonTypeInfo<T> type, JsonTypeInfo<TAnswer> answer)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Put, path) { Content = JsonContent.Create(body, type) });
        return await ReadAsync(response, answer);
    }

    /// <summary>Asks for something to be so, which is answered with nothing.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task PutAsync<T>(string path, T body, JsonTypeInfo<T> type)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Put, path) { Content = JsonContent.Create(body, type) });
    }

    /// <summary>Asks for something to be as it says here.</summary>
    /// <param name="path">Of what.</param>
    /// <param name="settings">How it is to be.</param>
    /// <param name="mustBeNew">Whether there must be none yet.</param>
    /// <param name="answer">What is answered.</param>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task<T> PutAsync<T>(string path, JsonElement settings, bool mustBeNew, JsonTypeInfo<T> answer)
    {
        var request = new HttpRequestMessage(HttpMethod.Put, path) { Content = JsonContent.Create(settings, ApiJson.Default.JsonElement) };
        if (mustBeNew) request.Headers.IfNoneMatch.ParseAdd("*");
        using var response = await SendAsync(request);
        return await ReadAsync(response, answer);
    }

    /// <summary>Asks for a removal.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    /// <returns>The answer.</returns>
    public async Task<T> DeleteAsync<T>(string path, JsonTypeInfo<T> answer)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Delete, path));
        return await ReadAsync(response, answer);
    }

    /// <summary>Deletes a resource; one that is not there is no error.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    public async Task DeleteAsync(string path)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Delete, path));
    }

    /// <summary>Asks for an answer that comes bit by bit, until the other side ends it.</summary>
    /// <exception cref="HostException">It cannot be had, with the reason.</exception>
    public async Task<Stream> GetStreamAsync(string path) =>
        await (await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), HttpCompletionOption.ResponseHeadersRead)).Content.ReadAsStreamAsync();

    /// <summary>Reads an answer line by line as it comes, until the other side ends it.</summary>
    /// <exception cref="HostException">It cannot be had, with the reason.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async IAsyncEnumerable<string> ReadLinesAsync(string path, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await NextLineAsync(reader, cancellation) is { } line) yield return line;
    }

    /// <summary>Asks something whose answer comes line by line, until the other side ends it.</summary>
    /// <exception cref="HostException">It was refused, with the reason.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async IAsyncEnumerable<string> PostForLinesAsync<T>(string path, T body, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body, type) }, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await NextLineAsync(reader, cancellation) is { } line) yield return line;
    }

    private static async Task<string?> NextLineAsync(StreamReader reader, CancellationToken cancellation)
    {
        try
        {
            return await reader.ReadLineAsync(cancellation);
        }
        catch (IOException)
        {
            // Broken off instead of ended: it was killed.
            return null;
        }
    }

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync(type) ?? throw new HostException($"{_path} gave an empty answer");
        }
        catch (JsonException)
        {
            throw new HostException($"{_path} gave an answer that is not one of sleeve's: is it another program's socket?");
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion);
        }
        catch (HttpRequestException failure) when (failure.InnerException is SocketException socket)
        {
            throw new HostException(socket.SocketErrorCode switch
            {
                _ when ApiPlace.IsRemote(_path) => $"{_path} cannot be reached: {socket.Message}",
                SocketError.AccessDenied => $"no permission to use {_path}; it belongs to the user who runs sleeve up",
                SocketError.ConnectionRefused when !SocketFile.IsSocket(_path) => $"{_path} is not a socket",
                SocketError.ConnectionRefused => $"nobody serves {_path}: sleeve up was killed; start it again",
                _ when !File.Exists(_path) => $"no {_path}: is sleeve up running for this device? (--socket names another)",
                _ => $"cannot use {_path}: {socket.Message}",
            });
        }
        catch (HttpRequestException failure) when (failure.InnerException is AuthenticationException refusal)
        {
            throw new HostException($"{_path}: TLS failed: {refusal.InnerException?.Message ?? refusal.Message}");
        }
        catch (HttpRequestException failure)
        {
            if (ApiPlace.IsRemote(_path)) throw new HostException($"{_path} broke off: {failure.InnerException?.Message ?? failure.Message}; does its --api-client-ca vouch for {ApiPlace.CertificateVariable}?");
            throw new HostException($"{_path} broke off: {failure.InnerException?.Message ?? failure.Message}");
        }
        catch (TaskCanceledException)
        {
            throw new HostException($"{_path} did not answer within {_http.Timeout.TotalSeconds:0} s");
        }

        if (response.Headers.TryGetValues(SegmentRoutes.UnsavedHeader, out var unsaved))
            CommandLine.Tell($"sleeve: warning: the daemon cannot save its state: {string.Join(' ', unsaved)}; what was done is lost if it ends before it can");
        if (response.Headers.TryGetValues(NetworkRoutes.StaleHeader, out var stale)) CommandLine.Tell($"sleeve: warning: the store is away: {string.Join(' ', stale)}; this is what was known last");
        if (response.IsSuccessStatusCode) return response;
        using (response)
        {
            ProblemJson? problem = null;
            try
            {
                problem = await response.Content.ReadFromJsonAsync(ApiJson.Default.ProblemJson);
            }
            catch (JsonException)
            {
                // Not ours: the status alone has to do.
            }

            throw new HostException(problem is null
                ? $"{_path} answered {(int)response.StatusCode} {response.StatusCode}"
                : problem.Detail ?? problem.Title);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();
}
