using System.CommandLine;
using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.ClusterScale.Daemons;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Bench.ClusterScale.Report;
using Spectre.Console;

namespace Sleeve.Bench.ClusterScale.Cli;

/// <summary>The command line of <c>bench/scale</c>.</summary>
internal static class ScaleCommand
{
    private const int Done = 0;
    private const int Failed = 1;
    private const int BadInput = 2;
    private const int EndpointsOfAHost = 100;
    private const int MaxPeers = 2000;
    private const int MaxDaemons = 200;
    private static readonly string[] Stores = ["embedded", "etcd"];

    private static readonly Option<bool> Quick = new("--quick") { Description = "Under two minutes: smaller clusters, fewer changes, 8 daemons." };
    private static readonly Option<int[]> Peers = new("--peers") { HelpName = "N", Description = "Hosts of a simulated cluster, with as many networks and 100 endpoints each; may be said again. [10, 100, 1000]" };
    private static readonly Option<string[]> Store = new("--store") { HelpName = "STORE", Description = "embedded or etcd; may be said again. [both, if etcd is installed]" };
    private static readonly Option<int?> Count = new("--daemons") { HelpName = "N", Description = "Real daemons; 0 leaves them out. [50]" };
    private static readonly Option<int?> Rounds = new("--rounds") { HelpName = "N", Description = "Changes of each kind. [100]" };
    private static readonly Option<string?> Out = new("--out") { HelpName = "FOLDER", Description = "Where scale.json and scale.md are written. [artifacts/bench]" };
    private static readonly Option<bool> Json = new("--json") { Description = "The run as JSON on standard output, in place of tables." };

    /// <summary>Makes the command.</summary>
    public static RootCommand Create()
    {
        var command = new RootCommand("Measures how a cluster grows: simulated ones of up to 1,000 hosts, 100,000 endpoints and 1,000 networks in either store, and 50 real daemons in namespaces of one machine.");
        foreach (var option in (Option[])[Quick, Peers, Store, Count, Rounds, Out, Json]) command.Options.Add(option);
        command.SetAction((result, _) => RunAsync(result));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult result)
    {
        var isQuick = result.GetValue(Quick);
        var peers = result.GetValue(Peers) is { Length: > 0 } some ? some : isQuick ? [10, 100] : [10, 100, 1000];
        var stores = result.GetValue(Store) is { Length: > 0 } named ? named : IsInstalled("etcd") ? Stores : Stores[..1];
        var daemons = result.GetValue(Count) ?? (isQuick ? 8 : 50);
        var rounds = result.GetValue(Rounds) ?? (isQuick ? 40 : 100);
        var sleeve = Environment.GetEnvironmentVariable("SLEEVE") ?? "sleeve";
        var errors = new List<string>();
        errors.AddRange(peers.Where(static each => each is < 2 or > MaxPeers).Select(static each => $"--peers {each}: must be 2 to {MaxPeers}"));
        errors.AddRange(stores.Except(Stores).Select(static each => $"--store {each}: must be embedded or etcd"));
        if (daemons is < 0 or 1 or 2 or > MaxDaemons) errors.Add($"--daemons {daemons}: must be 3 to {MaxDaemons}, or 0 for none");
        if (rounds is < 10 or > 10_000) errors.Add($"--rounds {rounds}: must be 10 to 10000");
        if (Environment.GetEnvironmentVariable("SLEEVE_BENCH_INSIDE") != "1") errors.Add("not inside namespaces of its own: use bench/scale");
        foreach (var error in errors) Console.Error.WriteLine($"scale: {error}");
        if (errors.Count > 0) return BadInput;
        var machine = MachineInfo.Read(FindRoot());
        Console.Error.WriteLine($"scale: {machine}");
        if (machine.BusyBefore > 0.05) Console.Error.WriteLine($"scale: something else uses {machine.BusyBefore:P0} of this machine: times will be of little use, CPU and counts of some");
        var run = new ScaleRun(machine.ToString(), machine.Commit, machine.BusyBefore, DateOnly.FromDateTime(DateTime.UtcNow));
        foreach (var store in stores)
            foreach (var size in peers) await SimulateAsync(run, new ClusterModel(size, EndpointsOfAHost, size), store, rounds);
        foreach (var size in peers) await SimulateAsync(run, new ClusterModel(size, EndpointsOfAHost, 1), stores[0], rounds);
        if (daemons > 0) await StartDaemonsAsync(run, daemons, sleeve, isQuick ? 10 : 20);
        Show(run, Path.GetFullPath(result.GetValue(Out) ?? Path.Combine(FindRoot(), "artifacts", "bench")), result.GetValue(Json));
        return run.Failures.Count > 0 ? Failed : Done;
    }

    private static async Task SimulateAsync(ScaleRun run, ClusterModel model, string store, int rounds)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{store}, {model.Peers:n0} hosts, {model.Endpoints:n0} endpoints, {model.Networks:n0} network{(model.Networks == 1 ? "" : "s")}");
        try
        {
            run.Simulated.Add(await new Simulation(model, store, rounds, model.Peers - 1, line => Console.Error.WriteLine($"scale: {name}: {line}")).RunAsync());
        }
        catch (Exception failure) when (failure is BenchFailure or IOException)
        {
            Fail(run, $"{name}: {failure.Message}");
        }
    }

    private static async Task StartDaemonsAsync(ScaleRun run, int count, string sleeve, int rounds)
    {
        try
        {
            run.Daemons = await new DaemonCluster(count, sleeve, rounds, static line => Console.Error.WriteLine($"scale: daemons: {line}")).RunAsync();
        }
        catch (Exception failure) when (failure is BenchFailure or IOException or HttpRequestException or AggregateException)
        {
            Fail(run, $"daemons: {(failure is AggregateException { InnerException: { } inner } ? inner : failure).Message}");
        }
    }

    private static void Fail(ScaleRun run, string line)
    {
        Console.Error.WriteLine($"scale: {line}");
        run.Failures.Add(line);
    }

    private static void Show(ScaleRun run, string folder, bool asJson)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "scale.json"), run.ToJson());
        var tables = ScaleTable.Of(run).ToArray();
        File.WriteAllText(Path.Combine(folder, "scale.md"), string.Join('\n', (string[])[$"{run.Machine}; commit {run.Commit}; {run.Day:yyyy-MM-dd}; {run.Busy:P0} busy before.\n", .. tables.Select(static table => table.ToMarkdown())]));
        Console.Error.WriteLine($"scale: wrote {folder}/scale.json and scale.md");
        if (asJson)
        {
            Console.Out.WriteLine(run.ToJson());
            return;
        }

        // A pipe has no width to fit into, and takes no colours.
        if (Console.IsOutputRedirected) (AnsiConsole.Profile.Width, AnsiConsole.Profile.Capabilities.Ansi) = (200, false);
        foreach (var table in tables)
        {
            var grid = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(table.Title));
            for (var i = 0; i < table.Headers.Count; i++)
            {
                var column = new TableColumn(Markup.Escape(table.Headers[i]));
                grid.AddColumn(i == 0 ? column : column.RightAligned());
            }

            foreach (var row in table.Rows) grid.AddRow([.. row.Select(static cell => Markup.Escape(cell.Replace("*", "", StringComparison.Ordinal)))]);
            AnsiConsole.Write(grid);
        }
    }

    private static bool IsInstalled(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder) ?? throw new BenchFailure("this program must stay in the repository that it was built in");
        return folder;
    }
}
