using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>
/// Open vSwitch with its datapath in user space (datapath_type=netdev), as its documentation "Userspace tunneling" sets it up:
/// <code>
///   br-int ── internal port: overlay address          br-phy ── internal port: underlay address
///      └──── vx0, type=vxlan ── routed by OVS to ────▶ br-phy ── eth0
/// </code>
/// A database and a switch of its own for each host; the in-kernel datapath is off (--disable-system).
/// </summary>
internal sealed class OvsEnd(Host host, int underlayMtu) : TunnelEnd(host, underlayMtu)
{
    private const string Schema = "/usr/share/openvswitch/vswitch.ovsschema";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(15);

    /// <inheritdoc/>
    public override string Device => "br-int";

    private string Folder => $"/run/ovs-{Host.Name}";

    /// <inheritdoc/>
    public override void Prepare()
    {
        if (Directory.Exists(Folder)) Directory.Delete(Folder, recursive: true);
        Directory.CreateDirectory(Folder);
        Command.Run("ovsdb-tool", "create", $"{Folder}/conf.db", Schema);
        // The kernel's own stack sees eth0's frames too. It must neither answer ARP for them nor take datagrams, which it would refuse by ICMP.
        Host.Ip("addr", "flush", "dev", "eth0");
        Host.Ip("link", "set", "eth0", "arp", "off");
    }

    /// <inheritdoc/>
    public override void Start()
    {
        // Both put their files where these say, instead of where a system's own switch has them.
        string[] own = ["env", $"OVS_RUNDIR={Folder}", $"OVS_LOGDIR={Folder}", $"OVS_DBDIR={Folder}", $"OVS_SYSCONFDIR={Folder}"];
        Run([.. own, "ovsdb-server", $"{Folder}/conf.db", $"--remote=punix:{Folder}/db.sock", $"--unixctl={Folder}/db.ctl", "--no-chdir"]);
        WaitForFile($"{Folder}/db.sock");
        Run([.. own, "ovs-vswitchd", $"unix:{Folder}/db.sock", $"--unixctl={Folder}/switch.ctl", "--disable-system"]);
        // A MAC that is not eth0's keeps the kernel's stack from taking the frames for its own.
        Configure(
            "--", "add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev", $"other-config:hwaddr=02:00:00:00:0a:0{Host.Number}", "fail-mode=standalone",
            "--", "add-port", "br-phy", "eth0", "--", "set", "interface", "br-phy", $"mtu_request={UnderlayMtu}",
            "--", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=standalone",
            "--", "add-port", "br-int", "vx0", "--", "set", "interface", "vx0", "type=vxlan", $"options:remote_ip={Host.Peer.Underlay}",
            $"options:local_ip={Host.Underlay}", "options:key=100", "options:dst_port=4789",
            "--", "set", "interface", "br-int", $"mtu_request={UnderlayMtu - Overhead}");
        Host.Ip("addr", "add", $"{Host.Underlay}/24", "dev", "br-phy");
        Host.Ip("link", "set", "br-phy", "up");
        Address(Device);
    }

    private void Configure(params IReadOnlyList<string> words)
    {
        // It waits until the switch has done it.
        var outcome = Command.Try(StartLimit, [.. Host.Inside("ovs-vsctl", $"--db=unix:{Folder}/db.sock", "--timeout=10"), .. words]);
        if (outcome.Code != 0) throw new BenchFailure($"ovs-vsctl: {outcome.LastWords}");
    }

    private static void WaitForFile(string path)
    {
        for (var i = 0; i < 1000 && !File.Exists(path); i++) Thread.Sleep(5);
        if (!File.Exists(path)) throw new BenchFailure($"ovsdb-server made no {path}");
    }
}
