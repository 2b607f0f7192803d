using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Trust;
using Sleeve.DataPlane.Interop;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve join</c> and <c>sleeve leave</c>: this host's daemon becomes one of another host's cluster, and no longer is.</summary>
internal static class JoinCommand
{
    private const string Verb = "join";
    private const string TokenName = "--token";
    private const string FromInput = "-";
    private const int MaxTokenFileBytes = 4096;

    private static readonly Argument<string[]> HostArgument = new("HOST") { Description = "The host that serves the cluster: HOST or HOST:PORT.", HelpName = "HOST[:PORT]", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Token = new(TokenName, "TOKEN", "Token of that host (sleeve token); - reads it from standard input.", JoinToken.Allowed);
    private static readonly Setting TokenFile = new("--token-file", "FILE", "File with the token in it; - is standard input.", "a file");
    private static readonly Setting Name = new("--name", "NAME", "What this host is to be called. [as the daemon is called]", Names.Allowed);
    private static readonly Option<bool> Force = Setting.Flag("--force", "Leave also if the cluster cannot be told.");

    /// <summary>
    /// Takes a token out of the words that the kernel shows to everybody, before anything else is done. Where that cannot be it is told, since it stays to be seen until the command ends.
    /// </summary>
    /// <param name="words">The words that this process was started with.</param>
    public static void Hide(IReadOnlyList<string> words)
    {
        if (!words.Contains(Verb)) return;
        for (var i = 0; i < words.Count; i++)
        {
            var word = words[i];
            var secret = word is TokenName or "token" ? words.ElementAtOrDefault(i + 1) : word.StartsWith($"{TokenName}=", StringComparison.Ordinal) ? word[(TokenName.Length + 1)..] : null;
            if (secret is null or "" or FromInput || ArgumentMemory.Erase(secret)) continue;
            CommandLine.Tell("sleeve join: warning: the token stays to be seen in the list of processes while this runs; --token-file or --token - avoid that");
        }
    }

    /// <summary>Makes <c>sleeve join</c>.</summary>
    public static Command Create()
    {
        var join = new Command(Verb, "Join the cluster of another host.") { HostArgument };
        foreach (var setting in (ReadOnlySpan<Setting>)[Token, TokenFile, Name, DaemonSocket.Option]) join.Options.Add(setting.Option);
        join.WithExamples("""
            The daemon of this host does it, and stays in the cluster over restarts. sleeve token on the host that serves the cluster prints the command to type.

            Examples:
              sleeve join 192.0.2.1 --token S10…::…:…
              sleeve join 192.0.2.1 --token-file token
              ssh 192.0.2.1 sleeve token --json | jq -r .token | sleeve join 192.0.2.1 --token -
            """);
        join.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(HostArgument) ?? [];
            if (words.Length == 0) reader.Refuse($"HOST: missing; it must be {JoinPlace.Allowed}");
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var first, ..] && !JoinPlace.TryParse(first, out JoinPlace _)) reader.Refuse($"HOST {first}: must be {JoinPlace.Allowed}");
            var name = reader.Read<string?>(Name, ReadName, null);
            var token = reader.Errors.Count == 0 ? ReadToken(reader) : null;
            var path = DaemonSocket.PathOf(reader);
            return () => RunAsync(path, new ClusterJoinJson(words[0], token, name));
        }));
        return join;
    }

    /// <summary>Makes <c>sleeve leave</c>.</summary>
    public static Command CreateLeave()
    {
        var leave = new Command("leave", "Leave the cluster that this host joined.") { Force, DaemonSocket.Option.Option };
        leave.WithExamples("""
            What this host claimed there goes, and its certificate counts no more. To come again it needs a new token.

            Examples:
              sleeve leave
              sleeve leave --force        the cluster is not there any more
            """);
        leave.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var path = DaemonSocket.PathOf(reader);
            var force = reader.ReadFlag(Force);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PostAsync("cluster/leave", new ClusterLeaveJson(force), ApiJson.Default.ClusterLeaveJson);
                Console.Out.WriteLine("left");
            };
        }));
        return leave;
    }

    private static async Task RunAsync(string path, ClusterJoinJson asked)
    {
        using var client = new ApiClient(path);
        JoinLineJson? last = null;
        async Task FollowAsync(Action<string> show)
        {
            await foreach (var line in client.PostForLinesAsync("cluster/join", asked, ApiJson.Default.ClusterJoinJson, CancellationToken.None))
            {
                last = JsonSerializer.Deserialize(line, ApiJson.Default.JoinLineJson);
                if (last?.Step is { } step) show(step);
            }
        }

        if (Console.IsErrorRedirected || Console.IsOutputRedirected) await FollowAsync(static _ => { });
        else await AnsiConsole.Status().StartAsync("joining…", status => FollowAsync(step => status.Status = Markup.Escape($"{step}…")));
        if (last?.Error is { } error) throw new HostException(error);
        if (last?.Joined is not { } joined) throw new HostException("the daemon broke off; sleeve peer ls tells whether it has joined");
        Console.Out.WriteLine($"joined {joined} as {last.Name}");
    }

    // The value never stands in an error: it may be a token that was typed wrong.
    private static string? ReadToken(SettingReader reader)
    {
        if (reader.IsGiven(Token) && reader.IsGiven(TokenFile))
        {
            reader.Refuse($"{TokenName}: only one of {TokenName} and --token-file is allowed");
            return null;
        }

        var text = reader.Read<string?>(Token, Words.Text!, null);
        var file = text == FromInput ? FromInput : reader.Read<string?>(TokenFile, Words.Text!, null);
        if (text is null && file is null)
        {
            reader.Refuse($"{TokenName}: missing; sleeve token on the host that serves the cluster prints one (or --token-file FILE, --token - for standard input)");
            return null;
        }

        try
        {
            if (file is not null) text = ReadFile(file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            reader.Refuse($"--token-file {file}: cannot be read: {failure.Message}");
            return null;
        }

        if (JoinToken.TryParse(text, out var token)) return token.Reveal();
        reader.Refuse($"{(file is null ? TokenName : $"--token-file {file}")}: must be {JoinToken.Allowed}");
        return null;
    }

    private static string ReadFile(string path)
    {
        using var stream = path == FromInput ? Console.OpenStandardInput() : File.OpenRead(path);
        var bytes = new byte[MaxTokenFileBytes];
        return System.Text.Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }

    private static bool ReadName(string text, out string? value)
    {
        value = text;
        return Names.IsName(text);
    }
}
