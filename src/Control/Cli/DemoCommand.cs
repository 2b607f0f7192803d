using System.CommandLine;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Sleeve.Control.Demo;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve demo</c>: shows the main job to a newcomer, in namespaces of its own.</summary>
internal static class DemoCommand
{
    private const int SignalExitCode = 128, Interrupt = 2, HangUp = 1, Terminate = 15;

    private static readonly Setting Right = new("--right", "WHAT", "What the right host runs: kernel or sleeve. [kernel, where it has vxlan]", "kernel or sleeve");
    private static readonly Option<bool> Inside = new("--inside") { Hidden = true, Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var demo = new Command("demo", "See it work in under a minute, in network namespaces of its own.") { Right.Option, Inside };
        demo.WithExamples("""
            Two hosts in network namespaces, Sleeve on the left and the kernel's vxlan on the right: ping, the learned
            FDB, ARP answered by the proxy, TCP each way, the counters. The network of this machine is not touched, and
            nothing is left behind. Needs /dev/net/tun, and root or the right to make user namespaces.

            Examples:
              sleeve demo
              sleeve demo --right sleeve                    Sleeve on both hosts
            """);
        demo.SetAction(static (result, _) =>
        {
            var reader = new SettingReader(result);
            var right = reader.Read<RightVtep>(Right, ReadRight, RightVtep.KernelIfThere);
            if (reader.Errors.Count == 0) return RunAsync(new DemoOptions(right, result.GetValue(Inside)));
            CommandLine.WriteErrors(result, reader.Errors);
            return Task.FromResult(ExitCode.BadInput);
        });
        return demo;
    }

    private static async Task<int> RunAsync(DemoOptions options)
    {
        try
        {
            Isolation.Ensure(options, options.Right == RightVtep.KernelIfThere ? [] : ["--right", options.Right == RightVtep.Kernel ? "kernel" : "sleeve"]);
        }
        catch (IOException failure)
        {
            return CommandLine.Fail("demo", failure.Message);
        }

        using var stop = new CancellationTokenSource();
        var signal = 0;
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, Interrupt));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, Terminate));
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => Stop(context, HangUp));
        try
        {
            await Demonstration.RunAsync(options.Right, stop.Token);
            return ExitCode.Done;
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            // Ctrl-C reaches every process of the terminal: whatever failed then, failed because of it.
            CommandLine.Fail("demo", "interrupted; everything is taken down");
            return SignalExitCode + signal;
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            return CommandLine.Fail("demo", failure.Message);
        }

        void Stop(PosixSignalContext context, int number)
        {
            context.Cancel = true;
            signal = number;
            stop.Cancel();
        }
    }

    private static bool ReadRight(string text, out RightVtep value)
    {
        value = text == "kernel" ? RightVtep.Kernel : RightVtep.Sleeve;
        return text is "kernel" or "sleeve";
    }
}
