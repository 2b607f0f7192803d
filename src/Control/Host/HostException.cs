using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>The host's network cannot be read or changed as asked. The message is one line: what was tried, why not, what to do.</summary>
internal sealed class HostException : IOException
{
    /// <summary>Makes an exception.</summary>
    /// <param name="message">One line.</param>
    /// <param name="errno">The error number, one of LibC.E…; 0 if no call failed.</param>
    public HostException(string message, int errno = 0)
        : base(message) => Errno = errno;

    /// <summary>The error number, one of LibC.E…; 0 if no call failed.</summary>
    public int Errno { get; }

    /// <summary>Makes the exception of a refused request.</summary>
    /// <param name="action">What was tried, to follow "cannot".</param>
    /// <param name="outcome">What the kernel said.</param>
    /// <param name="advice">What to do; null for what the error number alone tells.</param>
    public static HostException Of(string action, NetlinkOutcome outcome, string? advice = null)
    {
        advice ??= outcome.Errno is LibC.EPERM or LibC.EACCES ? "needs CAP_NET_ADMIN in this network namespace (run as root)" : null;
        return new HostException($"cannot {action}: {outcome.Reason}{(advice is null ? "" : $": {advice}")}", outcome.Errno);
    }
}
