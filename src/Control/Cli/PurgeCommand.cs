using System.CommandLine;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve purge</c>: takes away what a stopped daemon left for its next run.</summary>
internal static class PurgeCommand
{
    private static readonly Setting State = new("--state", "DIR", "Folder of the daemon's state. [/var/lib/sleeve, or a user's own]", "a folder");
    private static readonly Option<bool> KeepState = Setting.Flag("--keep-state", "Remove the TAPs only.");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("purge", "Remove what a stopped daemon left for its next run: its TAPs and its state.") { State.Option, KeepState };
        command.WithExamples("""
            Refused while a daemon uses the state. The configuration file is not touched.

            Examples:
              sleeve purge                              every TAP that sleeve daemon made, and /var/lib/sleeve
              sleeve purge --keep-state                 the TAPs; the next sleeve daemon makes them anew
            """);
        command.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var folder = reader.Read(State, Words.Text, HostFolders.State);
            var keepsState = result.GetValue(KeepState);
            return () => Task.Run(() => Purge.Run(folder, keepsState, Console.Out.WriteLine));
        }));
        return command;
    }
}
