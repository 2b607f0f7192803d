using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>A failed system call: which one, on what, and the error by its native name, so that a log line says all there is to know.</summary>
public sealed class ErrnoException : IOException
{
    /// <summary>Makes an exception.</summary>
    /// <param name="errno">The error number.</param>
    /// <param name="call">The system call, by its native name.</param>
    /// <param name="subject">What it was called on: a device, an address, a path.</param>
    public ErrnoException(int errno, string call, string subject)
        : base($"{call} {subject}: {Describe(errno)}")
    {
        Errno = errno;
        Call = call;
    }

    /// <summary>The error number, one of LibC.E….</summary>
    public int Errno { get; }

    /// <summary>The system call, by its native name.</summary>
    public string Call { get; }

    /// <summary>What strerror(3) says.</summary>
    public static string Describe(int errno) => Marshal.GetPInvokeErrorMessage(errno);

    /// <summary>Makes the exception of the calling thread's last failed call.</summary>
    public static ErrnoException Last(string call, string subject) => new(Marshal.GetLastPInvokeError(), call, subject);
}
