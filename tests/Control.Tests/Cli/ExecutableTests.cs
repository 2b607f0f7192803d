using System.Diagnostics;
using Sleeve.Control.Cli;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Cli;

/// <summary>The real executable: exit codes, streams, and no stack trace whatever becomes of them.</summary>
public class ExecutableTests
{
    [Theory]
    [InlineData("up vx0 --vni x --local 192.0.2.1", "", ExitCode.BadInput, "sleeve up: --vni x: must be 0 to 16777215\n")]
    [InlineData("bogus", "", ExitCode.BadInput, "sleeve: bogus: unknown command; must be one of up, daemon, segment, token, join, leave, peer, net, ipam, attach, detach, endpoint, cni, names, audit, fdb, neigh, stats, top, monitor, log, explain, capture, web, doctor, bench, config, handover, purge, demo, completion\n")]
    [InlineData("stats --socket /sleeve-none", "", ExitCode.Failed, "sleeve stats: no /sleeve-none: is sleeve up running for this device? (--socket names another)\n")]
    [InlineData("--help", ">/dev/null", ExitCode.Done, "")]
    [InlineData("--help", "| head -0", ExitCode.Done, "")]
    [InlineData("--help", ">/dev/full", ExitCode.Failed, "sleeve: No space left on device\n")]
    [InlineData("--help", ">&-", ExitCode.Failed, "sleeve: Bad file descriptor\n")]
    [InlineData("bogus", "2>&-", ExitCode.BadInput, "")]
    public async Task Ends_with_its_code_and_a_line(string words, string redirection, int code, string errors)
    {
        string[] all = [.. RunningVtep.Executable, .. words.Split(' ')];
        var start = new ProcessStartInfo("sh", ["-c", $"\"$@\" {redirection}", "sh", .. all]) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        Assert.Equal(errors, await process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.Equal((code, ""), (process.ExitCode, await output));
    }
}
