using System.Globalization;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>What the processes of the bench say to each other: a line is a word, and figures as NAME=NUMBER.</summary>
internal static class RoleLines
{
    /// <summary>Says a line.</summary>
    public static void Say(string word, params ReadOnlySpan<(string Name, double Value)> figures)
    {
        var line = word;
        foreach (var (name, value) in figures) line += string.Create(CultureInfo.InvariantCulture, $" {name}={value:r}");
        lock (Console.Out)
        {
            Console.Out.WriteLine(line);
            Console.Out.Flush();
        }
    }

    /// <summary>The figures of a line.</summary>
    public static IReadOnlyDictionary<string, double> Read(string line) => line.Split(' ').Skip(1).Select(static word => word.Split('='))
        .ToDictionary(static words => words[0], static words => double.Parse(words[1], CultureInfo.InvariantCulture));

    /// <summary>Reads words until there are no more, or "end".</summary>
    public static async Task ObeyAsync(Func<string, Task> obey)
    {
        while (await Console.In.ReadLineAsync() is { } word && word != "end") await obey(word);
    }
}
