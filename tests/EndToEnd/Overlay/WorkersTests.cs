using System.Globalization;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// Several workers in one VTEP, more than the machine may have cores: each flow stays with one of them, both ways, and in order.
/// <code>
///     a: device under test, 4 workers ═══ veth pair ═══ b: kernel's vxlan, or Sleeve with 4 workers
/// </code>
/// </summary>
public sealed class WorkersTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Workers = 4;

    [SkippableTheory]
    [InlineData(VtepKind.Kernel, false)]
    [InlineData(VtepKind.Kernel, true)]
    [InlineData(VtepKind.Sleeve, false)]
    [InlineData(VtepKind.Sleeve, true)]
    public void Both_directions_of_a_flow_are_the_same_workers(VtepKind peer, bool ipv6)
    {
        var pair = Pair.Make(NewLab(), peer, with: static options => options with { Workers = Workers });
        Skip.If(pair.One is not SleeveVtep, "the kernel's device has no workers");
        var one = (SleeveVtep)pair.One;
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        var before = one.Stats().Workers;
        Assert.Equal(Workers, before.Count);
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, ipv6 ? Pair.Overlay2V6 : Pair.Overlay2, 20_000_000);

        var taken = one.Stats().Workers.Zip(before, static (now, then) => (Tap: now.Tap - then.Tap, Underlay: now.Underlay - then.Underlay)).ToArray();
        pair.Lab.Log(string.Join(", ", taken.Select(static each => string.Create(CultureInfo.InvariantCulture, $"{each.Tap} out {each.Underlay} in"))));
        var busiest = Array.IndexOf(taken, taken.MaxBy(static each => each.Tap));
        Assert.True(taken[busiest].Tap > 20_000_000);
        // Neighbour discovery and the like go their own ways, but they are few. What comes back is a few dozen acknowledgements.
        Assert.All(taken.Where((_, worker) => worker != busiest), static other => Assert.InRange(other.Tap, 0, 2_000));
        Assert.All(taken.Where((_, worker) => worker != busiest), static other => Assert.InRange(other.Underlay, 0, 2_000));
        Assert.True(taken[busiest].Underlay > 3_000);
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    public void Many_flows_both_ways_use_every_worker_and_keep_their_order(VtepKind peer)
    {
        const int Flows = 64, FramesEach = 500;
        var pair = Pair.Make(NewLab(), peer, with: static options => options with { Workers = Workers });
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        var ports = new[] { pair.One.OpenPort(), pair.Other.OpenPort() };
        // Both ends send at once: what comes back is what would make the kernel move a flow to another queue.
        var sending = Enumerable.Range(0, 2).Select(side => Task.Factory.StartNew(() => Send(side), TaskCreationOptions.LongRunning)).ToArray();
        var receiving = Enumerable.Range(0, 2).Select(side => Task.Factory.StartNew(() => Receive(side), TaskCreationOptions.LongRunning)).ToArray();
        Assert.True(Task.WaitAll(sending, TimeSpan.FromSeconds(30)));
        foreach (var side in receiving)
        {
            var numbers = side.Result;
            Assert.Equal(Flows, numbers.Count);
            foreach (var flow in numbers.Values)
            {
                Assert.True(flow.Zip(flow.Skip(1), static (one, next) => next > one).All(static inOrder => inOrder), "reordered or doubled");
                Assert.InRange(flow.Count, FramesEach * 95 / 100, FramesEach);
            }
        }

        if (pair.One is SleeveVtep one) Assert.All(one.Stats().Workers, static worker => Assert.True(worker is { Tap: > 0, Underlay: > 0 }));

        void Send(int side)
        {
            for (var i = 0; i < FramesEach; i++)
            {
                for (var flow = 0; flow < Flows; flow++) ports[side].SendAtOnce(Frames.Numbered(Station(1 - side, flow), Station(side, flow), i, 100));
                if (i % 2 == 1) Thread.Sleep(1);
            }
        }

        Dictionary<MacAddress, List<int>> Receive(int side)
        {
            var numbers = new Dictionary<MacAddress, List<int>>();
            while (ports[side].Receive(TimeSpan.FromSeconds(2)) is { } frame)
            {
                var source = MacAddress.Read(frame.AsSpan(6));
                if (frame.Length != 100 || !Enumerable.Range(0, Flows).Any(flow => Station(1 - side, flow) == source)) continue;
                if (!numbers.TryGetValue(source, out var flow)) numbers[source] = flow = [];
                flow.Add(Frames.NumberOf(frame));
            }

            return numbers;
        }

        static MacAddress Station(int side, int flow) => Frames.Mac((byte)((side * 0x60) + 0x10 + flow));
    }
}
