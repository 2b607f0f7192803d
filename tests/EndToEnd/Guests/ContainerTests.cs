using System.Globalization;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Guests;

/// <summary>Containers of systemd-nspawn and LXC, and namespaces that nobody has a name for.</summary>
public sealed class ContainerTests(ITestOutputHelper output) : GuestTest(output)
{
    private const string Lives = "echo it lives; exec sleep 1000";

    [SkippableFact]
    public void A_container_of_nspawn_is_attached_before_it_starts_or_while_it_runs()
    {
        Requirements.Programs("systemd-nspawn");
        var daemons = GivenNetwork();
        // The namespace first: the container finds its network there.
        var @namespace = Container(daemons[0]);
        var address = Attach(daemons[0], Network, @namespace, "--name web").Single();
        var web = StartContainer(daemons[0].Host, $"--network-namespace-path=/run/netns/{@namespace}");
        // The container first: it has nothing but lo until it is attached.
        var mail = StartContainer(daemons[1].Host, "--private-network");
        daemons[1].Run($"attach {Network} pid:{mail.Leader} --id mail --name mail").Ok();
        WaitForPingFrom(mail.Leader, $"{address}");
        WaitForPingFrom(web.Leader, AddressOf(daemons[1], "mail"));
        Assert.Contains("10.1.0.", daemons[0].Run($"names {Network} mail").Ok(), StringComparison.Ordinal);

        // An interface that waits, which nspawn takes as it takes any; it would ask udev about it, were /sys not read-only.
        daemons[1].Run($"attach {Network} veth:shop0 --id shop --name shop").Ok();
        var shop = StartContainer(daemons[1].Host, "--network-interface=shop0");
        InShop("link set shop0 up");
        InShop($"address add {AddressOf(daemons[1], "shop")}/24 dev shop0");
        WaitForPingFrom(shop.Leader, $"{address}");
        shop.Process.Signal(LibC.SIGKILL);
        Assert.True(shop.Process.WaitForExit(Patience));
        WaitForWithdrawal(daemons[1], "shop");

        // With its container an endpoint ends by itself; a namespace that has a name outlives it.
        mail.Process.Signal(LibC.SIGKILL);
        Assert.True(mail.Process.WaitForExit(Patience));
        WaitForWithdrawal(daemons[1], "mail");
        web.Process.Signal(LibC.SIGKILL);
        Assert.True(web.Process.WaitForExit(Patience));
        Assert.Contains($"{address}", daemons[0].Run($"endpoint ls {Network}").Ok(), StringComparison.Ordinal);
        daemons[0].Run($"detach {Network} {@namespace}").Ok();
        AuditFindsNothing(daemons[0]);

        void InShop(string words) => Command.Run(["nsenter", "-t", $"{shop.Leader}", "-n", "ip", .. Command.Split(words)]).Ok();
    }

    [SkippableFact]
    public void A_container_of_LXC_is_attached_by_its_hook_or_handed_an_interface()
    {
        Requirements.Programs("lxc-start");
        var daemons = GivenNetwork();
        daemons[1].Run($"attach {Network} veth:mail0 --id mail --name mail").Ok();
        var address = AddressOf(daemons[1], "mail");
        var machines = new[] { new LinuxContainer(daemons[0], "web", GivenRoot()), new LinuxContainer(daemons[1], "mail", GivenRoot(), ("mail0", $"{address}/24")) };
        try
        {
            var leaders = machines.Select(static machine => machine.Start()).ToArray();
            WaitForPingFrom(leaders[0], address);
            WaitForPingFrom(leaders[1], AddressOf(daemons[0], "web"));
            machines[0].Stop();
            WaitForWithdrawal(daemons[0], "web");
            daemons[1].Run($"detach {Network} mail").Ok();
            AuditFindsNothing(daemons[1]);
        }
        finally
        {
            foreach (var machine in machines) machine.Dispose();
        }
    }

    [SkippableFact]
    public void A_namespace_without_a_name_is_attached_by_its_process()
    {
        Requirements.Programs("unshare");
        var daemons = GivenNetwork();
        var processes = daemons.Select(static daemon => daemon.Host.Start("unshare", "--net", "sh", "-c", Lives)).ToArray();
        foreach (var process in processes) process.WaitForText("it lives", Patience);
        daemons[0].Run($"attach {Network} pid:{processes[0].Id} --id one").Ok();
        daemons[1].Run($"attach {Network} /proc/{processes[1].Id}/ns/net --id other").Ok();
        Wait.Until(() => Command.Run(["nsenter", "-t", $"{processes[0].Id}", "-n", "ping", "-n", "-c", "1", "-W", "1", AddressOf(daemons[1], "other")]).ExitCode == 0, "one pings the other", Patience);
        processes[0].Signal(LibC.SIGKILL);
        WaitForWithdrawal(daemons[0], "one");
        daemons[1].Run($"detach {Network} other").Ok();
        AuditFindsNothing(daemons[0]);
    }

    private (BackgroundProcess Process, int Leader) StartContainer(Host host, string network)
    {
        // Without a systemd on this machine nobody keeps a list of containers.
        var process = StartOn(host, ["unshare", "--mount", "sh", "-c", "mount -o remount,bind,ro /sys && exec \"$@\"", "sh", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "-D", GivenRoot(), network, "--as-pid2", "/bin/sh", "-c", Lives]);
        try
        {
            process.WaitForText("it lives", Patience);
        }
        catch (CommandFailedException failure)
        {
            Skip.If(true, $"needs systemd-nspawn to work here: {failure.Message}");
        }

        return (process, Innermost(process.Id));
    }

    /// <summary>A container of LXC on a host, in a folder of its own.</summary>
    private sealed class LinuxContainer : IDisposable
    {
        private readonly SleeveDaemon _daemon;
        private readonly string _name;
        private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-lxc-").FullName;

        public LinuxContainer(SleeveDaemon daemon, string name, string root, (string Link, string Address)? handed = null)
        {
            (_daemon, _name) = (daemon, name);
            Directory.CreateDirectory(Path.Combine(_folder, "lxc"));
            var hook = Path.Combine(_folder, "hook");
            File.WriteAllText(Path.Combine(_folder, "config"), $"""
                lxc.uts.name = {name}
                lxc.rootfs.path = dir:{root}
                {Net(handed)}
                lxc.mount.auto = proc:mixed sys:ro
                lxc.pty.max = 4
                lxc.tty.max = 0
                lxc.init.cmd = /bin/sleep 1000
                {(handed is null ? $"lxc.hook.start-host = {hook}" : "")}

                """);
            if (handed is not null) return;
            File.WriteAllText(hook, $"#!/bin/sh\nexec env SLEEVE_API={daemon.SocketPath} {string.Join(' ', SleeveProgram.Words)} attach {Network} pid:$LXC_PID --id $LXC_NAME --name $LXC_NAME\n");
            File.SetUnixFileMode(hook, (UnixFileMode)Convert.ToInt32("755", 8));
        }

        /// <summary>Starts it, and returns the process that it runs.</summary>
        public int Start()
        {
            var log = Path.Combine(_folder, "log");
            var started = RunOn(_daemon.Host, "lxc-start", "-n", _name, "-f", Path.Combine(_folder, "config"), "-P", Path.Combine(_folder, "lxc"), "-o", log, "-l", "WARN");
            Skip.If(started.ExitCode != 0 && !HookFailed(log), $"needs LXC to work here: {started.Error.Trim()}; {(File.Exists(log) ? File.ReadAllText(log) : "")}");
            started.Ok();
            return int.Parse(Tell("lxc-info", "-p", "-H").Ok(), CultureInfo.InvariantCulture);
        }

        /// <summary>Ends it as the power would.</summary>
        public void Stop() => Tell("lxc-stop", "-k").Ok();

        public void Dispose()
        {
            Tell("lxc-stop", "-k");
            // Which LXC leaves behind.
            Command.Run(["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-name", "lxc.pivot", "-exec", "rmdir", "{}", "+"]);
            Directory.Delete(_folder, recursive: true);
        }

        private static string Net((string Link, string Address)? handed) => handed is { } given
            ? $"lxc.net.0.type = phys\nlxc.net.0.link = {given.Link}\nlxc.net.0.name = eth0\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = {given.Address}"
            : "lxc.net.0.type = empty";

        private static bool HookFailed(string log) => File.Exists(log) && File.ReadAllText(log).Contains("start-host", StringComparison.Ordinal);

        private CommandResult Tell(string program, params string[] words) => RunOn(_daemon.Host, [program, "-n", _name, "-P", Path.Combine(_folder, "lxc"), .. words]);
    }
}
