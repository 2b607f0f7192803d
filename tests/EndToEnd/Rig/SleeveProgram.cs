namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// The executable under test: the environment variable SLEEVE, else the one that was built with the tests. `SLEEVE_E2E_DUT=kernel` puts the kernel's
/// device in its place as the device under test, to check the tests themselves.
/// </summary>
public static class SleeveProgram
{
    /// <summary>What stands in the place of the device under test.</summary>
    public static VtepKind DeviceUnderTest { get; } =
        Environment.GetEnvironmentVariable("SLEEVE_E2E_DUT") == "kernel" ? VtepKind.Kernel : VtepKind.Sleeve;

    /// <summary>Workers of every VTEP whose test says nothing else. One, so that frames of different flows keep their order.</summary>
    public static int Workers { get; } = int.TryParse(Environment.GetEnvironmentVariable("SLEEVE_E2E_WORKERS"), out var workers) ? workers : 1;

    /// <summary>Transmit offload of every VTEP whose test says nothing else; null leaves it to itself.</summary>
    public static string? Offload { get; } = Environment.GetEnvironmentVariable("SLEEVE_E2E_TX_OFFLOAD");

    /// <summary>
    /// Waits, where there are several workers, until a frame that was just sent is through: only frames of one flow have an order, and tests send many flows.
    /// </summary>
    /// <param name="sentBefore">How much the same sender has sent: at first the workers still compile their code, on the core that the test is on.</param>
    public static void LetPass(int sentBefore)
    {
        if (Workers > 1) Thread.Sleep(sentBefore < 50 ? 25 : 2);
    }

    /// <summary>The command words to start it.</summary>
    public static IReadOnlyList<string> Words { get; } = Environment.GetEnvironmentVariable("SLEEVE") is { Length: > 0 } path
        ? [path]
        : [DotnetHost(), "exec", Path.Combine(AppContext.BaseDirectory, "sleeve.dll")];

    /// <summary>Where it was published with all that it needs; null if it is the one that was built.</summary>
    public static string? Folder { get; } = Environment.GetEnvironmentVariable("SLEEVE") is { Length: > 0 } path ? Path.GetDirectoryName(path) : null;

    /// <summary>Starts `sleeve up …` and waits until it says that frames flow.</summary>
    public static BackgroundProcess Up(Host host, IReadOnlyList<string> words)
    {
        var process = host.Start([.. Words, "up", .. words]);
        process.WaitForText("ready", TimeSpan.FromSeconds(20));
        return process;
    }

    /// <summary>Runs a command of it to its end.</summary>
    public static CommandResult Run(Host host, string line, TimeSpan? timeout = null) => host.Try([.. Words, .. Command.Split(line)], timeout);

    private static string DotnetHost() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
}
