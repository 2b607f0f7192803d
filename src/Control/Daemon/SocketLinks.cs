using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Daemon;

/// <summary>
/// For each segment of the daemon a link DEV.sock to its socket, so that <c>sleeve fdb show dev DEV</c> finds it where it finds one of <c>sleeve up</c>. Only beside a socket in
/// the usual folder.
/// </summary>
internal sealed class SocketLinks(string socket) : IDisposable
{
    // Those that a killed run left are as good as our own: they lead to the same place.
    private readonly HashSet<string> _made = [.. LinksTo(socket)];
    private readonly Lock _turn = new();

    /// <summary>Makes and removes links so that just these devices have one.</summary>
    public void Follow(IEnumerable<string> devices)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(socket)) != SocketFile.Folder) return;
        lock (_turn)
        {
            var wanted = devices.ToHashSet();
            foreach (var gone in _made.Except(wanted).ToArray()) Remove(gone);
            foreach (var missing in wanted.Except(_made).ToArray()) Make(missing);
        }
    }

    /// <summary>Removes the socket of the daemon and the links to it, which a killed run left, unless somebody serves it.</summary>
    /// <returns>Whether something was there.</returns>
    public static bool RemoveLeftOvers()
    {
        if (!Directory.Exists(SocketFile.Folder)) return false;
        var socket = SocketFile.PathFor(SocketFile.DaemonName);
        var twin = SocketFile.PathFor(SocketFile.DaemonName + SocketFile.ReadOnlySuffix);
        var links = LinksTo(socket);
        var areThere = links.Count > 0 || File.Exists(socket) || File.Exists(twin);
        try
        {
            SocketFile.Prepare(socket);
            SocketFile.Prepare(twin);
        }
        catch (HostException)
        {
            // A daemon with another state folder has it.
            return false;
        }

        foreach (var device in links) File.Delete(SocketFile.PathFor(device));
        return areThere;
    }

    private static IReadOnlyList<string> LinksTo(string socket) =>
        Path.GetDirectoryName(Path.GetFullPath(socket)) != SocketFile.Folder || !Directory.Exists(SocketFile.Folder) ? [] :
        [
            .. new DirectoryInfo(SocketFile.Folder).EnumerateFiles("*.sock").Where(link => link.LinkTarget == Path.GetFileName(socket)).Select(static link => Path.GetFileNameWithoutExtension(link.Name)),
        ];

    private void Make(string device)
    {
        var path = SocketFile.PathFor(device);
        try
        {
            // What a killed run left points to the same place, or is a socket that nobody serves.
            if (new FileInfo(path) is { LinkTarget: not null }) File.Delete(path);
            else SocketFile.Prepare(path);
            File.CreateSymbolicLink(path, Path.GetFileName(socket));
            _made.Add(device);
        }
        catch (IOException)
        {
            // A running sleeve up has it: then that is whom commands are for.
        }
    }

    private void Remove(string device)
    {
        _made.Remove(device);
        if (new FileInfo(SocketFile.PathFor(device)) is { LinkTarget: not null } link) link.Delete();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_turn)
            foreach (var device in _made.ToArray()) Remove(device);
    }
}
