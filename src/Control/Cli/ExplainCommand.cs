using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve explain</c>: what would happen to a frame, without sending any.</summary>
internal static class ExplainCommand
{
    private const string SubjectAllowed = "a MAC, an IP address, a frame in hexadecimal, or a file of frames (.pcap, .pcapng)";

    private static readonly Argument<string[]> Subjects = new Argument<string[]>("DEV WHAT") { Description = "The TAP of the segment, then " + SubjectAllowed + ".", HelpName = "DEV MAC|IP|HEX|FILE", Arity = ArgumentArity.ZeroOrMore }
        .Suggesting(SocketFile.Devices);
    private static readonly Setting From = new Setting(
        "--from", "WHERE", "Where it would come from: the TAP, a VTEP by its address, or the underlay, in whole packets. [tap]", "tap, underlay, or the address of a VTEP")
        .Suggesting(static () => [ExplainRoutes.Tap, ExplainRoutes.Underlay]);
    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket of the VTEP, or https://HOST:PORT. [SLEEVE_API, or /run/sleeve/DEV.sock]", Words.PlaceAllowed);
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var explain = new Command("explain", "Say what would happen to a frame, stage by stage, without sending, counting or learning.") { Subjects, From.Option, Socket.Option, Json };
        explain.WithExamples("""
            Examples:
              sleeve explain vx0 02:00:00:00:00:02                    a frame of the TAP to that MAC
              sleeve explain vx0 10.1.1.2                             a packet of the TAP to that address
              sleeve explain vx0 --from 192.0.2.2 02:00:00:00:00:02   a frame of that MAC from a VTEP
              sleeve explain vx0 frames.pcapng --json                 each frame of a file
              sleeve explain vx0 ffffffffffff0200000000010806…        a whole frame, with its source port
              sleeve explain vx0 --from underlay eth0.pcap            VXLAN packets as eth0 saw them, outer headers and all

            With --from VTEP, too, a frame that is a whole packet to the VTEP's UDP port is taken for one: its sender, TOS and VXLAN header count.

            The workers' own code decides, over the tables as they are now, so that it cannot say anything else than what would happen.
            """);
        explain.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(Subjects) ?? [];
            if (words.Length < 1) reader.Refuse($"DEV: missing; it must be {Words.LinkNameAllowed}");
            if (words.Length < 2) reader.Refuse($"WHAT: missing; it must be {SubjectAllowed}");
            foreach (var surplus in words.Skip(2)) reader.Refuse($"{surplus}: not expected here");
            var from = reader.Read<string>(From, ReadFrom, ExplainRoutes.Tap);
            var path = reader.Read<string?>(Socket, Words.Place!, null) ?? SocketFile.Of(words.FirstOrDefault() ?? "");
            if (words.Length < 2) return null;
            var requests = Read(words[0], words[1], from, reader);
            return () => ShowAsync(path, requests, result.GetValue(Json));
        }));
        return explain;
    }

    private static async Task ShowAsync(string path, IReadOnlyList<ExplainRequestJson> requests, bool json)
    {
        using var client = new ApiClient(path);
        var answers = new List<ExplainJson>();
        for (var i = 0; i < requests.Count; i++)
        {
            var answer = await client.PostAsync("explain", requests[i], ApiJson.Default.ExplainRequestJson, ApiJson.Default.ExplainJson);
            if (json)
            {
                answers.Add(answer);
                continue;
            }

            if (requests.Count > 1) Console.Out.WriteLine($"{(i == 0 ? "" : "\n")}frame {i + 1} of {requests.Count}:");
            Print(answer);
        }

        if (json) Console.Out.WriteLine(JsonSerializer.Serialize<IReadOnlyList<ExplainJson>>(answers, ApiJson.Default.IReadOnlyListExplainJson));
    }

    private static void Print(ExplainJson answer)
    {
        for (var i = 0; i < answer.Steps.Count; i++) Console.Out.WriteLine($"{i + 1,2}. {answer.Steps[i].Stage}: {answer.Steps[i].Text}");
        var copies = answer.Copies.Count > 1 ? $", {answer.Copies.Count} copies" : "";
        Console.Out.WriteLine($"    {answer.Outcome}{copies}");
    }

    private static IReadOnlyList<ExplainRequestJson> Read(string device, string subject, string from, SettingReader reader)
    {
        if (MacAddress.TryParse(subject, out _)) return [new ExplainRequestJson(device, from, subject, null, null)];
        if (InternetAddress.TryParse(subject, out _)) return [new ExplainRequestJson(device, from, null, subject, null)];
        if (TryReadHex(subject, out var frame)) return [new ExplainRequestJson(device, from, null, null, frame)];
        try
        {
            return [.. PacketFile.Read(subject, takesIp: from != ExplainRoutes.Tap).Select(each => new ExplainRequestJson(device, from, null, null, each))];
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            reader.Refuse($"{subject}: {failure.Message.TrimEnd('.')}; must be {SubjectAllowed}");
            return [];
        }
    }

    private static bool TryReadHex(string text, out byte[] frame)
    {
        frame = [];
        var digits = string.Concat(text.Where(static c => c is not (':' or ' ' or '-' or '.')));
        if (digits.Length < 2 || digits.Length % 2 != 0 || !digits.All(char.IsAsciiHexDigit) || File.Exists(text)) return false;
        frame = Convert.FromHexString(digits);
        return true;
    }

    private static bool ReadFrom(string text, out string value)
    {
        value = text;
        return text is ExplainRoutes.Tap or ExplainRoutes.Underlay || Words.UnicastAddress(text, out _);
    }
}
