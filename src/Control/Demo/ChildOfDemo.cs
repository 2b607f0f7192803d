using System.Globalization;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Demo;

/// <summary>
/// A process that the demo starts ends with it, whatever ends the demo: the kernel kills it as soon as its parent is gone. It is told by a
/// variable of its environment, so that its command line is the one that is shown.
/// </summary>
internal static class ChildOfDemo
{
    /// <summary>The variable; its value is the parent's process id.</summary>
    public const string Variable = "SLEEVE_ENDS_WITH_PARENT";

    /// <summary>Ties this process to its parent if it was told to; to be called on the main thread, which the tie belongs to.</summary>
    /// <returns>False if the parent is gone already.</returns>
    public static bool TieToParent()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var parent)) return true;
        _ = LibC.prctl(LibC.PR_SET_PDEATHSIG, LibC.SIGKILL);
        return LibC.getppid() == parent;
    }
}
