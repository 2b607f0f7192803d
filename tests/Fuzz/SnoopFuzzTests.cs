using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>Hostile bytes for what listens to ARP and neighbour discovery: whatever is taken for a claim stands in the frame, and the table stays whole.</summary>
public sealed class SnoopFuzzTests
{
    private const int Cases = 300_000;

    [Theory]
    [InlineData(826)]
    [InlineData(4861)]
    public void A_claim_is_what_stands_in_the_frame_and_nothing_throws(int seed)
    {
        var random = new Random(seed);
        var mutator = new Mutator(random, [.. Corpus.Frames, .. Seeds()]);
        var segment = new Segment(
            new SegmentOptions { Vni = new Vni(1), Name = "fuzz", Proxy = true, NeighbourSnooping = true }, new VtepAddress(InternetAddress.FromIPv4(0x0A000001), 4789));
        var claims = 0;
        for (var i = 0; i < Cases; i++)
        {
            var frame = mutator.Next();
            if (!InnerHeaders.TryParse(frame, out var headers)) continue;
            _ = AddressResolution.IsRequest(frame, headers);
            if (!AddressClaim.TryParse(frame, headers, out var claim)) continue;
            claims++;
            var address = new byte[claim.Address.Size];
            claim.Address.Write(address);
            var isArp = frame[12] == 8 && frame[13] == 6;
            Assert.Equal(frame[6..12], Craft.Mac(claim.Mac.Value));
            Assert.Equal(address, isArp ? frame[28..32] : frame[62..78]);
            if (isArp) Assert.Equal(frame[6..12], frame[22..28]);
            Assert.True(isArp || (frame[54] == 136 && frame[55] == 0 && frame[21] == 255), Convert.ToHexString(frame));
            segment.Neighbours.Snooped!.Note(claim, random.Next(2) == 0, i);
            Assert.DoesNotContain(segment.Neighbours.Snooped.Snapshot(i).Take(1), neighbour => neighbour.Mac.IsGroup || neighbour.Address.IsMulticast);
        }

        Assert.InRange(claims, 1000, Cases);
        Assert.InRange(segment.Neighbours.Snooped!.Snapshot(Cases).Count, 1, SnoopedNeighbours.Capacity);
    }

    private static IEnumerable<byte[]> Seeds()
    {
        const ulong Station = 0x0200_0000_0042;
        var (target, nodes) = (Craft.Address6("fd00::42"), Craft.Address6("ff02::1"));
        yield return Craft.Ethernet(Craft.Broadcast, Station, 0x0806, Craft.Arp(1, Station, 0x0A010042, 0, 0x0A010002));
        yield return Craft.Ethernet(0x0200_0000_0001, Station, 0x0806, Craft.Arp(2, Station, 0x0A010042, 0x0200_0000_0001, 0x0A010001));
        byte[] message = [136, 0, 0, 0, 0x20, 0, 0, 0, .. target, 2, 1, .. Craft.Mac(Station)];
        var sum = Craft.TransportChecksum(target, nodes, 58, message);
        (message[2], message[3]) = ((byte)(sum >> 8), (byte)sum);
        yield return Craft.Ethernet(0x3333_0000_0001, Station, 0x86DD, Craft.IPv6(target, nodes, 58, message, 255));
    }
}
