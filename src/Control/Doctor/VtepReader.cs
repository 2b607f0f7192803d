using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor;

/// <summary>Collects what running VTEPs say of themselves, and sends each a datagram to see whether its port is open.</summary>
internal static class VtepReader
{
    private const int SelfTestDatagrams = 3;

    /// <summary>How long is watched: counters that rise meanwhile are about now.</summary>
    private static readonly TimeSpan Watch = TimeSpan.FromSeconds(1);

    /// <summary>Asks every VTEP, twice.</summary>
    /// <param name="sockets">Their sockets; several may lead to one process, which is asked once.</param>
    public static async Task<IReadOnlyList<VtepFacts>> ReadAsync(IReadOnlyList<string> sockets)
    {
        var own = DoctorRoutes.NetworkNamespaceOf(Environment.ProcessId);
        var vteps = new List<VtepFacts>();
        foreach (var socket in sockets)
        {
            var first = await FirstAsync(socket, own);
            if (first.Details is { } details && vteps.Any(each => each.Details?.Pid == details.Pid)) continue;
            vteps.Add(first);
        }

        foreach (var vtep in vteps.Where(static vtep => vtep.Unknown is null)) SendToOwnPort(vtep);
        if (vteps.Exists(static vtep => vtep.Unknown is null)) await Task.Delay(Watch);
        for (var i = 0; i < vteps.Count; i++)
            if (vteps[i].Unknown is null) vteps[i] = await AgainAsync(vteps[i]);
        return vteps;
    }

    private static async Task<VtepFacts> FirstAsync(string socket, string? own)
    {
        using var client = new ApiClient(socket);
        try
        {
            var details = await client.GetAsync("doctor", ApiJson.Default.VtepDetailsJson);
            var facts = new VtepFacts { Socket = socket, Details = details };
            if (own is not null && details.NetworkNamespace.Length > 0 && own != details.NetworkNamespace)
                return facts with { Unknown = Finding.Skipped(socket, $"pid {details.Pid} lives in another network namespace", $"nsenter -t {details.Pid} -n sleeve doctor") };
            var stats = await client.GetAsync("stats", ApiJson.Default.VtepStatsJson);
            return facts with { Before = stats, Now = stats };
        }
        catch (HostException failure)
        {
            return new VtepFacts { Socket = socket, Unknown = Finding.Error(socket, failure.Message, "see its log, or start it again") };
        }
    }

    private static async Task<VtepFacts> AgainAsync(VtepFacts vtep)
    {
        using var client = new ApiClient(vtep.Socket);
        try
        {
            var now = await client.GetAsync("stats", ApiJson.Default.VtepStatsJson);
            var (fdb, neighbours) = (new List<FdbEntryJson>(), new List<NeighbourJson>());
            foreach (var segment in now.Segments)
            {
                // Learned stations say nothing to a doctor, and there may be a million.
                if (segment.FdbEntries < 100_000) fdb.AddRange((await client.GetAsync($"segments/{ApiClient.Escape(segment.Ifname)}/fdb", ApiJson.Default.IReadOnlyListFdbEntryJson)).Where(static entry => entry.ViaIf is not null));
                if (segment.Neighbours < 100_000) neighbours.AddRange(await client.GetAsync($"segments/{ApiClient.Escape(segment.Ifname)}/neighbours", ApiJson.Default.IReadOnlyListNeighbourJson));
            }

            var peers = vtep.Details!.Cluster is null ? [] : await client.GetAsync("peers", ApiJson.Default.IReadOnlyListPeerJson);
            var heard = Ignored(now) - Ignored(vtep.Before!);
            return vtep with { Now = now, Fdb = fdb, Neighbours = neighbours, PortHeard = heard > 0, Peers = peers };
        }
        catch (HostException failure)
        {
            return vtep with { Unknown = Finding.Error(vtep.Socket, failure.Message, "see its log, or start it again") };
        }
    }

    // What comes without a VNI is ignored by every VTEP (RFC 7348, section 5), and counted here.
    private static long Ignored(VtepStatsJson stats) => stats.Drops.Where(static drop => drop.Reason == "no_vni_flag").Sum(static drop => drop.Count);

    private static void SendToOwnPort(VtepFacts vtep)
    {
        var address = vtep.Local is { } local ? IPAddress.Parse(local.ToString()) : vtep.IsIPv4 ? IPAddress.Loopback : IPAddress.IPv6Loopback;
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            for (var i = 0; i < SelfTestDatagrams; i++) socket.SendTo(new byte[VxlanHeader.Size], new IPEndPoint(address, vtep.Now!.Dstport));
        }
        catch (SocketException)
        {
            // A rule may refuse to send, too: then nothing arrives, which is what is told.
        }
    }
}
