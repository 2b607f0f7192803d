using Sleeve.Control.Api;

namespace Sleeve.Control.Daemon;

/// <summary>
/// For each segment of the daemon a link DEV.sock to its socket, so that <c>sleeve fdb show dev DEV</c> finds it where it finds one of <c>sleeve up</c>. Only beside a socket in
/// the usual folder.
/// </summary>
internal sealed class SocketLinks(string socket) : IDisposable
{
    private readonly HashSet<string> _made = [];
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
