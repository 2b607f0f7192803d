using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>Messages to a service manager (sd_notify(3)), with or without a descriptor beside them, which .NET's own sockets cannot send (SCM_RIGHTS, unix(7)).</summary>
public sealed unsafe class ManagerSocket : IDisposable
{
    private const int PathOffset = 2;
    private const int AddressSize = 110;

    private readonly FileDescriptor _socket;
    private readonly byte[] _address = new byte[AddressSize];
    private readonly uint _addressLength;

    private ManagerSocket(FileDescriptor socket, string path)
    {
        _socket = socket;
        var bytes = Encoding.UTF8.GetBytes(path);
        BitConverter.TryWriteBytes(_address, (ushort)LibC.AF_UNIX);
        bytes.CopyTo(_address, PathOffset);
        // A leading @ stands for a name that is in no file system.
        if (bytes[0] == '@') _address[PathOffset] = 0;
        _addressLength = (uint)(PathOffset + bytes.Length);
    }

    /// <summary>Opens a socket towards the manager's.</summary>
    /// <param name="path">Absolute, or a name after an @; as of $NOTIFY_SOCKET.</param>
    /// <returns>Null if that is no such path, or no socket can be had.</returns>
    public static ManagerSocket? TryOpen(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path is not ['/' or '@', _, ..] || Encoding.UTF8.GetByteCount(path) >= AddressSize - PathOffset) return null;
        var socket = new FileDescriptor(LibC.socket(LibC.AF_UNIX, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0));
        return socket.IsInvalid ? null : new ManagerSocket(socket, path);
    }

    /// <summary>Sends a message; whether somebody takes it is their business.</summary>
    /// <param name="text">Lines of KEY=VALUE.</param>
    /// <param name="descriptor">Stays the caller's; −1 for none.</param>
    public void Send(string text, int descriptor = -1)
    {
        ArgumentNullException.ThrowIfNull(text);
        // CMSG_SPACE(sizeof(int)): padded to the size of a long.
        var controlSize = sizeof(LibC.cmsghdr) + sizeof(nint);
        var control = stackalloc byte[controlSize];
        fixed (byte* content = Encoding.UTF8.GetBytes(text), address = _address)
        {
            var part = new LibC.iovec { iov_base = content, iov_len = (nuint)Encoding.UTF8.GetByteCount(text) };
            var message = new LibC.msghdr { msg_name = address, msg_namelen = _addressLength, msg_iov = &part, msg_iovlen = 1 };
            if (descriptor >= 0)
            {
                *(LibC.cmsghdr*)control = new LibC.cmsghdr { cmsg_len = (nuint)(sizeof(LibC.cmsghdr) + sizeof(int)), cmsg_level = LibC.SOL_SOCKET, cmsg_type = LibC.SCM_RIGHTS };
                *(int*)(control + sizeof(LibC.cmsghdr)) = descriptor;
                message.msg_control = control;
                message.msg_controllen = (nuint)controlSize;
            }

            _ = LibC.sendmsg(_socket.Number, &message, LibC.MSG_NOSIGNAL);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
