using System.Net.Sockets;
using Sleeve.Control.Host;

namespace Sleeve.Control.Api;

/// <summary>Where a device's command socket is, and the left-over of a process that was killed.</summary>
internal static class SocketFile
{
    /// <summary>Directory of the sockets if nothing else is said.</summary>
    public const string Folder = "/run/sleeve";

    private const string Extension = ".sock";

    /// <summary>The socket of a device.</summary>
    public static string Of(string device) => Path.Combine(Folder, device + Extension);

    /// <summary>Devices that have a socket, whether or not somebody serves it.</summary>
    public static IReadOnlyList<string> Devices() => Directory.Exists(Folder)
        ? [.. Directory.EnumerateFiles(Folder, "*" + Extension).Select(static path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Makes room for a socket: its folder, and no left-over in its place.</summary>
    /// <exception cref="HostException">Somebody serves it, or something else is there.</exception>
    public static void Prepare(string path)
    {
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            if (!File.Exists(path)) return;
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // Nobody listens. A regular file refuses too, and is not ours to remove.
            if (new FileInfo(path).Length > 0) throw new HostException($"{path} is not a socket; remove it or give another --socket");
            File.Delete(path);
            return;
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException)
        {
            throw new HostException($"cannot use {path} for commands: {failure.Message} (--socket names another)");
        }

        throw new HostException($"{path} is in use: another sleeve serves this device; stop it first or give another --socket");
    }
}
