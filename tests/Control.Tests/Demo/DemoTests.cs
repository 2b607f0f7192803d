using System.Diagnostics;
using System.Runtime.InteropServices;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Tests.Demo;

/// <summary><c>sleeve demo</c> as a newcomer runs it: the real executable, with real namespaces.</summary>
public sealed class DemoTests : IDisposable
{
    private const string Kernel = "kernel", Sleeve = "sleeve";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-demo-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableTheory]
    [InlineData(Kernel)]
    [InlineData(Sleeve)]
    public async Task Shows_every_step_and_ends_with_zero(string right)
    {
        SkipUnlessPossible();
        // Where it is started has no say in what it does.
        await File.WriteAllTextAsync(Path.Combine(_folder, "appsettings.json"), "{ no JSON");
        var (code, output, errors) = await RunAsync("--right", right);
        Skip.If(right == Kernel && errors.Contains("the kernel has no vxlan devices", StringComparison.Ordinal), errors);
        Assert.Equal(("", 0), (errors, code));
        foreach (var line in (ReadOnlySpan<string>)[
            "1/6", "left# sleeve up vx0 --vni 100", "sleeve up: ready", "2/6", "4 of 4 answered", "3/6", "left# sleeve fdb show dev vx0", "is vx0 of the right host: learned",
            "4/6", "left# sleeve neigh add", ": 0 packets", "5/6", "left -> right", "right -> left", "Every byte arrived", "6/6", "left# sleeve stats dev vx0",
            "All steps worked", "What next"])
            Assert.Contains(line, output, StringComparison.Ordinal);
        // The column is as wide as the largest number; a host that is slow to hear an answer asks again.
        Assert.Matches("proxied +[1-9]", output);
        Assert.DoesNotContain("\e", output, StringComparison.Ordinal);
        Assert.All(output.Split('\n'), static line => Assert.InRange(line.Length, 0, 100));
    }

    [SkippableTheory]
    [InlineData("sleeve up: ready", LibC.SIGTERM, 143)]
    [InlineData("1/6", LibC.SIGTERM, 143)]
    [InlineData("5/6", LibC.SIGTERM, 143)]
    [InlineData("5/6", LibC.SIGKILL, 137)]
    [InlineData("3/6", LibC.SIGKILL, 137)]
    public async Task Leaves_nothing_behind_when_it_is_ended_after(string line, int signal, int code)
    {
        SkipUnlessPossible();
        using var demo = Start();
        using var patience = new CancellationTokenSource(Patience);
        var errors = demo.StandardError.ReadToEndAsync(patience.Token);
        while (await demo.StandardOutput.ReadLineAsync(patience.Token) is { } read && !read.Contains(line, StringComparison.Ordinal))
        {
        }

        var children = ChildrenOf(demo.Id);
        var namespaces = NamespacesOf(children);
        _ = LibC.kill(demo.Id, signal);
        await demo.StandardOutput.ReadToEndAsync(patience.Token);
        await demo.WaitForExitAsync(patience.Token);
        Assert.Equal(code, demo.ExitCode);
        Assert.Equal(signal == LibC.SIGTERM ? "sleeve demo: interrupted; everything is taken down\n" : "", await errors);
        if (line == "5/6") Assert.NotEmpty(namespaces);
        Assert.True(SpinWait.SpinUntil(() => ChildrenOf(demo.Id).Count == 0 && !namespaces.Overlaps(NamespacesOf(Processes())), TimeSpan.FromSeconds(5)));
    }

    [SkippableFact]
    public async Task Names_what_it_was_asked_for_wrongly()
    {
        var (code, output, errors) = await RunAsync("--right", "both");
        Assert.Equal((2, "", "sleeve demo: --right both: must be kernel or sleeve\n"), (code, output, errors));
    }

    [SkippableFact]
    public async Task Says_what_to_do_without_dev_net_tun_or_permission()
    {
        Skip.IfNot(File.Exists("/usr/bin/setpriv") && Environment.IsPrivilegedProcess && IsTunForRootOnly(), "needs root, setpriv and a /dev/net/tun of mode 0600");
        using var demo = Start("setpriv", ["--reuid", "65534", "--clear-groups", .. Command]);
        var errors = await demo.StandardError.ReadToEndAsync();
        await demo.WaitForExitAsync();
        Skip.If(errors.Contains("setpriv", StringComparison.Ordinal) || demo.ExitCode != 1, $"cannot run as another user here: {errors}");
        Assert.Equal("sleeve demo: cannot open /dev/net/tun: Permission denied: run as root, or let the user have it (chmod 0666 /dev/net/tun)\n", errors);
    }

    private static string[] Command => ["dotnet", "exec", Path.Combine(AppContext.BaseDirectory, "sleeve.dll"), "demo"];

    private static bool IsTunForRootOnly() => File.Exists("/dev/net/tun") && (File.GetUnixFileMode("/dev/net/tun") & (UnixFileMode.OtherRead | UnixFileMode.GroupRead)) == 0;

    private static void SkipUnlessPossible()
    {
        using var tun = new FileDescriptor(LibC.open("/dev/net/tun", LibC.O_RDWR | LibC.O_CLOEXEC));
        Skip.If(tun.IsInvalid, $"needs /dev/net/tun: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            NetworkNamespace.CreateNew().Dispose();
        }
        catch (NetworkNamespaceException refused)
        {
            Skip.If(true, refused.Message);
        }
    }

    private static List<int> ChildrenOf(int parent) => [.. Processes().Where(process => ReadOrEmpty(process, "environ").Contains($"SLEEVE_ENDS_WITH_PARENT={parent}\0", StringComparison.Ordinal))];

    private static IEnumerable<int> Processes() =>
        Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(static name => char.IsAsciiDigit(name![0])).Select(static name => int.Parse(name!, null));

    private static HashSet<string> NamespacesOf(IEnumerable<int> processes)
    {
        var namespaces = new HashSet<string>();
        foreach (var process in processes)
        {
            try
            {
                if (new FileInfo($"/proc/{process}/ns/net").LinkTarget is { } target) namespaces.Add(target);
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
            }
        }

        return namespaces;
    }

    private static string ReadOrEmpty(int process, string file)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/{file}");
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private Process Start(params string[] words) => Start(Command[0], [.. Command[1..], .. words]);

    private Process Start(string program, string[] words)
    {
        var start = new ProcessStartInfo(program, words) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder };
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return Process.Start(start)!;
    }

    private async Task<(int Code, string Output, string Errors)> RunAsync(params string[] words)
    {
        using var demo = Start(words);
        using var patience = new CancellationTokenSource(Patience);
        var errors = demo.StandardError.ReadToEndAsync(patience.Token);
        var output = await demo.StandardOutput.ReadToEndAsync(patience.Token);
        await demo.WaitForExitAsync(patience.Token);
        return (demo.ExitCode, output, await errors);
    }
}
