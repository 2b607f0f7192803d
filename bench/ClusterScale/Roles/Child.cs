using System.Diagnostics;
using System.Threading.Channels;
using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>A process of the bench that is told words and answers lines (<see cref="RoleLines"/>). Disposing ends it.</summary>
internal sealed class Child : IDisposable
{
    private readonly Process _process;
    private readonly string _name;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private volatile string _complaint = "said nothing";

    /// <summary>Starts this program as something else.</summary>
    /// <param name="words">The hidden verb and its words.</param>
    public Child(params IReadOnlyList<string> words)
    {
        _name = words[0];
        _process = Command.Start(new ProcessStartInfo(Environment.ProcessPath!, words) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true });
        _process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { } text) _lines.Writer.TryWrite(text);
            else _lines.Writer.TryComplete();
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is { Length: > 0 } text) _complaint = text;
        };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Tells it a word.</summary>
    public void Tell(string word)
    {
        _process.StandardInput.WriteLine(word);
        _process.StandardInput.Flush();
    }

    /// <summary>Tells it a word and returns the figures of the answer.</summary>
    public Task<IReadOnlyDictionary<string, double>> AskAsync(string word, string answer)
    {
        Tell(word);
        return ExpectAsync(answer);
    }

    /// <summary>The figures of the next line with a word; others before it are passed over.</summary>
    /// <param name="word">The word.</param>
    /// <param name="atLeast">Name and value of a figure that has to have come that far; null for any.</param>
    /// <exception cref="BenchFailure">It ends, or says nothing for two minutes.</exception>
    public async Task<IReadOnlyDictionary<string, double>> ExpectAsync(string word, (string Name, double Value)? atLeast = null)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        try
        {
            await foreach (var line in _lines.Reader.ReadAllAsync(patience.Token))
            {
                if (line == "broken") throw new BenchFailure($"{_name}: {_complaint}");
                if (!line.StartsWith(word, StringComparison.Ordinal) || (line.Length > word.Length && line[word.Length] != ' ')) continue;
                var figures = RoleLines.Read(line);
                if (atLeast is { } bound && figures[bound.Name] < bound.Value) continue;
                return figures;
            }
        }
        catch (OperationCanceledException)
        {
            throw new BenchFailure($"{_name}: no \"{word}\" within two minutes: {_complaint}");
        }

        throw new BenchFailure($"{_name} ended: {_complaint}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            try
            {
                Tell("end");
            }
            catch (IOException)
            {
                // It ends by itself.
            }

            if (!_process.WaitForExit(TimeSpan.FromSeconds(10))) _process.Kill();
        }

        _process.Dispose();
    }
}
