using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Api;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary>What commands have in common that print lists.</summary>
internal static class Listing
{
    private const int PipeWidth = 240;

    /// <summary>Has tables be for programs where no terminal reads them: no colours, and as wide as they need. Once, before anything is printed.</summary>
    public static void Prepare()
    {
        if (!Console.IsOutputRedirected) return;
        var profile = AnsiConsole.Profile;
        (profile.Width, profile.Capabilities.Ansi, profile.Capabilities.ColorSystem) = (PipeWidth, false, ColorSystem.NoColors);
    }

    /// <summary>A table without lines, each row on one.</summary>
    public static Table NewTable(params ReadOnlySpan<string> columns)
    {
        var table = new Table().Border(TableBorder.None);
        foreach (var column in columns) table.AddColumn(new TableColumn(column).NoWrap());
        return table;
    }

    /// <summary>Makes <c>ls</c>: a command without words that prints what the daemon has.</summary>
    /// <param name="description">One line for help.</param>
    /// <param name="path">What to get of the API.</param>
    /// <param name="type">How it is read; asked only if it is: reading up on types takes as long as all the rest of a command's start.</param>
    /// <param name="nothing">What is said of an empty list, and what to do.</param>
    /// <param name="print">Prints another.</param>
    public static Command Create<T>(string description, string path, Func<JsonTypeInfo<IReadOnlyList<T>>> type, string nothing, Action<IReadOnlyList<T>> print)
    {
        var json = new Option<bool>("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };
        var list = new Command("ls", description) { DaemonSocket.Option.Option, json };
        list.Aliases.Add("list");
        list.SetAction((result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var socket = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(socket);
                var items = await client.GetAsync(path, type());
                if (result.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(items, type()));
                else if (items.Count == 0) Console.Out.WriteLine(nothing);
                else print(items);
            };
        }));
        return list;
    }
}
