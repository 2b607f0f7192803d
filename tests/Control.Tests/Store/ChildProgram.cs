using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What this assembly does as a program of its own: for tests that kill it.</summary>
internal static class ChildProgram
{
    /// <summary>Writes into the embedded store of a folder from several tasks, and says on its output what was answered: "KEY REVISION" a line.</summary>
    internal const string Write = "store-write";

    private static async Task<int> Main(string[] words)
    {
        if (words is not [Write, var folder, var round]) return 2;
        await using var store = EmbeddedStore.Open(folder, TimeProvider.System, new EmbeddedStoreOptions { HistoryRevisions = 300 });
        var output = Console.OpenStandardOutput();
        var said = new Lock();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; ; i++)
            {
                // Two keys that belong together, and one that comes and goes.
                var key = string.Create(CultureInfo.InvariantCulture, $"{round}/{writer}/{i}");
                var outcome = await store.CommitAsync(
                    new StoreTransaction([StoreCondition.Absent(key)], [new StoreWrite(key, "one"), new StoreWrite($"{key}/twin", "two"), new StoreWrite($"moving/{writer}", i % 2 == 0 ? key : null)]), CancellationToken.None);
                var line = System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{key} {outcome.Revision}\n"));
                lock (said) output.Write(line);
            }
        })));
        return 0;
    }
}
