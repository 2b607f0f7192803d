using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Offload;

/// <summary>Finishes in place a transport checksum that a local stack left for a device to finish.</summary>
public static class ChecksumFinisher
{
    private const int UdpChecksumOffset = 6;

    /// <summary>Sums from the transport header to the end and writes the field, which so far holds the pseudo-header sum.</summary>
    /// <returns>False if the facts point outside the frame; it is then unchanged.</returns>
    public static bool TryFinish(Span<byte> frame, in OffloadFacts facts)
    {
        var field = facts.ChecksumStart + facts.ChecksumOffset;
        if (facts.ChecksumStart < EthernetFrame.HeaderSize || field + 2 > frame.Length) return false;
        var checksum = InternetChecksum.Finish(InternetChecksum.Add(0, frame[facts.ChecksumStart..]));
        if (checksum == 0 && facts.ChecksumOffset == UdpChecksumOffset) checksum = 0xFFFF;
        BinaryPrimitives.WriteUInt16BigEndian(frame[field..], checksum);
        return true;
    }
}
