using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Sleeve.Control.Cni;

/// <summary>An IPAM plugin that addresses come from: found in CNI_PATH, run with our environment and our configuration (specification, section "Plugin Delegation").</summary>
/// <param name="type">Its name.</param>
/// <param name="folders">Those of CNI_PATH.</param>
/// <param name="configuration">What came in on stdin.</param>
internal sealed class CniIpam(string type, IReadOnlyList<string> folders, byte[] configuration)
{
    private const int PatienceMilliseconds = 120_000;
    private const int MaxAnswer = 1024 * 1024;

    /// <summary>Has it reserve addresses.</summary>
    /// <exception cref="CniFault">Its own fault, or what it answered is none.</exception>
    public CniResult Add()
    {
        var answer = Run("ADD");
        try
        {
            using var document = JsonDocument.Parse(answer);
            if (document.RootElement.ValueKind == JsonValueKind.Object && CniResult.Read(new CniNode(document.RootElement, "")) is { Addresses.Count: > 0 } result) return result;
        }
        catch (JsonException)
        {
        }
        catch (CniFault wrong)
        {
            throw new CniFault(CniCode.Ipam, $"ipam {type}: its answer is wrong: {wrong.Message}");
        }

        throw new CniFault(CniCode.Ipam, $"ipam {type}: its answer has no addresses", CniNode.Shorten(answer));
    }

    /// <summary>Tells it a command whose answer is empty.</summary>
    /// <exception cref="CniFault">Its own fault.</exception>
    public void Tell(string command) => Run(command);

    /// <summary>Tells it a command that older plugins do not know; those have nothing to do then.</summary>
    /// <exception cref="CniFault">Its own fault.</exception>
    public void TellIfKnown(string command)
    {
        try
        {
            Run(command);
        }
        catch (CniFault fault) when (fault.Code is CniCode.Incompatible or CniCode.BadEnvironment)
        {
        }
    }

    private string Run(string command)
    {
        var program = folders.Select(folder => Path.Combine(folder, type)).FirstOrDefault(File.Exists);
        // After an ADD that was refused for it there is nothing to give back, and else nobody who could.
        if (program is null && command == "DEL") return "";
        if (program is null) throw new CniFault(CniCode.BadConfig, $"ipam.type {CniNode.Shorten(type)}: there is no such plugin in CNI_PATH ({CniNode.Shorten(string.Join(':', folders))})");
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.UTF8, StandardErrorEncoding = Encoding.UTF8 };
        start.Environment[CniCall.CommandVariable] = command;
        try
        {
            using var process = Process.Start(start)!;
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            Feed(process);
            if (!process.WaitForExit(PatienceMilliseconds) || !output.Wait(PatienceMilliseconds) || !errors.Wait(PatienceMilliseconds))
            {
                process.Kill(entireProcessTree: true);
                throw new CniFault(CniCode.TryAgain, $"ipam {type}: did not end within {PatienceMilliseconds / 1000} s");
            }

            if (output.Result.Length > MaxAnswer) throw new CniFault(CniCode.Ipam, $"ipam {type}: its answer has {output.Result.Length} characters; at most {MaxAnswer} are allowed");
            return process.ExitCode == 0 ? output.Result : throw FaultOf(command, output.Result, errors.Result);
        }
        catch (Win32Exception failure)
        {
            throw new CniFault(CniCode.Io, $"ipam {type}: {program} cannot be run: {failure.Message}");
        }
    }

    private void Feed(Process process)
    {
        try
        {
            process.StandardInput.BaseStream.Write(configuration);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it had read everything; its exit code says why.
        }
    }

    // An error object on stdout, passed on as it is; anything else is the program's own failing.
    private CniFault FaultOf(string command, string output, string errors)
    {
        try
        {
            using var document = JsonDocument.Parse(output);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                var node = new CniNode(document.RootElement, "");
                var code = (int)(node.Number("code", 1, int.MaxValue) ?? CniCode.Ipam);
                return new CniFault(code, $"ipam {type}: {node.Text("msg") ?? "failed without saying why"}", node.Text("details") ?? "");
            }
        }
        catch (Exception wrong) when (wrong is JsonException or CniFault)
        {
        }

        return new CniFault(CniCode.Ipam, $"ipam {type}: {command} failed", CniNode.Shorten(errors.Length > 0 ? errors : output));
    }
}
