using System.Security.Cryptography;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;
using static Sleeve.EndToEnd.Cni.CriMessage;

namespace Sleeve.EndToEnd.Cni;

/// <summary>The plugin below the real containerd, asked as kubelet asks it: pods.</summary>
public sealed class CriTests(ITestOutputHelper output) : CniTest(output)
{
    private const string Image = "sleeve.test/busybox:1";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(90);
    private BackgroundProcess? _containerd;
    private Action _removePods = static () => { };

    [SkippableFact]
    public void Pods_of_containerd_are_wired_named_and_removed_also_after_it_was_killed()
    {
        Requirements.Programs("containerd", "ctr", "runc", "busybox", "nsenter", "tar");
        RequirePlugins("portmap", "loopback");
        Skip.IfNot(Directory.Exists("/sys/fs/cgroup") && Directory.EnumerateFileSystemEntries("/sys/fs/cgroup").Any(), "needs control groups at /sys/fs/cgroup");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        WaitForNetwork("blue", daemons[1]);
        var container = Container(daemons[1]);
        var far = Attach(daemons[1], "blue", container)[0];
        var (folder, (binaries, configurations)) = (NewFolder(), Install(daemons[0]));
        foreach (var plugin in (string[])["portmap", "loopback"]) File.CreateSymbolicLink($"{binaries}/{plugin}", $"{ReferencePlugins}/{plugin}");
        var start = Configure(daemons[0], folder, binaries, configurations);
        start();
        Command.Run(["ctr", "-a", $"{folder}/sock", "-n", "k8s.io", "images", "import", MakeImage(folder)], timeout: Long).Ok();
        using var kubelet = new CriClient($"{folder}/sock");

        // One namespace for all containers of the pod; the pod's name is the endpoint's.
        var config = SandboxConfig("web-0", folder);
        var pod = kubelet.Ask("RunPodSandbox", Field(1, config)).Text(1);
        _removePods = () =>
        {
            using var last = new CriClient($"{folder}/sock");
            last.Ask("StopPodSandbox", Field(1, pod));
            last.Ask("RemovePodSandbox", Field(1, pod));
        };
        var address = kubelet.Ask("PodSandboxStatus", Field(1, pod)).Message(1).Message(5).Text(1);
        Assert.StartsWith("10.1.0.", address, StringComparison.Ordinal);
        WaitForPing(container, address);
        Assert.Equal($"{address}\n", daemons[1].Run("names blue web-0").Ok());
        var one = kubelet.Ask("CreateContainer", [.. Field(1, pod), .. Field(2, ContainerConfig("shell")), .. Field(3, config)]).Text(1);
        kubelet.Ask("StartContainer", Field(1, one));
        var inside = kubelet.Ask("ExecSync", [.. Field(1, one), .. Field(2, "ip"), .. Field(2, "-o"), .. Field(2, "addr"), .. Field(2, "show"), .. Field(2, "eth0"), .. Field(3, 10UL)]);
        Assert.Contains($" {address}/24 ", inside.Text(1), StringComparison.Ordinal);
        Assert.Equal(0UL, kubelet.Ask("ExecSync", [.. Field(1, one), .. Field(2, "ping"), .. Field(2, "-c"), .. Field(2, "1"), .. Field(2, "-W"), .. Field(2, "5"), .. Field(2, $"{far}"), .. Field(3, 10UL)]).Number(3));

        // Killed and started again, containerd knows its pods, and what it ends is gone here too; ended twice is as once.
        _containerd!.Signal(LibC.SIGKILL);
        Assert.True(_containerd.WaitForExit(Long));
        _containerd.Dispose();
        start();
        WaitForPing(container, address);
        using var again = new CriClient($"{folder}/sock");
        for (var i = 0; i < 2; i++) again.Ask("StopPodSandbox", Field(1, pod));
        Assert.Equal(0, EndpointsOf(daemons[0]));
        again.Ask("RemovePodSandbox", Field(1, pod));
        _removePods = static () => { };

        // What is refused is said to kubelet in words, and leaves nothing.
        File.WriteAllText(Directory.GetFiles(configurations).Single(), File.ReadAllText(Directory.GetFiles(configurations).Single()).Replace("\"blue\"", "\"nowhere\"", StringComparison.Ordinal));
        Wait.Until(() => Refusal(again, SandboxConfig("web-1", folder)).Contains("nowhere", StringComparison.Ordinal), "the pod is refused with the reason", Long, 500);
        Assert.Equal(0, EndpointsOf(daemons[0]));
        AuditFindsNothing(daemons[0]);
    }

    private static string Refusal(CriClient kubelet, byte[] config)
    {
        try
        {
            var pod = kubelet.Ask("RunPodSandbox", Field(1, config)).Text(1);
            kubelet.Ask("StopPodSandbox", Field(1, pod));
            kubelet.Ask("RemovePodSandbox", Field(1, pod));
            return "";
        }
        catch (CriException refusal)
        {
            return refusal.Message;
        }
    }

    private static byte[] SandboxConfig(string name, string folder) =>
        [.. Field(1, [.. Field(1, name), .. Field(2, $"uid-{name}"), .. Field(3, "default")]), .. Field(2, name), .. Field(3, $"{folder}/logs"), .. Field(8, Field(1, "/sleeve-test"))];

    // LinuxContainerConfig, its security context and of that the capabilities: ping wants NET_RAW.
    private static byte[] ContainerConfig(string name) =>
        [.. Field(1, Field(1, name)), .. Field(2, Field(1, Image)), .. Field(3, "sleep"), .. Field(4, "1000"), .. Field(11, $"{name}.log"), .. Field(15, Field(2, Field(1, Field(1, "NET_RAW"))))];

    private Action Configure(SleeveDaemon daemon, string folder, string binaries, string configurations)
    {
        Directory.CreateDirectory($"{folder}/logs");
        File.WriteAllText($"{folder}/config.toml", $"""
            version = 2
            root = "{folder}/root"
            state = "{folder}/state"
            [grpc]
            address = "{folder}/sock"
            [plugins."io.containerd.grpc.v1.cri"]
            sandbox_image = "{Image}"
            disable_apparmor = true
            restrict_oom_score_adj = true
            [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "{binaries}"
            conf_dir = "{configurations}"
            [plugins."io.containerd.grpc.v1.cri".containerd]
            snapshotter = "native"
            """);
        return () =>
        {
            _containerd = new BackgroundProcess(["nsenter", $"--net=/run/netns/{daemon.Host.Namespace}", "containerd", "-c", $"{folder}/config.toml"]);
            Wait.Until(() => Command.Run(["ctr", "-a", $"{folder}/sock", "version"]).ExitCode == 0, "containerd answers", Patience, 200);
        };
    }

    // An archive as `docker save` writes it: one layer with busybox, which sleeps if nothing else is said, so that it is the pod's own image too.
    private static string MakeImage(string folder)
    {
        var root = $"{folder}/image";
        Command.Run(["sh", "-euc", $"mkdir -p {root}/rootfs/bin {root}/rootfs/etc {root}/rootfs/proc {root}/rootfs/sys {root}/rootfs/dev; cp $(command -v busybox) {root}/rootfs/bin/busybox; for a in sh sleep ping ip; do ln -s busybox {root}/rootfs/bin/$a; done; tar -C {root}/rootfs -cf {root}/layer.tar ."]).Ok();
        var digest = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes($"{root}/layer.tar")));
        File.WriteAllText($"{root}/config.json", JsonSerializer.Serialize(new
        {
            architecture = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "arm64" : "amd64",
            os = "linux",
            config = new { Cmd = new[] { "/bin/sleep", "100000" }, Env = new[] { "PATH=/bin" } },
            rootfs = new { type = "layers", diff_ids = new[] { $"sha256:{digest}" } },
        }));
        File.WriteAllText($"{root}/manifest.json", JsonSerializer.Serialize(new[] { new { Config = "config.json", RepoTags = new[] { Image }, Layers = new[] { "layer.tar" } } }));
        Command.Run(["tar", "-C", root, "-cf", $"{folder}/image.tar", "manifest.json", "config.json", "layer.tar"]).Ok();
        return $"{folder}/image.tar";
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        try
        {
            if (_containerd is { HasExited: false })
            {
                _removePods();
                _containerd.Signal();
                _containerd.WaitForExit(Long);
                Output.WriteLine(_containerd.Error);
                _containerd.Dispose();
            }
        }
        finally
        {
            base.Dispose(disposing);
        }
    }
}
