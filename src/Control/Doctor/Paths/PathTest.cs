using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>
/// Tests the path to a VTEP: by echo messages where it is a Sleeve that knows us, else by what any host answers. Runs in the VTEP's process, so that source ports, filters
/// and routes are those of frames. Some seconds; at most 600 datagrams.
/// </summary>
/// <param name="talk">With whom.</param>
/// <param name="vtep">Who asks.</param>
/// <param name="report">Takes the lines of the answer, in order.</param>
/// <param name="stop">Ends it.</param>
internal sealed class PathTest(EchoTalk talk, Vtep vtep, Func<PathLineJson, Task> report, CancellationToken stop)
{
    private const int Paths = 8;
    private const int PingsEach = 25;
    private const int Bursts = 4;
    private const int BurstSize = 32;
    private const int ProbePatienceMilliseconds = 300;
    private const int MtuAttempts = 3;

    private readonly InternetAddress _remote = talk.Remote.Address.Address;
    private PathResultJson _result = new(talk.Segment.Options.Name, talk.Remote.Address.Address.ToString(), false);

    /// <summary>Runs it.</summary>
    public async Task RunAsync()
    {
        using var host = RouteNetlink.Open();
        var local = vtep.Options.Local;
        var known = new RouteMtuReader(host, local).Read(_remote, talk.Remote.InterfaceIndex);
        var most = known.Route > 0 && known.Route < known.Link ? known.Route : known.Link;
        if (most == 0)
        {
            await FindAsync("route", Finding.Error("", $"there is no route to {_remote}", $"ip route get {_remote}"));
            await report(new PathLineJson { Result = _result });
            return;
        }

        await FindAsync("route", Finding.Ok("", $"by {NameOf(host, local)}, which takes packets of {most} bytes"));
        await StepAsync("asking the UDP port", 5);
        var errno = await Task.Run(AskPort, stop);
        await StepAsync("asking by echo", 10);
        var first = EchoSummary.Of(await talk.PingAsync(Paths, 3, EchoMessage.Size, TimeSpan.FromMilliseconds(5)), Paths);
        if (first.Answered == 0) await WithoutEchoAsync(errno, first, most);
        else await WithEchoAsync(most);
        await report(new PathLineJson { Result = _result, Percent = 100 });
    }

    private async Task WithEchoAsync(int most)
    {
        _result = _result with { Echo = true };
        await FindAsync("reach", Finding.Ok("", $"{_remote} is a Sleeve, and answers echo requests on UDP port {talk.Remote.Address.Port}"));
        await StepAsync("round-trip times, loss and order", 15);
        var run = await talk.PingAsync(Paths, PingsEach, EchoMessage.Size, TimeSpan.FromMilliseconds(4));
        await JudgePingsAsync(run, EchoSummary.Of(run, Paths));
        await StepAsync("the largest packet", 45);
        await MeasureMtuAsync(most);
        await StepAsync("bursts that the kernel cuts", 85);
        await MeasureBurstsAsync(most);
    }

    private async Task JudgePingsAsync(EchoRun run, EchoSummary all)
    {
        _result = _result with
        {
            RoundTripUs = all.RoundTrip,
            Sent = all.Sent,
            LostThere = all.Sent - Math.Max(all.Arrived, all.Answered),
            LostBack = Math.Max(all.Arrived - all.Answered, 0),
            LateThere = all.Late,
            Flows = [.. all.Paths.Select((path, number) => new PathFlowJson(talk.SourcePort(run, number), path.Sent, path.Answered, path.Median))],
        };
        var rtt = all.RoundTrip!;
        await FindAsync("rtt", Finding.Ok("", Text($"{rtt.Median:0} µs (median; {rtt.Min:0} to {rtt.Max:0}, 99 % below {rtt.P99:0}), of which the far end took {all.FarEnd:0} µs")));
        var dead = _result.Flows.Where(static flow => flow is { Sent: > 0, Answered: 0 }).ToArray();
        foreach (var flow in dead.Take(4))
            await FindAsync("flows", Finding.Error($"source port {flow.SourcePort}", $"none of {flow.Sent} requests was answered, while others were: one of several paths (ECMP, a bond) is dead, or a filter goes by source ports", $"look at each link of the bundle; a filter must let UDP source ports {vtep.Options.SourcePortMin}-{vtep.Options.SourcePortMax} pass"));
        if (dead.Length == 0) await FindAsync("flows", Finding.Ok("", $"{_result.Flows.Count} source ports were tried, and all get through"));

        var lost = all.Sent - all.Answered;
        if (dead.Length > 0) lost -= dead.Sum(static flow => flow.Sent);
        await FindAsync("loss", lost <= 1
            ? Finding.Ok("", lost == 0 ? $"none of {all.Sent} requests was lost" : $"1 of {all.Sent} requests was lost")
            : Finding.Warning("", Text($"{100.0 * lost / all.Sent:0.#} % of {all.Sent} requests were lost: {_result.LostThere} on the way there, {_result.LostBack} on the way back"),
                _result.LostThere > 2 * _result.LostBack ? "look at what is sent: tc -s qdisc show, ip -s link; there: nstat -az UdpRcvbufErrors" : _result.LostBack > 2 * _result.LostThere ? $"look at {_remote}: tc -s qdisc show, ip -s link; here: sleeve doctor" : "look at the links in between, both ways: ip -s link, ethtool -S"));
        await FindAsync("order", all.Late == 0 ? Finding.Ok("", "requests came in the order in which they were sent")
            : Finding.Warning("", $"{all.Late} of {all.Arrived} requests of a flow came late: something on the way sends packets of one flow by several links", "a bond in mode balance-rr, or a router that spreads packets and not flows: spread by addresses and ports instead"));
        if (run.Duplicates > 0) await FindAsync("order", Finding.Warning("", $"{run.Duplicates} answers came twice: something on the way doubles packets", "look for a mirror port, a loop in the underlay, or VRRP gone wrong"));
        if (run.Elsewhere > 0) await FindAsync("symmetry", Finding.Warning("", $"answers come from another address than {_remote}: frames from there are taken for another VTEP's", "there: give it --local with the address that is configured here"));
    }

    private async Task MeasureMtuAsync(int most)
    {
        var need = talk.Segment.Mtu + Overhead.For(_remote);
        var there = await FindMtuAsync(most, EchoWishes.Brief);
        // The answer is as long as the request, so no more than what gets there can be known of the way back.
        var back = there is > 0 and var arrives ? await FindMtuAsync(arrives, EchoWishes.DontFragment) : null;
        _result = _result with { MtuThere = there, MtuBack = back };
        foreach (var (way, mtu) in new[] { ("the way there", there), ("the way back", back) })
        {
            if (mtu is not { } bytes) continue;
            if (bytes >= Math.Min(need, most)) await FindAsync("mtu", Finding.Ok(way, $"packets of {bytes} bytes arrive whole"));
            else
                await FindAsync("mtu", Finding.Warning(way, $"packets of more than {bytes} bytes do not arrive whole, and the overlay's are up to {need}: without ICMP nobody is told, and transfers hang",
                    $"ip link set {talk.Segment.Options.Name} mtu {bytes - Overhead.For(_remote)}, on every host of the segment; or let the path carry {need} bytes"));
        }

        if (there < Math.Min(need, most) && _remote.IsIPv4)
        {
            var cut = EchoSummary.Of(await talk.PingAsync(1, 4, most - talk.HeaderBytes, TimeSpan.FromMilliseconds(10), EchoWishes.Brief));
            await FindAsync("mtu", cut.Answered > 0
                ? Finding.Ok("the way there", $"without DF, packets of {most} bytes arrive: they are fragmented, which costs time")
                : Finding.Error("the way there", $"without DF, packets of {most} bytes do not arrive either: large frames are lost", $"ip link set {talk.Segment.Options.Name} mtu {there - Overhead.For(_remote)}"));
        }
    }

    // By halving, between what surely arrives and what the interface takes; null if not even the smallest does.
    private async Task<int?> FindMtuAsync(int most, EchoWishes flags)
    {
        if (!_remote.IsIPv4)
        {
            // An IPv6 socket of frames cuts what is too long for the path, so another has to ask.
            if (flags != EchoWishes.Brief) return null;
            var probed = await Task.Run(() => new PathMtuProbe(vtep.Options.Local, stop).Run(_remote, talk.Remote.Address.Port, most), stop);
            return probed.Verdict == ProbeResult.Unreachable ? null : probed.Mtu;
        }

        if (await ArrivesAsync(most, flags)) return most;
        var (arrives, vanishes) = (EchoMessage.Size + talk.HeaderBytes, most);
        while (vanishes - arrives > 1)
        {
            var middle = (arrives + vanishes) / 2;
            if (await ArrivesAsync(middle, flags)) arrives = middle;
            else vanishes = middle;
        }

        return arrives;
    }

    private async Task<bool> ArrivesAsync(int packet, EchoWishes flags)
    {
        var run = await talk.PingAsync(1, MtuAttempts, packet - talk.HeaderBytes, TimeSpan.FromMilliseconds(2), flags, isWhole: true);
        return run.Replies > 0;
    }

    private async Task MeasureBurstsAsync(int most)
    {
        var length = Math.Min(most, _result.MtuThere ?? most) - talk.HeaderBytes;
        var single = EchoSummary.Of(await talk.PingAsync(1, 2 * BurstSize, length, TimeSpan.FromMilliseconds(2), EchoWishes.Brief));
        var burst = EchoSummary.Of(await talk.BurstAsync(Bursts, BurstSize, length, TimeSpan.FromMilliseconds(50), EchoWishes.Brief));
        _result = _result with { Burst = new BurstJson(burst.Sent, Math.Max(burst.Arrived, burst.Answered), burst.Merged, burst.Late) };
        var (lostSingle, lostBurst) = (1 - ((double)single.Answered / Math.Max(single.Sent, 1)), 1 - ((double)_result.Burst.Arrived / Math.Max(burst.Sent, 1)));
        await FindAsync("offload", burst.Answered == 0 && single.Answered > 0
            ? Finding.Error("", "datagrams of full size arrive one by one, and none of those that the kernel cuts out of one message: an offload on the way is broken", "ethtool -K DEV tx-udp-segmentation off, tx off; or sleeve up … --tx-offload none")
            : lostBurst > lostSingle + 0.1
                ? Finding.Warning("", Text($"of bursts of {BurstSize} datagrams {100 * lostBurst:0} % are lost, of single ones {100 * lostSingle:0} %: a queue on the way is short, or a rate limited"), "tc -s qdisc show, ethtool -S DEV on the way; sleeve bench measures the rate that passes")
                : Finding.Ok("", $"{_result.Burst.Arrived} of {burst.Sent} datagrams of bursts arrived; tx-offload {vtep.TransmitOffload.Offload.Name()} here, {(burst.Merged > 0 ? $"{burst.Merged} merged" : "none merged")} there (udp-gro)"));
    }

    private async Task WithoutEchoAsync(int errno, EchoSummary first, int most)
    {
        var port = talk.Remote.Address.Port;
        var before = talk.Remote.Counters.DatagramsReceived;
        if (errno == LibC.ECONNREFUSED)
        {
            await FindAsync("reach", Finding.Error("", $"{_remote} says that nobody listens on its UDP port {port}: no VTEP runs there, or it has another port", $"there: start it, with dstport {port}; a firewall that rejects says the same"));
            return;
        }

        if (first.NotSent is { } reason) await FindAsync("reach", Finding.Error("", $"nothing could be sent to {_remote}: {DropReasons.Describe(reason)}", $"ip route get {_remote}; nft list ruleset"));
        else if (errno is LibC.EHOSTUNREACH or LibC.ENETUNREACH or LibC.EACCES or LibC.EPERM)
            await FindAsync("reach", Finding.Error("", $"{_remote} cannot be reached: {ErrnoException.Describe(errno)}, says a host or router on the way", $"ip neigh show {_remote}; traceroute {_remote}; look for a filter that rejects"));
        await StepAsync("asking by ICMP", 40);
        var probed = await Task.Run(() => new PathMtuProbe(vtep.Options.Local, stop).Run(_remote, port, most), stop);
        var isAlive = probed.Verdict is ProbeResult.Confirmed or ProbeResult.BlackHole;
        if (first.NotSent is null && errno == 0)
        {
            var heard = talk.Remote.Counters.DatagramsReceived;
            var when = heard > before ? $"{heard - before} datagrams came from it meanwhile" : $"{heard} datagrams have come from it, though none meanwhile";
            await FindAsync("reach", (isAlive, heard) switch
            {
                (true, > 0) => Finding.Ok("", $"{_remote} answers pings, and {when}: a VTEP of another make, or a Sleeve that does not answer echo requests; loss, order and round trips cannot be measured from here"),
                (true, _) => Finding.Warning("", $"{_remote} answers pings, but no echo request, and no VXLAN datagram has ever come from it: UDP port {port} is filtered on the way, or it does not have us among its VTEPs, or it has been silent",
                    $"there: is {Own()} a remote of VNI {talk.Segment.Options.Vni}? tcpdump -ni any udp port {port} on both hosts shows how far datagrams come"),
                (false, > 0) => Finding.Ok("", $"{_remote} answers neither pings nor echo requests, but {when}: its host answers no pings"),
                _ => Finding.Error("", $"{_remote} answers nothing, neither pings nor echo requests: it is down, or a filter lets nothing through", $"ping {_remote}; traceroute -U -p {port} {_remote}"),
            });
        }

        if (!isAlive) return;
        _result = _result with { MtuThere = probed.Mtu };
        var need = talk.Segment.Mtu + Overhead.For(_remote);
        await FindAsync("mtu", probed.Mtu >= Math.Min(need, most) ? Finding.Ok("", $"pings of {probed.Mtu} bytes get through")
            : Finding.Warning("", $"pings of more than {probed.Mtu} bytes do not get through, and the overlay's packets are up to {need}", $"ip link set {talk.Segment.Options.Name} mtu {probed.Mtu - Overhead.For(_remote)}, on every host of the segment"));
    }

    // What the host says to a datagram that every VTEP ignores.
    private int AskPort()
    {
        try
        {
            using var socket = ProbeSocket.Udp(Bytes(vtep.Options.Local.IsIPv4 == _remote.IsIPv4 ? vtep.Options.Local : _remote.IsIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6), Bytes(_remote), talk.Remote.Address.Port);
            Span<byte> nothing = stackalloc byte[VxlanHeader.Size], answer = stackalloc byte[64];
            nothing.Clear();
            for (var attempt = 0; attempt < 2; attempt++)
            {
                var errno = socket.Send(nothing);
                if (errno == 0) errno = socket.Await(answer, ProbePatienceMilliseconds).Errno;
                if (errno != 0) return errno;
            }

            return 0;
        }
        catch (ErrnoException failure)
        {
            return failure.Errno;
        }
    }

    private string Own() => vtep.Options.Local.IsUnspecified ? "this host" : vtep.Options.Local.ToString();

    private string NameOf(RouteNetlink host, InternetAddress local) =>
        host.TryGetRoute(_remote, local.IsUnspecified || local.IsIPv4 != _remote.IsIPv4 ? null : local, talk.Remote.InterfaceIndex, out _) is { } route && host.FindLink(route.LinkIndex) is { } link ? link.Name : "the route";

    private static byte[] Bytes(InternetAddress address)
    {
        var bytes = new byte[address.Size];
        address.Write(bytes);
        return bytes;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private Task StepAsync(string step, int percent) => report(new PathLineJson { Step = step, Percent = percent });

    private Task FindAsync(string check, Finding finding) => report(new PathLineJson { Finding = DoctorScreen.Of(check, finding) });
}
