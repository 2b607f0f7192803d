using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Sleeve under a seccomp filter made of docs/system-calls.md: one call that is not listed, and the kernel kills it.
/// <code>
///     a: filter, sleeve up ═══ veth pair ═══ b: the kernel's vxlan
/// </code>
/// A kill is told as exit code 159, 128 + SIGSYS; tests/system-calls shows which call is missing.
/// </summary>
public sealed class SystemCallTests(ITestOutputHelper output) : LabTest(output)
{
    private const int KilledByFilter = 128 + 31;
    private static readonly IPAddress Inner1 = IPAddress.Parse("10.1.1.1");
    private static readonly IPAddress Inner2 = IPAddress.Parse("10.1.1.2");

    [SkippableTheory]
    [InlineData("")]
    [InlineData("--pmtu-probe 5 --proxy --neigh-snoop --mss-clamp auto")]
    [InlineData("--tx-offload none --rx-offload none")]
    [InlineData("--group 239.1.1.1 --dev u0")]
    [InlineData("--user {0}")]
    public void Traffic_and_commands_need_only_what_is_listed(string more)
    {
        ArgumentNullException.ThrowIfNull(more);
        var (user, peer, filter) = GivenUserKernelAndFilter();
        var words = more.Replace("{0}", user.Name, StringComparison.Ordinal);
        var vtep = user.Host.Start([.. user.Within, filter.Program, .. SleeveProgram.Words, "up", "vx0", "--address", "10.1.1.1/24", "--workers", "2", .. Options(user, peer), .. Command.Split(words)]);
        vtep.WaitForText("ready", TimeSpan.FromSeconds(30));
        Traffic.WaitForPing(user.Host, Inner2);
        Assert.Equal(3, Traffic.Ping(peer.Host, Inner1, size: 8000));
        Traffic.TransferByTcp(user.Host, peer.Host, Inner2, bytes: 20_000_000);
        Traffic.TransferByTcp(peer.Host, user.Host, Inner1, bytes: 20_000_000);
        foreach (var command in (string[])["stats dev vx0", "fdb add 02:00:00:00:00:09 dev vx0 dst 10.0.0.2", "fdb show dev vx0 --json", "fdb flush dev vx0", "neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev vx0", "neigh show dev vx0", "explain vx0 10.1.1.2"])
            user.Host.Try([.. user.Within, filter.Program, .. SleeveProgram.Words, .. Command.Split(command)]).Ok();
        Stop(vtep);
    }

    [SkippableFact]
    public void An_ordinary_user_needs_only_what_is_listed()
    {
        var (user, peer, filter) = GivenUserKernelAndFilter();
        var inside = user.NewNamespace();
        var vtep = user.Start([filter.Program, .. SleeveProgram.Words, "up", "vx0", "--address", "10.1.1.1/24", "--workers", "2", "--rootless", $"{inside.Process}", .. Options(user, peer)]);
        vtep.WaitForText("ready", TimeSpan.FromSeconds(30));
        Assert.Contains(" 0% packet loss", inside.Run("ping -c 3 -i 0.3 -W 5 10.1.1.2"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", peer.Host.Run("ping -c 3 -i 0.3 -W 5 -s 8000 10.1.1.1"), StringComparison.Ordinal);
        user.Try([filter.Program, .. SleeveProgram.Words, "stats", "dev", "vx0"]).Ok();
        Stop(vtep);
    }

    [SkippableFact]
    public void A_call_that_is_not_listed_is_deadly()
    {
        var (user, peer, _) = GivenUserKernelAndFilter();
        var filter = user.Host.Lab.Own(new SeccompFilter(without: "recvmmsg"));
        var vtep = user.Host.Start([.. user.Within, filter.Program, .. SleeveProgram.Words, "up", "vx0", "--address", "10.1.1.1/24", .. Options(user, peer)]);
        Traffic.Ping(peer.Host, Inner1);
        Assert.True(vtep.WaitForExit(TimeSpan.FromSeconds(30)));
        Assert.Equal(KilledByFilter, vtep.ExitCode);
    }

    private static void Stop(BackgroundProcess vtep)
    {
        vtep.Signal();
        Assert.True(vtep.WaitForExit(Wait.Soon));
        Assert.True(vtep.ExitCode == 0, $"{vtep.ExitCode}: {vtep.Error}");
    }

    private (OrdinaryUser User, Vtep Peer, SeccompFilter Filter) GivenUserKernelAndFilter()
    {
        var lab = NewLab();
        var filter = lab.Own(new SeccompFilter());
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (new OrdinaryUser(a), Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["10.1.1.2/24"] }), filter);
    }

    private static string[] Options(OrdinaryUser user, Vtep peer) => ["--vni", "100", "--local", $"{user.Host.Address}", "--remote", $"{peer.Host.Address}"];
}
