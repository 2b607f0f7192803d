using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>Segments of VNI 100 on a VTEP at 10.0.0.1:4789, and short names for addresses.</summary>
internal static class Segments
{
    internal const ushort Port = 4789;
    internal static readonly Vni OwnVni = new(100);
    internal static readonly VtepAddress Self = Vtep(1);

    internal static Segment Make(Func<SegmentOptions, SegmentOptions>? change = null, VtepAddress? self = null)
    {
        var options = new SegmentOptions { Vni = OwnVni, Name = "test" };
        return new Segment(change is null ? options : change(options), self ?? Self);
    }

    internal static InternetAddress Address(int last) => InternetAddress.FromIPv4(0x0A00_0000 + (uint)last);

    internal static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    internal static VtepAddress Vtep(int last, ushort port = Port) => new(Address(last), port);

    internal static MacAddress Mac(ulong number) => MacAddress.FromValue(0x0200_0000_0000 + number);
}
