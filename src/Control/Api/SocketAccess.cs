using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Api;

/// <summary>Who may connect to a socket: its group and mode.</summary>
internal static class SocketAccess
{
    private const string Groups = "/etc/group";
    private const uint Unchanged = uint.MaxValue;

    /// <summary>The read-only socket beside another: <c>vx0.sock</c> has <c>vx0-ro.sock</c>.</summary>
    public static string ReadOnlyTwin(string path) =>
        Path.Combine(Path.GetDirectoryName(path) ?? "", Path.GetFileNameWithoutExtension(path) + SocketFile.ReadOnlySuffix + Path.GetExtension(path));

    /// <summary>The number of a group, by its name in /etc/group or as a number.</summary>
    /// <exception cref="HostException">There is none of that name.</exception>
    public static uint GroupOf(string name)
    {
        if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number != Unchanged) return number;
        try
        {
            foreach (var line in File.ReadLines(Groups))
                if (line.Split(':') is [var known, _, var id, ..] && known == name && uint.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var found)) return found;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"--socket-group {name}: {Groups} cannot be read: {failure.Message}");
        }

        throw new HostException($"--socket-group {name}: there is no such group (groupadd --system {name} makes it)");
    }

    /// <summary>Gives a socket its group, then its mode: nobody has more than the mode says in between.</summary>
    /// <exception cref="HostException">It may not be given away.</exception>
    public static void Apply(string path, uint? group, UnixFileMode mode)
    {
        if (group is { } number && LibC.chown(path, Unchanged, number) != 0)
            throw new HostException($"--socket-group {number}: {path} cannot be given to it: {ErrnoException.Describe(System.Runtime.InteropServices.Marshal.GetLastPInvokeError())}; be a member of the group, or have CAP_CHOWN");
        File.SetUnixFileMode(path, mode);
    }
}
