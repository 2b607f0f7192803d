using System.Globalization;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Interop.Tests;

public sealed class CapabilityTests
{
    private const int CapabilityCount = 41; // CAP_LAST_CAP + 1 of the headers that a supported build machine may have

    [SkippableFact]
    public void Every_name_is_that_of_its_number()
    {
        CCompiler.SkipIfMissing();
        var names = Enumerable.Range(0, CapabilityCount).ToDictionary(number => CapabilitySet.Of(number).ToString(), number => number);
        var expected = CCompiler.Evaluate(["linux/capability.h"], names.Keys);
        Assert.All(names, pair => Assert.True(expected[pair.Key] == pair.Value, $"{pair.Key} is {expected[pair.Key]}, not {pair.Value}"));
        Assert.Equal("no capability", default(CapabilitySet).ToString());
        Assert.Equal("CAP_NET_ADMIN, CAP_BPF, capability 63", CapabilitySet.Of(LibC.CAP_NET_ADMIN, LibC.CAP_BPF, 63).ToString());
    }

    [Fact]
    public void A_thread_gives_up_its_own_and_switches_on_what_it_kept() => OnThread(() =>
    {
        var before = ThreadCapabilities.Permitted;
        var keep = CapabilitySet.Of(LibC.CAP_NET_ADMIN, LibC.CAP_NET_RAW);
        ThreadCapabilities.Restrict(keep);
        // Where the tests' own files are not root's, root has to be able to read them all the same.
        var reading = CapabilitySet.Of(LibC.CAP_DAC_READ_SEARCH);
        Assert.Equal(default, new CapabilitySet(ThreadCapabilities.Effective.Bits & ~reading.Bits));
        Assert.Equal(before.Within(keep), ThreadCapabilities.Permitted.Within(keep));
        Assert.Equal(default, new CapabilitySet(ThreadCapabilities.Permitted.Bits & ~keep.With(reading).Bits));
        using (ThreadCapabilities.Raise()) Assert.Equal(before.Within(keep), ThreadCapabilities.Effective.Within(keep));
        Assert.Equal(default, ThreadCapabilities.Effective.Within(keep));

        // Twice is not more.
        ThreadCapabilities.Restrict(keep.With(CapabilitySet.Of(LibC.CAP_SYS_ADMIN)));
        using (ThreadCapabilities.Raise()) Assert.False(ThreadCapabilities.Effective.Has(LibC.CAP_SYS_ADMIN));
    });

    [Fact]
    public void Other_threads_keep_theirs_and_one_that_gave_up_none_has_nothing_switched()
    {
        var before = (ThreadCapabilities.Effective, ThreadCapabilities.Permitted);
        OnThread(() => ThreadCapabilities.Restrict(default));
        Assert.Equal(before, (ThreadCapabilities.Effective, ThreadCapabilities.Permitted));
        OnThread(() =>
        {
            using (ThreadCapabilities.Raise()) Assert.Equal(before.Effective, ThreadCapabilities.Effective);
            Assert.Equal(before, (ThreadCapabilities.Effective, ThreadCapabilities.Permitted));
        });
    }

    [Fact]
    public void Switching_allocates_nothing() => OnThread(() =>
    {
        ThreadCapabilities.Restrict(CapabilitySet.Of(LibC.CAP_NET_ADMIN));
        Switch();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) Switch();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        static void Switch()
        {
            using (ThreadCapabilities.Raise())
            {
            }
        }
    });

    [Fact]
    public void Users_are_found_by_name_and_by_id()
    {
        Assert.Equal(new UserAccount("root", 0, 0), UserAccount.Find("root"));
        Assert.Equal("root", UserAccount.Find(0u)?.Name);
        Assert.Null(UserAccount.Find("sleeve-no-such-user"));
        Assert.Equal(uint.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[2], CultureInfo.InvariantCulture), UserAccount.CurrentId);
    }

    [Fact]
    public void Owners_and_rights_of_files_are_found()
    {
        Assert.True(HostAccess.IsOwnedBy("/proc/1", 0));
        Assert.False(HostAccess.IsOwnedBy("/proc/1", 12345));
        Assert.False(HostAccess.IsOwnedBy("/sleeve-no-such-file", 0));
        var own = Path.GetTempFileName();
        Assert.True(HostAccess.IsOwnedBy(own, UserAccount.CurrentId));
        Assert.True(HostAccess.MayRead(own) && HostAccess.MayWrite(own));
        File.Delete(own);
        Assert.False(HostAccess.MayRead(own));
    }

    [SkippableFact]
    public void The_owner_stands_where_the_C_compiler_has_it()
    {
        CCompiler.SkipIfMissing();
        var offset = CCompiler.Evaluate(["sys/stat.h"], ["offsetof(struct statx, stx_uid)", "sizeof(struct statx)"]);
        Assert.Equal([20L, 256L], offset.Values.Select(value => value!.Value));
    }

    private static void OnThread(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
#pragma warning disable CA1031 // carried to the caller's thread
            try
            {
                action();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
#pragma warning restore CA1031
        });
        thread.Start();
        thread.Join();
        if (failure is not null) throw new Xunit.Sdk.XunitException(failure.ToString());
    }
}
