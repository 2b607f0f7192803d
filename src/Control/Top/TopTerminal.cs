using System.Runtime.InteropServices;
using System.Text;

namespace Sleeve.Control.Top;

/// <summary>A terminal taken over as a whole until it is disposed, which leaves it as it was found (xterm's control sequences, which every terminal of today has).</summary>
internal sealed class TopTerminal : IDisposable
{
    private const int LeastWidth = 20;
    private const int LeastHeight = 5;

    private readonly PosixSignalRegistration _resize;
    private volatile bool _isResized;

    /// <summary>Takes it over.</summary>
    public TopTerminal()
    {
        _resize = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => _isResized = true);
        // Alternate screen, no cursor.
        Console.Out.Write("\e[?1049h\e[?25l");
        Console.Out.Flush();
    }

    /// <summary>Whether there is one to take over, and somebody at its keyboard.</summary>
    public static bool IsThere => !Console.IsOutputRedirected && !Console.IsInputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Whether colours are wanted (no-color.org).</summary>
    public static bool HasColours => IsThere && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    /// <summary>Its size as it is now.</summary>
    public static (int Width, int Height) Size => (Math.Max(Console.WindowWidth, LeastWidth), Math.Max(Console.WindowHeight, LeastHeight));

    /// <summary>Whether its size has changed since the last question.</summary>
    public bool TakeResized()
    {
        var was = _isResized;
        _isResized = false;
        return was;
    }

    /// <summary>A key that was pressed, in lower case; null if none was.</summary>
    public static char? TakeKey() => Console.KeyAvailable ? char.ToLowerInvariant(Console.ReadKey(intercept: true).KeyChar) : null;

    /// <summary>Shows lines, and what to press on the last. In one write, over what stood there, so that nothing flickers.</summary>
    public static void Show(IReadOnlyList<string> lines, string footer, int height)
    {
        var frame = new StringBuilder("\e[H");
        for (var i = 0; i < height - 1; i++) frame.Append(i < lines.Count ? lines[i] : "").Append("\e[K\r\n");
        frame.Append(footer).Append("\e[K");
        Console.Out.Write(frame);
        Console.Out.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _resize.Dispose();
        Console.Out.Write("\e[?25h\e[?1049l");
        Console.Out.Flush();
    }
}
