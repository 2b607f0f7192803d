using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// More than the receiving socket can hold.
/// <code>
///     a: Sleeve, stopped for a while ═══ veth pair ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class OverflowTests(ITestOutputHelper output) : LabTest(output)
{
    // Linux 6.18 kills a thread that is told of such drops (SO_RXQ_OVFL) with a TCP segment of a kernel VTEP on the same machine.
    [SkippableFact]
    public void What_does_not_fit_is_counted_and_what_comes_after_it_arrives()
    {
        const int Enough = 60_000;
        var pair = Pair.Make(NewLab(), VtepKind.Kernel);
        Skip.If(pair.One is not SleeveVtep, "the kernel's device has no socket of its own to overflow");
        var sleeve = (SleeveVtep)pair.One;
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        var port = pair.Other.OpenPort();
        sleeve.Process.Signal(LibC.SIGSTOP);
        for (var i = 0; i < Enough; i++) port.SendAtOnce(Frames.Numbered(Sleeve.DataPlane.Wire.MacAddress.Broadcast, Frames.Mac(0x51), i, 100));
        sleeve.Process.Signal(LibC.SIGCONT);

        Traffic.TransferByTcp(pair.Other.Host, pair.One.Host, Pair.Overlay1, 20_000_000);
        Traffic.TransferByTcp(pair.One.Host, pair.Other.Host, Pair.Overlay2, 20_000_000);
        Assert.InRange(sleeve.Stats().SocketDrops, 1, 2 * Enough);
    }
}
