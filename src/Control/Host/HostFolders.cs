using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>
/// Where things are kept: the system's folders for whoever may write there, else those that the XDG Base Directory Specification gives a user.
/// </summary>
internal static class HostFolders
{
    private const string Name = "sleeve";
    private const string SystemRun = "/run/sleeve";
    private const string SystemState = "/var/lib/sleeve";

    /// <summary>The system's folders, which only root can make.</summary>
    public static IReadOnlyList<string> OfSystem { get; } = [SystemRun, SystemState];

    /// <summary>Sockets: /run/sleeve; for a user who may not write there $XDG_RUNTIME_DIR/sleeve, if there is such a thing.</summary>
    public static string Run => MayUse(SystemRun) ? SystemRun : UserRun ?? SystemRun;

    /// <summary>Every folder that commands look for sockets in, the user's own first.</summary>
    public static IReadOnlyList<string> AllRun => UserRun is { } own ? [own, SystemRun] : [SystemRun];

    /// <summary>What survives a restart: /var/lib/sleeve; for a user who may not write there $XDG_STATE_HOME/sleeve, by default ~/.local/state/sleeve.</summary>
    public static string State => MayUse(SystemState) ? SystemState : UserState ?? SystemState;

    private static string? UserRun => Of("XDG_RUNTIME_DIR");

    private static string? UserState => Of("XDG_STATE_HOME")
        ?? (Environment.GetEnvironmentVariable("HOME") is { Length: > 1 } home && Path.IsPathRooted(home) ? Path.Combine(home, ".local/state", Name) : null);

    // The specification has relative paths ignored.
    private static string? Of(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } folder && Path.IsPathRooted(folder) ? Path.Combine(folder, Name) : null;

    private static bool MayUse(string folder) => HostAccess.MayWrite(Directory.Exists(folder) ? folder : Path.GetDirectoryName(folder)!);
}
