namespace Sleeve.Control.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>The words were right, but it could not be done; the reason is on stderr.</summary>
    public const int Failed = 1;

    /// <summary>The words were wrong; nothing was changed.</summary>
    public const int BadInput = 2;
}
