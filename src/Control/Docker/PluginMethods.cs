using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Docker;

/// <summary>What a plugin answers.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Body">JSON.</param>
internal sealed record PluginAnswer(int Status, byte[] Body);

/// <summary>
/// The methods of the plugin by their names: bytes of a request in, bytes of the answer out, never an exception. An error has the form of its protocol: {"Err": …} of a network driver, {"Error": …} of an IPAM driver;
/// what is refused is answered with 200, as Docker shows that best ("remote: …").
/// </summary>
internal sealed class PluginMethods
{
    /// <summary>Bytes of a request, at most.</summary>
    public const int MaxBytes = 64 * 1024;

    private const int Good = 200;
    private const int Bad = 400;
    private const int Unknown = 404;
    private const int Internal = 500;

    private readonly Dictionary<string, Func<ReadOnlyMemory<byte>, CancellationToken, Task<byte[]>>> _methods = new(StringComparer.Ordinal);

    /// <summary>Adds a method.</summary>
    /// <param name="name">Such as NetworkDriver.Join.</param>
    /// <param name="request">What it is asked.</param>
    /// <param name="answer">What it answers.</param>
    /// <param name="run">Does it.</param>
    public void Add<TRequest, TAnswer>(string name, JsonTypeInfo<TRequest> request, JsonTypeInfo<TAnswer> answer, Func<TRequest, CancellationToken, Task<TAnswer>> run)
        where TRequest : class, new() =>
        _methods.Add(name, async (body, cancellation) =>
        {
            // What has nothing to say comes without a body.
            var asked = body.IsEmpty ? new TRequest() : JsonSerializer.Deserialize(body.Span, request) ?? throw new JsonException("null is no request");
            return JsonSerializer.SerializeToUtf8Bytes(await run(asked, cancellation), answer);
        });

    /// <summary>Adds a method that always answers the same.</summary>
    public void Add<TAnswer>(string name, JsonTypeInfo<TAnswer> type, TAnswer answer)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(answer, type);
        _methods.Add(name, (_, _) => Task.FromResult(bytes));
    }

    /// <summary>Their names.</summary>
    public IEnumerable<string> Names => _methods.Keys;

    /// <summary>Answers a request.</summary>
    /// <param name="name">What is asked for.</param>
    /// <param name="body">At most <see cref="MaxBytes"/>.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="OperationCanceledException">It was given up.</exception>
    public async Task<PluginAnswer> AnswerAsync(string name, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        if (!_methods.TryGetValue(name, out var method)) return Fault(name, Unknown, $"{StoreChecks.Show(name)}: no such method; this plugin has {string.Join(", ", _methods.Keys.Order(StringComparer.Ordinal))}");
        if (body.Length > MaxBytes) return Fault(name, Bad, $"{name}: the request has more than {MaxBytes} bytes");
        try
        {
            return new PluginAnswer(Good, await method(body, cancellation));
        }
        catch (JsonException wrong)
        {
            return Fault(name, Bad, $"{name}: the request is not what it should be: {StoreChecks.Show(wrong.Message)}");
        }
        catch (CommandRefusedException refusal)
        {
            return Fault(name, Good, string.Join("; ", refusal.Errors));
        }
        catch (StoreUnavailableException away)
        {
            return Fault(name, Good, $"{away.Message}; what runs goes on, try again when it answers");
        }
        catch (IOException failure)
        {
            return Fault(name, Good, failure.Message);
        }
        catch (InvalidOperationException wrong)
        {
            // Text that is no text (half of a surrogate pair) is found only when it is read.
            return Fault(name, Bad, $"{name}: the request is not what it should be: {StoreChecks.Show(wrong.Message)}");
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            // The root of a request: whatever got this far is answered, and the next one is served.
            return Fault(name, Internal, $"{name}: internal error: {failure.GetType().Name}: {StoreChecks.Show(failure.Message)}");
        }
    }

    /// <summary>An answer that says no, in the form of the method's protocol.</summary>
    public static PluginAnswer Refuse(string name, int status, string text) => Fault(name, status, $"{StoreChecks.Show(name)}: {text}");

    private static PluginAnswer Fault(string name, int status, string text) => new(
        status,
        name.StartsWith("IpamDriver.", StringComparison.Ordinal)
            ? JsonSerializer.SerializeToUtf8Bytes(new IpamFault(text), PluginJson.Default.IpamFault)
            : JsonSerializer.SerializeToUtf8Bytes(new NetworkFault(text), PluginJson.Default.NetworkFault));
}
