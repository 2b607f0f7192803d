using System.Runtime.CompilerServices;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Tests.Host;

public class NetworkNamespaceTests
{
    [Fact]
    public void A_name_that_does_not_exist_is_said_to()
    {
        var exception = Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.Open("sleeve-none"));
        Assert.Equal("there is no network namespace 'sleeve-none' in /run/netns: `ip netns` lists them", exception.Message);
        Assert.Equal(LibC.ENOENT, exception.Errno);
    }

    [Theory]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    public void A_name_cannot_lead_out_of_its_folder(string name) =>
        Assert.Equal(LibC.EINVAL, Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.OpenName(name)).Errno);

    [Fact]
    public void A_process_that_does_not_exist_is_said_to()
    {
        // Above PID_MAX_LIMIT (2^22), so never anybody's.
        var exception = Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.Open("4194305"));
        Assert.Equal("cannot open network namespace of process 4194305: No such file or directory", exception.Message);
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("/proc/self/ns/uts")]
    [InlineData("/tmp")]
    public void A_file_of_another_kind_is_refused(string path)
    {
        var exception = Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.Open(path));
        Assert.Equal($"cannot open network namespace {path}: {path} is not a network namespace", exception.Message);
    }

    [SkippableFact]
    public void Runs_inside_on_a_thread_of_its_own_and_leaves_the_caller_where_it_was()
    {
        using var network = TestNetwork.CreateOrSkip();
        var before = Self();
        var (inside, thread) = network.Namespace.Run(() => (Self(), Environment.CurrentManagedThreadId));
        Assert.NotEqual(before, inside);
        Assert.NotEqual(Environment.CurrentManagedThreadId, thread);
        Assert.Equal(before, Self());
        Assert.Equal(inside, network.Namespace.Run(Self));
    }

    [SkippableFact]
    public void Opens_by_process_and_by_path()
    {
        using var network = TestNetwork.CreateOrSkip();
        using var own = NetworkNamespace.OpenProcess(Environment.ProcessId);
        Assert.Equal(Self(), own.Run(Self));
        using var same = NetworkNamespace.Open(FormattableString.Invariant($"/proc/self/fd/{network.Namespace.Descriptor}"));
        Assert.Equal(network.Namespace.Run(Self), same.Run(Self));
    }

    [SkippableFact]
    public void An_exception_inside_comes_through_with_its_stack()
    {
        using var network = TestNetwork.CreateOrSkip();
        var exception = Assert.Throws<InvalidOperationException>(() => network.Namespace.Run(Fail));
        Assert.Contains(nameof(Fail), exception.StackTrace, StringComparison.Ordinal);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Fail() => throw new InvalidOperationException("inside");
    }

    [SkippableFact]
    public void A_fresh_one_is_empty_but_for_loopback()
    {
        using var network = TestNetwork.CreateOrSkip();
        var lo = Assert.Single(network.Host.ListLinks());
        Assert.Equal(("lo", false, LibC.ARPHRD_LOOPBACK), (lo.Name, lo.IsUp, lo.HardwareType));
    }

    private static string? Self() => new FileInfo("/proc/thread-self/ns/net").LinkTarget;
}
