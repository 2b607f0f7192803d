using System.Globalization;

namespace Sleeve.Bench.EndToEnd.Load;

/// <summary>The words of a hidden verb, by position: only this program writes and reads them.</summary>
internal readonly struct LoadWords(IReadOnlyList<string> words)
{
    /// <summary>The verbs that make this program a load generator.</summary>
    public static IReadOnlyDictionary<string, Func<LoadWords, int>> Verbs { get; } = new Dictionary<string, Func<LoadWords, int>>
    {
        ["udp-send"] = UdpSend.Run,
        ["udp-receive"] = UdpReceive.Run,
        ["wire-count"] = WireCount.Run,
        ["fdb-fill"] = FdbFill.Run,
    };

    /// <summary>The words that start a verb in a process of its own.</summary>
    public static IReadOnlyList<string> Of(string verb, params IReadOnlyList<string> words) => [Environment.ProcessPath!, verb, .. words];

    /// <summary>A word.</summary>
    public string Text(int index) => words[index];

    /// <summary>A whole number.</summary>
    public int Number(int index) => int.Parse(words[index], CultureInfo.InvariantCulture);

    /// <summary>A number.</summary>
    public double Fraction(int index) => double.Parse(words[index], CultureInfo.InvariantCulture);

    /// <summary>The words from a position on.</summary>
    public IEnumerable<string> From(int index) => words.Skip(index);

    /// <summary>Prints a result: a word and numbers.</summary>
    public static void Say(string word, params IReadOnlyList<double> numbers) =>
        Console.WriteLine(word + " " + string.Join(' ', numbers.Select(static number => number.ToString("R", CultureInfo.InvariantCulture))));

    /// <summary>Reads what <see cref="Say"/> printed.</summary>
    public static double[] Read(string line) => [.. line.Split(' ').Skip(1).Select(static word => double.Parse(word, CultureInfo.InvariantCulture))];
}
