using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve demo</c>: shows the main job to a newcomer, in namespaces of its own.</summary>
internal static class DemoCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var demo = new Command("demo", "See it work in under a minute, in network namespaces of its own.");
        demo.SetAction(static (_, _) => Task.FromResult(ExitCode.Failed));
        return demo;
    }
}
