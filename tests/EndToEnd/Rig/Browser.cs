using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A headless Chromium, spoken to by its DevTools protocol. Ends, and its profile with it, when disposed.</summary>
public sealed class Browser : IDisposable
{
    private readonly string _profile = Directory.CreateTempSubdirectory("sleeve-chromium-").FullName;
    private readonly BackgroundProcess _process;
    private readonly ClientWebSocket _socket = new();
    private readonly List<string> _complaints = [];
    private int _calls;

    /// <summary>Starts it with an empty page; skips the test where there is none.</summary>
    public Browser(int width, int height)
    {
        Requirements.Programs("chromium");
        // As root it refuses its own sandbox; /dev/shm may be small.
        _process = new BackgroundProcess(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", $"--user-data-dir={_profile}", $"--window-size={width},{height}", "about:blank"]);
        var port = Path.Combine(_profile, "DevToolsActivePort");
        Wait.Until(() => File.Exists(port) && File.ReadAllLines(port).Length > 1, "Chromium's port", TimeSpan.FromSeconds(60), 100);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{File.ReadAllLines(port)[0]}") };
        var pages = JsonNode.Parse(http.GetStringAsync(new Uri("/json", UriKind.Relative)).GetAwaiter().GetResult())!.AsArray();
        var page = pages.First(each => (string?)each!["type"] == "page")!;
        _socket.ConnectAsync(new Uri((string)page["webSocketDebuggerUrl"]!), CancellationToken.None).Wait();
        foreach (var domain in (string[])["Runtime", "Log", "Page", "Network"]) Call($"{domain}.enable");
        Call("Emulation.setScrollbarsHidden", new JsonObject { ["hidden"] = true });
        Resize(width, height);
    }

    /// <summary>What the page's script threw, and what the console was told of errors and refused loads.</summary>
    public IReadOnlyList<string> Complaints => _complaints;

    /// <summary>Hosts that were asked for anything.</summary>
    public HashSet<string> Hosts { get; } = [];

    /// <summary>Opens an address.</summary>
    public void Open(string address) => Call("Page.navigate", new JsonObject { ["url"] = address });

    /// <summary>Gives the page another size.</summary>
    public void Resize(int width, int height) => Call("Emulation.setDeviceMetricsOverride", new JsonObject { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = width < 600 });

    /// <summary>Has the page believe that its user prefers "dark" or "light".</summary>
    public void Prefer(string scheme) => Call("Emulation.setEmulatedMedia", new JsonObject { ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = scheme }) });

    /// <summary>Runs script in the page; gives its result as text.</summary>
    public string Evaluate(string script) =>
        Call("Runtime.evaluate", new JsonObject { ["expression"] = $"String({script})", ["awaitPromise"] = true })["result"]?["value"]?.ToString() ?? "";

    /// <summary>Waits until a script's value is true.</summary>
    public void WaitFor(string condition) => Wait.Until(() => Evaluate(condition) == "true", condition, TimeSpan.FromSeconds(60), 250);

    /// <summary>A PNG of the whole page.</summary>
    public byte[] Screenshot() => Convert.FromBase64String((string)Call("Page.captureScreenshot", new JsonObject { ["captureBeyondViewport"] = true })["data"]!);

    private JsonNode Call(string method, JsonObject? parameters = null)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var id = ++_calls;
        var call = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] };
        _socket.SendAsync(Encoding.UTF8.GetBytes(call.ToJsonString()), WebSocketMessageType.Text, true, patience.Token).Wait();
        while (true)
        {
            var message = Receive(patience.Token);
            if ((int?)message["id"] == id) return message["result"] ?? throw new CommandFailedException($"{method}: {message["error"]}");
            Note((string?)message["method"], message["params"]);
        }
    }

    private void Note(string? method, JsonNode? what)
    {
        if (method == "Runtime.exceptionThrown" || (method == "Log.entryAdded" && (string?)what?["entry"]?["level"] == "error")) _complaints.Add(what!.ToJsonString());
        if (method == "Network.requestWillBeSent" && Uri.TryCreate((string?)what?["request"]?["url"], UriKind.Absolute, out var address) && address.Scheme != "data") Hosts.Add(address.Authority);
    }

    private JsonNode Receive(CancellationToken cancellation)
    {
        var (buffer, message) = (new byte[1 << 16], new MemoryStream());
        ValueWebSocketReceiveResult part;
        do
        {
            part = _socket.ReceiveAsync(buffer.AsMemory(), cancellation).AsTask().GetAwaiter().GetResult();
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray(), documentOptions: new JsonDocumentOptions { MaxDepth = 256 })!;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            if (_socket.State == WebSocketState.Open)
            {
                var bye = """{"id":0,"method":"Browser.close"}"""u8.ToArray();
                _socket.SendAsync(bye, WebSocketMessageType.Text, true, CancellationToken.None).Wait();
                _process.WaitForExit(Wait.Soon);
            }
        }
        catch (AggregateException)
        {
            // Gone already.
        }

        _socket.Dispose();
        _process.Dispose();
        try
        {
            Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A helper of it still writes; the folder is a temporary one.
        }
    }
}
