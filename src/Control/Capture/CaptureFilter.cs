using System.Globalization;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Capture;

/// <summary>Which packets a capture shows. Every word must hold.</summary>
internal sealed class CaptureFilter
{
    /// <summary>What the words may be.</summary>
    public const string Allowed = "mac MAC, ip IP, vtep IP, vni N, arp, drop, in, out, inner or outer";

    private readonly List<Func<Seen, bool>> _conditions = [];

    /// <summary>True if there is no condition.</summary>
    public bool IsEmpty => _conditions.Count == 0;

    /// <summary>Reads the words.</summary>
    /// <param name="words">As given.</param>
    /// <param name="filter">The filter.</param>
    /// <param name="error">What is wrong.</param>
    public static bool TryParse(IReadOnlyList<string> words, out CaptureFilter filter, out string? error)
    {
        filter = new CaptureFilter();
        error = null;
        for (var i = 0; i < words.Count && error is null; i++)
        {
            var word = words[i];
            var value = word is "mac" or "ip" or "vtep" or "vni" && i + 1 < words.Count ? words[++i] : "";
            Func<Seen, bool>? condition = word switch
            {
                "arp" => static seen => seen.Headers is { EtherType: EtherType.Arp },
                "drop" => static seen => seen.IsDropped,
                "in" => static seen => seen.Point is CapturePoint.FromUnderlay or CapturePoint.ToTap,
                "out" => static seen => seen.Point is CapturePoint.FromTap or CapturePoint.ToUnderlay,
                "inner" => static seen => seen.Point is CapturePoint.FromTap or CapturePoint.ToTap,
                "outer" => static seen => seen.Point is CapturePoint.FromUnderlay or CapturePoint.ToUnderlay,
                "mac" when MacAddress.TryParse(value, out var mac) => seen => seen.Headers is { } headers && (headers.Source == mac || headers.Destination == mac),
                "ip" when InternetAddress.TryParse(value, out var ip) => seen => seen.Source == ip || seen.Target == ip,
                "vtep" when InternetAddress.TryParse(value, out var vtep) => seen => seen.Peer == vtep,
                "vni" when uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var vni) && vni <= Vni.MaxValue => seen => seen.Vni == vni,
                _ => null,
            };
            if (condition is not null) filter._conditions.Add(condition);
            else error = $"{(value.Length > 0 ? $"{word} {value}" : word)}: is no filter; must be {Allowed}";
        }

        return error is null;
    }

    /// <summary>Whether a packet is to be shown.</summary>
    public bool Matches(in CapturedPacket packet)
    {
        if (_conditions.Count == 0) return true;
        var seen = Seen.Of(packet);
        foreach (var condition in _conditions)
            if (!condition(seen)) return false;
        return true;
    }

    // What the conditions look at, found once a packet.
    private sealed record Seen(CapturePoint Point, bool IsDropped, uint Vni, InnerHeaders? Headers, InternetAddress? Source, InternetAddress? Target, InternetAddress? Peer)
    {
        public static Seen Of(in CapturedPacket packet)
        {
            var bytes = packet.Bytes;
            InternetAddress? peer = null;
            if (packet.Point is CapturePoint.FromUnderlay or CapturePoint.ToUnderlay)
            {
                var isOut = packet.Point == CapturePoint.ToUnderlay;
                var isIPv4 = bytes.Length > 0 && bytes[0] >> 4 == 4;
                var size = isIPv4 ? 28 : 48;
                if (bytes.Length >= size) peer = isIPv4 ? InternetAddress.ReadIPv4(bytes[(isOut ? 16 : 12)..]) : InternetAddress.ReadIPv6(bytes[(isOut ? 24 : 8)..]);
                bytes = bytes[Math.Min(bytes.Length, size + VxlanHeader.Size)..];
            }

            if (!InnerHeaders.TryParse(bytes, out var headers)) return new Seen(packet.Point, packet.Drop is not null, packet.Vni, null, null, null, peer);
            var (source, target) = AddressesOf(bytes, headers);
            return new Seen(packet.Point, packet.Drop is not null, packet.Vni, headers, source, target, peer);
        }

        private static (InternetAddress? Source, InternetAddress? Target) AddressesOf(ReadOnlySpan<byte> frame, in InnerHeaders headers)
        {
            if (headers.EtherType == EtherType.Arp && ArpPacket.TryParse(frame[headers.NetworkOffset..], out var arp)) return (arp.SenderAddress, arp.TargetAddress);
            // A packet that was cut short for the capture has its addresses all the same.
            var packet = frame[headers.NetworkOffset..];
            return headers.EtherType switch
            {
                EtherType.IPv4 when packet.Length >= 20 => (InternetAddress.ReadIPv4(packet[12..]), InternetAddress.ReadIPv4(packet[16..])),
                EtherType.IPv6 when packet.Length >= 40 => (InternetAddress.ReadIPv6(packet[8..]), InternetAddress.ReadIPv6(packet[24..])),
                _ => (null, null),
            };
        }
    }
}
