using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>A state that cannot be written, or is not what was written.</summary>
public sealed class StateFaultTests(ITestOutputHelper output) : DaemonTest(output)
{
    [SkippableFact]
    public void A_full_disk_stops_neither_frames_nor_commands_nor_a_restart()
    {
        var (a, b) = GivenTwoHosts();
        using var disk = new SmallDisk();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address));
        daemon.StateFolder = Path.Combine(disk.Folder, "state");
        daemon.Start();
        SleeveDaemon.Peer(b, 1, a.Address);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        daemon.Put("segments/vx2", """{"vni":102}""").Ok();
        disk.Fill();

        // What makes a thing anew is refused as a whole; what changes a table is done, and told to be unsaved.
        var refused = daemon.Run("segment add vx3 vni 103");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("the disk is full", refused.Error, StringComparison.Ordinal);
        Assert.False(a.HasDevice("vx3"));
        var kept = daemon.Delete("segments/vx2");
        Assert.False(kept.IsDone);
        Assert.Contains("the disk is full", kept.Body, StringComparison.Ordinal);
        Assert.Equal("running", daemon.StateOf("vx2"));
        Assert.Contains("the disk is full", daemon.Put("segments/vx1/fdb/02:00:00:00:00:77", """{"dst":"10.0.0.2","state":"static"}""").Unsaved!, StringComparison.Ordinal);
        Assert.Contains(daemon.Fdb("vx1"), static entry => entry.Mac == "02:00:00:00:00:77");
        Assert.Contains("the disk is full", daemon.Run("config show").Ok(), StringComparison.Ordinal);
        daemon.Write(SleeveDaemon.Segment(1, b.Address), "{ifname: vx4, vni: 104}");
        Assert.Contains("vx4 added", daemon.Run("config reload").Ok(), StringComparison.Ordinal);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        Assert.Single(Lines(daemon.Process.Error), static line => line.Contains("the state is not saved", StringComparison.Ordinal));

        // Neither a kill nor an end changes that: it comes up with what there is.
        foreach (var signal in new[] { LibC.SIGKILL, LibC.SIGTERM })
        {
            daemon.Process.Signal(signal);
            Assert.True(daemon.Process.WaitForExit(Patience));
            disk.Fill();
            daemon.Start();
            Assert.Equal(["vx1", "vx2", "vx4"], daemon.Segments);
            WaitForPing(a, SleeveDaemon.PeerAddress(1));
            daemon.Put("segments/vx1/fdb/02:00:00:00:00:78", """{"dst":"10.0.0.2","state":"static"}""").Ok();
        }

        disk.Free();
        Wait.Until(() => daemon.Run("config show").Ok().Contains("the disk is full", StringComparison.Ordinal) is false, "it is saved once there is room", Patience);
        daemon.WaitForText("the state is saved again");
        daemon.Kill();
        daemon.Start();
        Assert.Contains(daemon.Fdb("vx1"), static entry => entry.Mac == "02:00:00:00:00:78");
        PurgeLeavesNothing(daemon);
    }

    [SkippableFact]
    public void A_state_that_cannot_be_written_is_an_error_at_the_start_and_leaves_nothing()
    {
        var (a, b) = GivenTwoHosts();
        using var disk = new SmallDisk();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address));
        daemon.StateFolder = Path.Combine(disk.Folder, "state");
        // Both before there is a state, and with one.
        foreach (var hasState in new[] { false, true })
        {
            if (hasState)
            {
                daemon.Start();
                daemon.Stop();
                daemon.Run($"purge --keep-state --state {daemon.StateFolder}").Ok();
            }

            disk.SetReadOnly(true);
            var process = daemon.Launch();
            Assert.True(process.WaitForExit(Patience));
            Assert.Equal(1, process.ExitCode);
            Assert.Contains(daemon.StateFolder, Assert.Single(Lines(process.Error)), StringComparison.Ordinal);
            Assert.Empty(TapsOf(a));
            disk.SetReadOnly(false);
        }

        daemon.Start();
        Assert.Equal(["vx1"], daemon.Segments);
    }

    [SkippableTheory]
    [InlineData("garbage")]
    [InlineData("zeros")]
    [InlineData("half")]
    [InlineData("empty")]
    public void A_damaged_store_is_moved_aside_and_what_the_file_says_goes_on(string damage)
    {
        var (daemon, a, b) = GivenSegments();
        daemon.Run("segment add vx2 vni 102").Ok();
        var index = a.IndexOf("vx1");
        daemon.Stop();
        var path = Path.Combine(daemon.StateFolder, "state.db");
        var bytes = File.ReadAllBytes(path);
        Assert.False(File.Exists($"{path}-wal"));
        var random = new Random(3);
        switch (damage)
        {
            case "garbage":
                random.NextBytes(bytes);
                break;
            case "zeros":
                bytes.AsSpan(100).Clear();
                break;
            case "half":
                bytes = bytes[..(bytes.Length / 2)];
                break;
            default:
                bytes = [];
                break;
        }

        File.WriteAllBytes(path, bytes);
        daemon.Start();
        if (damage != "empty")
        {
            Assert.Contains("is damaged", daemon.Process.Error, StringComparison.Ordinal);
            Assert.Single(Directory.GetFiles(daemon.StateFolder, "state.db.bad-*"));
        }

        Assert.Equal(["vx1"], daemon.Segments);
        Assert.Equal(index, a.IndexOf("vx1"));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        // The TAP of the segment that was lost is still known for Sleeve's.
        Assert.Equal(["vx1", "vx2"], TapsOf(a));
        daemon.Run("segment add vx2 vni 102").Ok();
        PurgeLeavesNothing(daemon);
    }

    [SkippableFact]
    public void A_log_that_was_half_written_at_the_kill_is_read_as_far_as_it_goes()
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address)).Start();
        for (var i = 10; i < 60; i++) daemon.Put($"segments/vx1/fdb/02:00:00:00:00:{i}", """{"dst":"10.0.0.2","state":"static"}""").Ok();
        daemon.Kill();
        var log = Path.Combine(daemon.StateFolder, "state.db-wal");
        using (var file = new FileStream(log, FileMode.Open)) file.SetLength(file.Length * 3 / 4);
        daemon.Start();
        var known = daemon.Fdb("vx1").Count(static entry => entry.Mac != Vtep.Default);
        Assert.InRange(known, 5, 49);
        // The first ones, not any.
        Assert.Equal(Enumerable.Range(10, known).Select(static i => $"02:00:00:00:00:{i}"), daemon.Fdb("vx1").Select(static entry => entry.Mac).Where(static mac => mac != Vtep.Default).Order(StringComparer.Ordinal));
    }

    // A file system of 1 MiB.
    private sealed class SmallDisk : IDisposable
    {
        public SmallDisk() => Command.Run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", Folder]).Ok();

        public string Folder { get; } = Directory.CreateTempSubdirectory("sleeve-disk-").FullName;

        private string Ballast => Path.Combine(Folder, "ballast");

        public void Fill()
        {
            using var file = new FileStream(Ballast, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
            var page = new byte[4096];
            try
            {
                while (true) file.Write(page);
            }
            catch (IOException)
            {
                // That was the last one.
            }
        }

        public void Free() => File.Delete(Ballast);

        public void SetReadOnly(bool isReadOnly) => Command.Run(["mount", "-o", $"remount,{(isReadOnly ? "ro" : "rw")}", Folder]).Ok();

        public void Dispose()
        {
            Command.Run(["umount", "-l", Folder]);
            Directory.Delete(Folder);
        }
    }
}
