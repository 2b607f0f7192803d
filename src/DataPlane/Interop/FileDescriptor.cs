using Microsoft.Win32.SafeHandles;

namespace Sleeve.DataPlane.Interop;

/// <summary>Owns a file descriptor and closes it once. Closing does not wake a poller: stop that by <see cref="EventPoll.Wake"/> first.</summary>
public sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <summary>Takes ownership of <paramref name="fd"/>.</summary>
    public FileDescriptor(int fd)
        : base(ownsHandle: true) => SetHandle(fd);

    /// <summary>The number, valid while this object lives.</summary>
    public int Number => (int)handle;

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0;
}
