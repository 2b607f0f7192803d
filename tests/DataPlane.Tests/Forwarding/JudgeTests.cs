using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>What learning would come to, asked beforehand, is what it comes to; asking changes nothing.</summary>
public class JudgeTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_verdict_is_what_learning_comes_to(bool learning)
    {
        var random = new Random(11);
        var options = new SegmentOptions { Vni = new Vni(1), Name = "t", Learning = learning, MaxAddress = 12 };
        var segment = new Segment(options, new VtepAddress(Address(1), 4789));
        segment.Fdb.Add(Mac(3), new VtepAddress(Address(5), 4789), options.Vni, EntryKind.Static, 0);
        for (var i = 0; i < 5000; i++)
        {
            var (mac, sender) = (Mac(random.Next(20)), Address(2 + random.Next(5)));
            var (before, entry) = (segment.Fdb.Count, segment.Fdb.Show(mac, i));
            var verdict = segment.Fdb.Judge(mac, sender);
            Assert.Equal((before, entry), (segment.Fdb.Count, segment.Fdb.Show(mac, i)));
            Assert.Equal(verdict, segment.Fdb.Learn(mac, sender, i));
            if (random.Next(100) == 0) segment.Fdb.Flush(all: false, i);
        }
    }

    private static MacAddress Mac(int number) => MacAddress.FromValue(0x0200_0000_0000UL + (uint)number);

    private static InternetAddress Address(int number) => InternetAddress.FromIPv4(0x0A00_0000 + (uint)number);
}
