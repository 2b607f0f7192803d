using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Docker;

/// <summary>
/// Two hosts, each with the real dockerd and a sleeve daemon as its driver.
/// <code>
///    a: dockerd, sleeve daemon ── switch ── b: sleeve daemon, dockerd
///       └ containers                                 containers ┘
/// </code>
/// </summary>
public abstract class DockerTest(ITestOutputHelper output) : ClusterTest(output)
{
    private protected static string AddressOf(DockerHost host, string container, string network) => host.Inspect(container, $"{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}");

    private protected DockerHost[] GivenDockers(params string[] more) => GivenDockers(2, more);

    private protected DockerHost[] GivenDockers(int count, params string[] more)
    {
        DockerHost.Require();
        var folders = new List<string>();
        var (_, daemons) = GivenCluster(count, prepare: daemon => folders.Add(DockerHost.Prepare(daemon)));
        return [.. daemons.Select((daemon, i) => daemon.Host.Lab.Own(DockerHost.Start(daemon, folders[i], more)))];
    }

    // No endpoint, no wire, no network of the cluster on any host.
    private protected void NothingIsLeft(DockerHost[] hosts)
    {
        foreach (var host in hosts)
        {
            // What Docker could not say while a daemon was away is found out within seconds.
            Wait.Until(() => host.Sleeve.Get("endpoints").GetArrayLength() == 0, "no endpoint is left", Patience, 200);
            Wait.Until(() => !new[] { "sl-", "slbr-", "slv", "sld" }.Any(kind => host.Host.Run("ip -o link show").Contains($": {kind}", StringComparison.Ordinal)), "no link is left", Patience);
        }

        AuditFindsNothing(hosts[0].Sleeve);
    }
}
