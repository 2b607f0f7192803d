using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Trust;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve token</c>: makes, shows and removes tokens by which other hosts join this one.</summary>
internal static class TokenCommand
{
    private const string LifetimeAllowed = "a number with s, m, h or d behind it, 1s to 365d";
    private static readonly Argument<string[]> IdArgument = new("ID") { Description = "Token, as sleeve token ls shows it.", HelpName = "ID", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Lifetime = new("--ttl", "TIME", "How long the token lasts. [1h]", LifetimeAllowed);
    private static readonly Setting Uses = new Setting("--uses", "N", "How many hosts may join with it. [any number]", $"1 to {Authority.MaxIssued}").In("hosts");
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var token = new Command("token", "Make, show and remove tokens by which other hosts join this one.") { CreateMake("create"), CreateList(), CreateRemove() };
        AddMaking(token);
        token.WithExamples("""
            A token is a secret: whoever has it can be a host of this cluster until it ends. This host serves its store to the others, on TCP 4789, from the first token on.

            Examples:
              sleeve token                          prints the command to type on the host that is to join
              sleeve token create --ttl 24h --uses 3
              sleeve token ls
              sleeve token rm 5f0c2a91              those who joined with it stay
            """);
        return token;
    }

    private static Command CreateMake(string verb)
    {
        var make = new Command(verb, "Make a token, and print the command that joins with it.");
        AddMaking(make);
        return make;
    }

    private static void AddMaking(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Lifetime, Uses, DaemonSocket.Option]) command.Options.Add(setting.Option);
        command.Options.Add(Json);
        command.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var seconds = reader.Read(Lifetime, ReadLifetime, (int)TokenDesk.DefaultLifetime.TotalSeconds);
            var uses = reader.Read<int?>(Uses, ReadUses, null);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var made = await client.PostAsync("tokens", new TokenRequestJson(seconds, uses), ApiJson.Default.TokenRequestJson, ApiJson.Default.MadeTokenJson);
                if (result.GetValue(Json))
                {
                    Console.Out.WriteLine(JsonSerializer.Serialize(made, ApiJson.Default.MadeTokenJson));
                    return;
                }

                CommandLine.Tell($"token {made.Id}, good until {made.Ends.ToLocalTime():yyyy-MM-dd HH:mm:ss}; on the host that is to join, type:");
                Console.Out.WriteLine(made.Command);
            };
        }));
    }

    private static Command CreateList()
    {
        var list = Listing.Create("Show the tokens; their secrets are not kept.", "tokens", static () => ApiJson.Default.IReadOnlyListTokenJson, "no tokens; sleeve token makes one", Print);
        list.Aliases.Add("show");
        return list;
    }

    private static void Print(IReadOnlyList<TokenJson> tokens)
    {
        var table = Listing.NewTable("ID", "STATE", "ENDS", "USED", "LEFT");
        foreach (var token in tokens)
        {
            table.AddRow(token.Id, token.State, token.Ends.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture), $"{token.Used}",
                token.UsesLeft?.ToString(CultureInfo.InvariantCulture) ?? "any");
        }

        AnsiConsole.Write(table);
    }

    private static Command CreateRemove()
    {
        var remove = new Command("rm", "Have a token let in nobody any more.") { IdArgument };
        remove.Aliases.Add("del");
        remove.Options.Add(DaemonSocket.Option.Option);
        remove.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(IdArgument) ?? [];
            if (words.Length == 0) reader.Refuse("ID: missing; sleeve token ls lists them");
            foreach (var word in words.Where(static word => !JoinToken.IsId(word))) reader.Refuse("ID: must be 8 hexadecimal digits, as sleeve token ls shows them");
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                foreach (var word in words) await client.DeleteAsync($"tokens/{word}");
            };
        }));
        return remove;
    }

    private static bool ReadUses(string text, out int? value)
    {
        var isRead = Words.Number(1, Authority.MaxIssued)(text, out var number);
        value = number;
        return isRead;
    }

    private static bool ReadLifetime(string text, out int seconds)
    {
        seconds = 0;
        var unit = text.Length > 1 ? text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86_400, _ => 0 } : 0;
        if (unit == 0 || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
        if (number < 1 || (long)number * unit > (long)TokenDesk.LongestLifetime.TotalSeconds) return false;
        seconds = number * unit;
        return true;
    }
}
