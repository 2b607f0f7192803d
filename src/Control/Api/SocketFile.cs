using System.Net.Sockets;
using System.Runtime.InteropServices;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Api;

/// <summary>Where a device's command socket is, and the left-over of a process that was killed.</summary>
internal static class SocketFile
{
    /// <summary>Directory of the sockets that are made if nothing else is said; an ordinary user's is elsewhere (<see cref="HostFolders"/>).</summary>
    public static string Folder => HostFolders.Run;

    /// <summary>Name of the daemon's socket, for all its segments; no TAP may have it.</summary>
    public const string DaemonName = "sleeve";

    /// <summary>What the name of a read-only socket has behind that of the socket it is beside.</summary>
    public const string ReadOnlySuffix = "-ro";

    private const string Extension = ".sock";

    /// <summary>The socket of a device: where one is, else where one would be made.</summary>
    public static string Of(string device) =>
        HostFolders.AllRun.Select(folder => Path.Combine(folder, device + Extension)).FirstOrDefault(File.Exists) ?? PathFor(device);

    /// <summary>Where to make the socket of a device.</summary>
    public static string PathFor(string device) => Path.Combine(Folder, device + Extension);

    /// <summary>Devices that have a socket, whether or not somebody serves it.</summary>
    public static IReadOnlyList<string> Devices() =>
    [
        .. HostFolders.AllRun.Where(Directory.Exists).SelectMany(static folder => Directory.EnumerateFiles(folder, "*" + Extension))
            .Where(static path => !IsTwin(path)).Select(static path => Path.GetFileNameWithoutExtension(path)).Where(static name => name != DaemonName).Distinct().Order(StringComparer.Ordinal),
    ];

    // A device may be called x-ro too.
    private static bool IsTwin(string path) =>
        Path.GetFileNameWithoutExtension(path) is var name && name.EndsWith(ReadOnlySuffix, StringComparison.Ordinal) && File.Exists(Of(name[..^ReadOnlySuffix.Length]));

    /// <summary>Makes room for a socket: its folder, and no left-over in its place.</summary>
    /// <exception cref="HostException">Somebody serves it, or something else is there.</exception>
    public static void Prepare(string path)
    {
        try
        {
            // Only our own folder is ours to make.
            var folder = Path.GetDirectoryName(Path.GetFullPath(path));
            if (folder == Folder) Directory.CreateDirectory(folder);
            if (!Directory.Exists(folder)) throw new HostException($"cannot use {path} for commands: there is no directory {folder}; make it or give another --socket");
            if (Directory.Exists(path)) throw NotASocket(path);
            if (!File.Exists(path)) return;
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // Nobody listens. A file of another kind refuses too, and is not ours to remove.
            if (!IsSocket(path)) throw NotASocket(path);
            Remove(path);
            return;
        }
        catch (SocketException failure)
        {
            throw new HostException($"cannot use {path} for commands: {failure.Message} (--socket names another)");
        }
        catch (HostException)
        {
            throw;
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException)
        {
            throw new HostException($"cannot use {path} for commands: {failure.Message} (--socket names another)");
        }

        throw new HostException($"{path} is in use: another sleeve serves this device; stop it first or give another --socket");
    }

    /// <summary>Whether a file is a socket: the one kind that open(2) refuses with ENXIO.</summary>
    public static bool IsSocket(string path)
    {
        using var opened = new FileDescriptor(LibC.open(path, LibC.O_RDONLY | LibC.O_NONBLOCK | LibC.O_CLOEXEC));
        return opened.IsInvalid && Marshal.GetLastPInvokeError() == LibC.ENXIO;
    }

    private static void Remove(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException)
        {
            throw new HostException($"cannot remove {path}, which a killed process left: {failure.Message}");
        }
    }

    private static HostException NotASocket(string path) => new($"{path} is not a socket; remove it or give another --socket");
}
