using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Cni;

/// <summary>
/// This program as a CNI plugin: with CNI_COMMAND in the environment and without words, or with the one word cni. It is asked before anything else of the program is touched, since runtimes run
/// VERSION on every command of theirs and wait for it.
/// </summary>
internal static class CniProgram
{
    /// <summary>Bytes of a configuration, at most.</summary>
    public const int MaxInput = 1024 * 1024;

    /// <summary>How deep its objects and arrays may stand in each other.</summary>
    public const int MaxDepth = 32;

    private const string Verb = "cni";

    /// <summary>Whether these words, in this environment, are a runtime's.</summary>
    public static bool IsCalled(string[] words) => words is [] or [Verb] && Environment.GetEnvironmentVariable(CniCall.CommandVariable) is { Length: > 0 };

    /// <summary>Serves one call.</summary>
    /// <returns>0 if it is done; 1 with an error object on stdout if not.</returns>
    public static int Run()
    {
        byte[] answer;
        int code;
        try
        {
            using var stdin = new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
            (code, answer) = Serve(Environment.GetEnvironmentVariable, stdin);
            if (answer.Length > 0)
            {
                using var stdout = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
                stdout.Write(answer);
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // stdin or stdout are closed.
            CommandLine.Tell($"sleeve cni: {failure.Message}");
            return ExitCode.Failed;
        }

        return code;
    }

    /// <summary>Serves one call: never an exception, whatever comes in.</summary>
    /// <param name="variable">Reads a variable of the environment.</param>
    /// <param name="stdin">The configuration.</param>
    /// <returns>The exit code, and what is answered.</returns>
    public static (int Code, byte[] Answer) Serve(Func<string, string?> variable, Stream stdin)
    {
        var version = CniVersions.Latest;
        try
        {
            var input = ReadAll(stdin);
            if (variable(CniCall.CommandVariable) == "VERSION") return (ExitCode.Done, AnswerVersion(input));
            using var document = Parse(input);
            version = CniConfig.ReadVersion(document.RootElement);
            var call = CniCall.Read(variable);
            return (ExitCode.Done, new CniPlugin(call, CniConfig.Read(document.RootElement, call.Command), input).Run());
        }
        catch (CniFault fault)
        {
            return (ExitCode.Failed, Write(version, fault));
        }
        catch (Exception failure)
        {
            // The root of the process: whatever got this far is answered as the specification says.
            return (ExitCode.Failed, Write(version, new CniFault(CniCode.Internal, $"internal error: {failure.GetType().Name}: {failure.Message}", "please report it with the configuration")));
        }
    }

    private static byte[] ReadAll(Stream stdin)
    {
        var input = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (stdin.Read(buffer) is > 0 and var count)
        {
            input.Write(buffer, 0, count);
            if (input.Length > MaxInput) throw new CniFault(CniCode.Decode, $"stdin: has more than {MaxInput} bytes, which are allowed");
        }

        return input.ToArray();
    }

    private static JsonDocument Parse(byte[] input)
    {
        // The parser leaves it to whoever reads a text.
        if (!System.Text.Unicode.Utf8.IsValid(input)) throw new CniFault(CniCode.Decode, "stdin: must be a configuration in JSON, which is UTF-8");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(input, new JsonDocumentOptions { MaxDepth = MaxDepth });
        }
        catch (JsonException failure)
        {
            throw new CniFault(CniCode.Decode, $"stdin: must be a configuration in JSON of at most {MaxDepth} levels: {CniNode.Shorten(failure.Message)}");
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
        document.Dispose();
        throw new CniFault(CniCode.Decode, "stdin: must be an object of JSON");
    }

    // By hand: a serializer takes its time to start. The version that was asked with, if it is one of ours; people ask without any.
    private static byte[] AnswerVersion(byte[] input)
    {
        var version = CniVersions.Latest;
        if (input.Length > 0)
        {
            using var document = Parse(input);
            version = CniVersions.All.FirstOrDefault(each => document.RootElement.TryGetProperty("cniVersion", out var asked) && asked.ValueKind == JsonValueKind.String && asked.GetRawText() == $"\"{each}\"") ?? version;
        }

        return System.Text.Encoding.ASCII.GetBytes($"{{\"cniVersion\":\"{version}\",\"supportedVersions\":[\"{string.Join("\",\"", CniVersions.All)}\"]}}\n");
    }

    private static byte[] Write(string version, CniFault fault)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion", version);
            json.WriteNumber("code", fault.Code);
            json.WriteString("msg", fault.Message);
            if (fault.Details.Length > 0) json.WriteString("details", fault.Details);
            json.WriteEndObject();
        }

        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }
}
