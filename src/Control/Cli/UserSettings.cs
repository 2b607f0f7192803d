using System.CommandLine;
using Sleeve.Control.Up;
using Sleeve.DataPlane;

namespace Sleeve.Control.Cli;

/// <summary>The option that gives up root.</summary>
internal static class UserSettings
{
    private static readonly Setting User = new(
        "--user", "NAME", "Run as this user with the few capabilities needed; start it as root. [whoever starts it]", "the name of an ordinary user of this host (getent passwd)");

    /// <summary>Adds it to the command.</summary>
    public static void AddTo(Command command) => command.Options.Add(User.Option);

    /// <summary>Whether it was given at all.</summary>
    public static bool IsGiven(SettingReader reader) => reader.IsGiven(User);

    /// <summary>Reads the user's name; null if none was given.</summary>
    public static string? Read(SettingReader reader) => reader.Read<string?>(User, IsOrdinary, null);

    /// <summary>Starts this process anew as the user, if it is not the user's already; then it does not return.</summary>
    /// <param name="user">As read; null for whoever started it.</param>
    /// <param name="vtep">What it is to run, which says what is needed for it.</param>
    /// <param name="segments">The segments.</param>
    /// <param name="pathMtu">How path MTUs are kept.</param>
    /// <param name="state">A folder of its own for what outlives it; null for the usual one.</param>
    /// <returns>Null to go on as this user; or why the user cannot run it, in one line.</returns>
    public static string? TryBecome(string? user, VtepOptions vtep, IEnumerable<UpSegment> segments, PathMtuOptions pathMtu, string? state = null)
    {
        if (user is null) return null;
        try
        {
            Privileges.Become(user, account => Privileges.Needed(account, vtep, segments, pathMtu), state);
            return null;
        }
        catch (IOException failure)
        {
            return failure.Message;
        }
    }

    private static bool IsOrdinary(string text, out string? value)
    {
        value = text;
        return text.Length > 0 && DataPlane.Interop.UserAccount.Find(text) is { Id: not 0 };
    }
}
