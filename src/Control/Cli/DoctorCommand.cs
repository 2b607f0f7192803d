using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Doctor;
using Sleeve.Control.Host;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve doctor</c>: says what is wrong with the host and its VTEPs, and what to type.</summary>
internal static class DoctorCommand
{
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var doctor = new Command("doctor", "Say in plain words what is wrong with this host and its VTEPs, and what to type.");
        Device.AddTo(doctor, isRead: true);
        doctor.WithExamples("""
            Examples:
              sleeve doctor                          this host, and every VTEP that runs on it
              sleeve doctor --json                   the same for programs

            It ends with 0 if all is well and 1 if there are warnings or errors. It changes nothing. It watches for a second.
            """);
        doctor.SetAction(static (result, _) =>
        {
            var reader = new SettingReader(result);
            var sockets = Sockets(reader);
            if (reader.Errors.Count == 0) return ExamineAsync(sockets, result.GetValue(Device.Json));
            CommandLine.WriteErrors(result, reader.Errors);
            return Task.FromResult(ExitCode.BadInput);
        });
        return doctor;
    }

    private static IReadOnlyList<string> Sockets(SettingReader reader)
    {
        if (reader.Read<string?>(Device.Socket, Words.SocketPath!, null) is { } path) return [path];
        if (reader.IsGiven(Device.Device)) return [Device.Require(reader).Path];
        return [.. SocketFile.Devices().Select(SocketFile.Of)];
    }

    private static async Task<int> ExamineAsync(IReadOnlyList<string> sockets, bool json)
    {
        IReadOnlyList<(string Check, Finding Finding)> findings;
        try
        {
            using var host = RouteNetlink.Open();
            findings = await Watching(json, async () => Examiner.Examine(new Patient(await HostReader.ReadAsync(host), await VtepReader.ReadAsync(sockets))));
        }
        catch (IOException failure)
        {
            return CommandLine.Fail("doctor", failure.Message);
        }

        if (json) DoctorScreen.PrintJson(findings);
        else DoctorScreen.Print(findings);
        return DoctorScreen.Worst(findings) == Level.Ok ? ExitCode.Done : ExitCode.Failed;
    }

    private static Task<T> Watching<T>(bool json, Func<Task<T>> work) =>
        json || Console.IsOutputRedirected ? work() : AnsiConsole.Status().StartAsync("looking…", _ => work());
}
