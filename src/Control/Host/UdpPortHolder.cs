using System.Globalization;
using System.Runtime.InteropServices;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>Tells who holds a UDP port, for the error line of the one who cannot have it.</summary>
internal static class UdpPortHolder
{
    /// <summary>Looks for a socket that stands in the way of binding to an address and port.</summary>
    /// <param name="host">The configuration of the namespace in question.</param>
    /// <param name="port">The port.</param>
    /// <param name="address">The address that was to be bound; an unspecified one collides with every address of its family.</param>
    /// <param name="where">The namespace in question; null for the calling thread's. It must be that of <paramref name="host"/>.</param>
    /// <returns>
    /// <c>process dnsmasq (pid 123)</c>, <c>the kernel vxlan device vxlan0</c> …, to follow "is held by"; null if nobody holds it.
    /// Processes of other users or PID namespaces show only as <c>a socket of user 1000</c> to one who may not look.
    /// </returns>
    public static string? Find(RouteNetlink host, int port, InternetAddress address, NetworkNamespace? where = null)
    {
        ArgumentNullException.ThrowIfNull(host);
        var sockets = (where is null ? ReadSockets() : where.Run(ReadSockets)).Where(socket => socket.Collides(port, address)).ToList();
        if (sockets.Count == 0) return null;

        if (FindProcess([.. sockets.Select(static socket => $"socket:[{socket.Inode}]")]) is { } process) return process;
        var device = host.ListLinks().FirstOrDefault(link => link.IsUp && link.Vxlan?.Port == port);
        if (device is not null) return $"the kernel vxlan device {device.Name}";
        var user = sockets[0].User;
        return user == "0"
            ? "the kernel itself (a vxlan device in another network namespace, as Docker's overlay keeps them) or a process not visible from here"
            : $"a socket of user {user}";
    }

    /// <summary>Reads the UDP sockets of the calling thread's namespace, both families.</summary>
    private static List<UdpSocket> ReadSockets()
    {
        var sockets = new List<UdpSocket>();
        foreach (var path in (ReadOnlySpan<string>)["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"])
        {
            // Without IPv6 in the kernel there is no udp6.
            if (!File.Exists(path)) continue;
            foreach (var line in File.ReadLines(path).Skip(1))
            {
                if (UdpSocket.TryParse(line, out var socket)) sockets.Add(socket);
            }
        }

        return sockets;
    }

    private static string? FindProcess(HashSet<string> sockets)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            var id = Path.GetFileName(folder);
            if (!char.IsAsciiDigit(id[0])) continue;
            // Processes end while they are looked at, and some may not be looked at.
            try
            {
                if (Directory.EnumerateFiles($"{folder}/fd").Any(file => new FileInfo(file).LinkTarget is { } target && sockets.Contains(target)))
                    return $"process {File.ReadAllText($"{folder}/comm").TrimEnd()} (pid {id})";
            }
            catch (IOException)
            {
            }
            catch (UnauthorizedAccessException)
            {
            }
        }

        return null;
    }

    /// <summary>A line of /proc/net/udp or udp6: the address in host-order words of 32 bits, everything hexadecimal.</summary>
    internal readonly record struct UdpSocket(InternetAddress Address, int Port, string User, string Inode)
    {
        private const int LocalColumn = 1, UserColumn = 7, InodeColumn = 9;

        /// <summary>Reads a line; false for one that is none.</summary>
        public static bool TryParse(string line, out UdpSocket socket)
        {
            socket = default;
            var columns = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (columns.Length <= InodeColumn) return false;
            var local = columns[LocalColumn].Split(':');
            if (local.Length != 2 || local[0].Length is not (8 or 32)
                || !int.TryParse(local[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var port)) return false;

            Span<byte> bytes = stackalloc byte[16];
            for (var i = 0; i < local[0].Length / 8; i++)
            {
                var digits = local[0].AsSpan(i * 8, 8);
                if (!uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var word)) return false;
                MemoryMarshal.Write(bytes[(i * 4)..], in word);
            }

            var address = local[0].Length == 8 ? InternetAddress.ReadIPv4(bytes) : InternetAddress.ReadIPv6(bytes);
            socket = new UdpSocket(address, port, columns[UserColumn], columns[InodeColumn]);
            return true;
        }

        /// <summary>True if this socket stands in the way. "::" may also hold IPv4; the file does not tell, so it is taken to.</summary>
        public bool Collides(int port, InternetAddress wanted) =>
            Port == port && (Address == wanted || Address == InternetAddress.AnyIPv6
                || (Address.IsIPv4 == wanted.IsIPv4 && (Address.IsUnspecified || wanted.IsUnspecified))
                || wanted == InternetAddress.AnyIPv6);
    }
}
