using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve audit</c>: compares all hosts with the store, and names every difference.</summary>
internal static class AuditCommand
{
    private static readonly Setting Wait = new("--wait", "SECONDS", "How long hosts are waited for. [10]", "1 to 60 (seconds)");
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var audit = new Command("audit", "Compare all hosts with the store, and name every difference.") { Wait.Option, DaemonSocket.Option.Option, Json };
        audit.WithExamples("""
            Each host compares its copy of the store, its segments' tables and its endpoints; the store is compared with itself. Ends with 1 if anything
            differs, or if a host that is alive did not answer.

            Examples:
              sleeve audit
              sleeve audit --json --wait 30
            """);
        audit.SetAction(static async (result, _) =>
        {
            var differs = false;
            var code = await DeviceOptions.RunAsync(result, reader =>
            {
                var wait = reader.Read(Wait, Words.Number(1, 60), 10);
                var path = DaemonSocket.PathOf(reader);
                return async () =>
                {
                    using var client = new ApiClient(path, TimeSpan.FromSeconds(wait));
                    var isJson = result.GetValue(Json);
                    Task<AuditOutcomeJson> Ask() => client.PostAsync($"audit?wait={wait}", ApiJson.Default.AuditOutcomeJson);
                    var outcome = isJson || Console.IsOutputRedirected ? await Ask() : await AnsiConsole.Status().StartAsync("every host is looking…", _ => Ask());
                    differs = outcome.Differences > 0 || outcome.Silent.Count > 0;
                    if (isJson) Console.Out.WriteLine(JsonSerializer.Serialize(outcome, ApiJson.Default.AuditOutcomeJson));
                    else Print(outcome);
                };
            });
            return code == ExitCode.Done && differs ? ExitCode.Failed : code;
        });
        return audit;
    }

    private static void Print(AuditOutcomeJson outcome)
    {
        foreach (var report in outcome.Reports)
        {
            foreach (var difference in report.Differences) Console.Out.WriteLine($"{report.Host}: {difference.What}: {difference.Is}");
            if (report.More > 0) Console.Out.WriteLine($"{report.Host}: and {report.More} more");
        }

        foreach (var host in outcome.Silent) Console.Out.WriteLine($"{host}: did not answer: is its daemon running? (sleeve peer show {host})");
        foreach (var host in outcome.Dead) Console.Out.WriteLine($"{host}: gives no sign of life, and was not asked");
        Console.Out.WriteLine(outcome.Differences == 0
            ? $"no difference: the store agrees with {Count(outcome.Reports.Count - 1, "host")}, which have {Count(outcome.Reports.Sum(static report => report.Endpoints), "endpoint")}"
            : Count(outcome.Differences, "difference"));
    }

    private static string Count(int number, string what) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");
}
