using System.Text;
using Spectre.Console;

namespace Sleeve.Control.Demo;

/// <summary>What the newcomer sees: headings, sentences, commands with what they print. Colours and moving lines only on a terminal.</summary>
internal sealed class DemoScreen
{
    private const int MaxWidth = 100, MinWidth = 40, PipeWidth = 240;
    private static readonly Style Plain = Style.Plain;
    private static readonly Style HeadingStyle = new(Color.Aqua, decoration: Decoration.Bold);
    private static readonly Style CommandStyle = new(decoration: Decoration.Bold);
    private static readonly Style GoodStyle = new(Color.Green);

    private readonly Lock _turn = new();
    private readonly int _width = MaxWidth;
    private readonly bool _isTerminal = !Console.IsOutputRedirected;
    private bool _hasProgress;

    /// <summary>Fits itself to the terminal.</summary>
    public DemoScreen()
    {
        if (_isTerminal) _width = Math.Clamp(Console.WindowWidth - 1, MinWidth, MaxWidth);
        else AnsiConsole.Profile.Width = PipeWidth;
        // It looks at TERM alone.
        if (!_isTerminal || Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 }) AnsiConsole.Profile.Capabilities.Ansi = false;
    }

    /// <summary>Opens a part of the demo.</summary>
    public void Heading(string text)
    {
        Line("", Plain);
        Line(text, HeadingStyle);
    }

    /// <summary>Says something in plain words.</summary>
    public void Say(string sentence) => Wrapped(sentence, "  ", "  ", Plain);

    /// <summary>Says what was proved.</summary>
    public void Good(string sentence) => Wrapped(sentence, "  ", "  ", GoodStyle);

    /// <summary>Shows a picture as it is.</summary>
    public void Picture(string lines)
    {
        foreach (var line in lines.Split('\n')) Line($"  {line}", Plain);
    }

    /// <summary>Shows a command as it would be typed on a host; a long one is continued as a shell allows.</summary>
    public void Command(string prompt, string command) => Wrapped(command, $"  {prompt} ", "      ", CommandStyle, " \\");

    /// <summary>Shows a line that a command printed.</summary>
    public void Output(string line)
    {
        var indent = line.Length - line.TrimStart().Length;
        // Columns stay columns; only what does not fit is broken.
        if (line.Length + 4 <= _width) Line($"    {line}", Plain);
        else Wrapped(line.TrimStart(), new string(' ', indent + 4), new string(' ', indent + 8), Plain);
    }

    /// <summary>Shows a line that the next one replaces; nothing where there is no terminal.</summary>
    public void Progress(string line)
    {
        if (!_isTerminal) return;
        lock (_turn)
        {
            _hasProgress = true;
            Console.Out.Write($"\r    {line}\e[K");
        }
    }

    private void Wrapped(string text, string first, string next, Style style, string continuation = "")
    {
        var line = new StringBuilder(first);
        var isStart = true;
        foreach (var word in text.Split(' '))
        {
            if (!isStart && line.Length + 1 + word.Length + continuation.Length > _width)
            {
                Line(line.Append(continuation).ToString(), style);
                line.Clear().Append(next);
                isStart = true;
            }

            if (!isStart) line.Append(' ');
            line.Append(word);
            isStart = false;
        }

        Line(line.ToString(), style);
    }

    private void Line(string text, Style style)
    {
        lock (_turn)
        {
            if (_hasProgress) Console.Out.Write("\r\e[K");
            _hasProgress = false;
            AnsiConsole.Console.WriteLine(text.TrimEnd(), style);
        }
    }
}
