using System.Globalization;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A terminal of a given size with a program in it, by tmux: what stands on the screen is what a person would see.</summary>
public sealed class Tmux : IDisposable
{
    private readonly Host _host;
    private readonly string _name = $"sleeve-{Guid.NewGuid():N}";

    /// <summary>Opens the terminal and starts a line of sh in it, after which the shell waits, so that the screen stays.</summary>
    public Tmux(Host host, string line, int width, int height)
    {
        _host = host;
        Requirements.Programs("tmux", "sh");
        Do("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", $"{width}", "-y", $"{height}", $"echo before; {line}; echo \"ended with $?\"; sleep 600");
    }

    /// <summary>The lines on the screen.</summary>
    public string[] Screen => Do("capture-pane", "-p", "-t", "t").TrimEnd('\n').Split('\n');

    /// <summary>Presses keys, by the names that tmux has for them.</summary>
    public void Press(params string[] keys) => Do(["send-keys", "-t", "t", .. keys]);

    /// <summary>Changes the size.</summary>
    public void Resize(int width, int height) => Do("resize-window", "-t", "t", "-x", width.ToString(CultureInfo.InvariantCulture), "-y", height.ToString(CultureInfo.InvariantCulture));

    /// <summary>Waits until the screen is so.</summary>
    public void WaitUntil(Func<string[], bool> condition, string what)
    {
        string[] screen = [];
        try
        {
            Wait.Until(() => condition(screen = Screen), what, TimeSpan.FromSeconds(20), pollMilliseconds: 100);
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"{late.Message}; the screen is\n{string.Join('\n', screen)}", late);
        }
    }

    // Not by the host's own log: the screen is looked at ten times a second.
    private string Do(params string[] words) => Command.Run(["ip", "netns", "exec", _host.Namespace, "tmux", "-L", _name, .. words]).Ok();

    /// <inheritdoc/>
    public void Dispose() => _host.Try(["tmux", "-L", _name, "kill-server"]);
}
