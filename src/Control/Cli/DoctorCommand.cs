using System.CommandLine;
using Sleeve.Control.Api;
using Sleeve.Control.Doctor;
using Sleeve.Control.Doctor.Paths;
using Sleeve.Control.Host;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve doctor</c>: says what is wrong with the host and its VTEPs, and what to type.</summary>
internal static class DoctorCommand
{
    /// <summary>What <see cref="ReadRemote"/> takes.</summary>
    public const string RemoteAllowed = "the address of a VTEP of a running segment";

    private static readonly Argument<string[]> Remote = new("REMOTE") { Description = "Address of a VTEP: test the path to it.", Arity = ArgumentArity.ZeroOrMore };
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var doctor = new Command("doctor", "Say what is wrong with this host, its VTEPs, or the path to another, and what to type.") { Remote };
        Device.AddTo(doctor, isRead: true);
        doctor.WithExamples("""
            Examples:
              sleeve doctor                          this host, and every VTEP that runs on it
              sleeve doctor 192.0.2.2                the path to a VTEP: filters, loss, order, round trips, MTU, offloads
              sleeve doctor 192.0.2.2 dev vx0        the same on behalf of one of several segments
              sleeve doctor --json                   the same for programs

            It ends with 0 if all is well and 1 if there are warnings or errors. It changes nothing. It watches for a second;
            the path it asks by some hundred small datagrams that every VTEP but Sleeve ignores, and takes some seconds.
            """);
        doctor.SetAction(static (result, _) =>
        {
            var reader = new SettingReader(result).After(new ApiEnvironment());
            var words = result.GetValue(Remote) ?? [];
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
            var remote = words.Length > 0 ? ReadRemote(words[0], reader) : null;
            var (sockets, device) = Where(reader, Device);
            var json = result.GetValue(Device.Json);
            if (reader.Errors.Count == 0) return remote is null ? ExamineAsync(sockets, json) : TestAsync(sockets, device, remote, json);
            CommandLine.WriteErrors(result, reader.Errors);
            return Task.FromResult(ExitCode.BadInput);
        });
        return doctor;
    }

    /// <summary>Reads the address of a VTEP, as the VTEPs print it.</summary>
    public static string ReadRemote(string text, SettingReader reader)
    {
        if (Words.UnicastAddress(text, out var address)) return address.ToString();
        reader.Refuse($"REMOTE {text}: must be {RemoteAllowed}");
        return "";
    }

    /// <summary>Which sockets to ask, and of which device alone; null for any.</summary>
    public static (IReadOnlyList<string> Sockets, string? Device) Where(SettingReader reader, DeviceOptions options)
    {
        var path = reader.Read<string?>(options.Socket, Words.Place!, null);
        // The daemon's socket is for all its segments.
        var daemon = SocketFile.Of(SocketFile.DaemonName);
        if (reader.IsGiven(options.Device))
        {
            var (device, own) = options.Require(reader);
            return ([File.Exists(own) || path is not null || !File.Exists(daemon) ? own : daemon], device);
        }

        if (path is not null) return ([path], null);
        var sockets = SocketFile.Devices().Select(SocketFile.Of);
        return (File.Exists(daemon) ? [daemon, .. sockets] : [.. sockets], null);
    }

    private static async Task<int> TestAsync(IReadOnlyList<string> sockets, string? device, string remote, bool json)
    {
        try
        {
            var choice = await RemoteChoice.FindAsync(sockets, device, remote);
            var lines = await PathClient.RunAsync(choice.Socket, "doctor/path", new PathRequestJson(choice.Device, remote), ApiJson.Default.PathRequestJson, json);
            IReadOnlyList<(string Check, Finding Finding)> findings = [.. lines.Select(static line => line.Finding).OfType<FindingJson>().Select(static each => (each.Check, DoctorScreen.Of(each)))];
            if (json) DoctorScreen.PrintJson(findings, lines.Select(static line => line.Result).FirstOrDefault(static each => each is not null));
            else
            {
                Console.Out.WriteLine($"{choice.Device} → {remote}");
                DoctorScreen.Print(findings);
            }

            return DoctorScreen.Worst(findings) == Level.Ok ? ExitCode.Done : ExitCode.Failed;
        }
        catch (HostException failure)
        {
            return CommandLine.Fail("doctor", failure.Message);
        }
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
