using System.Buffers.Binary;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>Tells the kernel what a message's outer headers say where that is not what its socket does by itself (ip(7), ipv6(7)).</summary>
internal static class OuterControl
{
    /// <summary>Has the message begun last leave by one interface.</summary>
    /// <param name="sender">The messages.</param>
    /// <param name="interfaceIndex">The interface.</param>
    /// <param name="local">The address that its socket sends from; unspecified for the route's.</param>
    internal static void WriteInterface(DatagramSender sender, int interfaceIndex, InternetAddress local)
    {
        Span<byte> source = stackalloc byte[4];
        if (local.IsIPv4) local.Write(source);
        sender.LeaveBy(interfaceIndex, local.IsIPv4 ? source : []);
    }

    /// <summary>Adds to the message begun last.</summary>
    internal static void Write(DatagramSender sender, OuterClass outer, bool isIPv4)
    {
        if (isIPv4)
        {
            if (outer.TypeOfService != 0) sender.AddControl(LibC.IPPROTO_IP, LibC.IP_TOS, outer.TypeOfService);
            if (outer.TimeToLive != 0) sender.AddControl(LibC.IPPROTO_IP, LibC.IP_TTL, outer.TimeToLive);
            return;
        }

        if (outer.TypeOfService != 0) sender.AddControl(LibC.IPPROTO_IPV6, LibC.IPV6_TCLASS, outer.TypeOfService);
        if (outer.TimeToLive != 0) sender.AddControl(LibC.IPPROTO_IPV6, LibC.IPV6_HOPLIMIT, outer.TimeToLive);
        if (outer.FlowLabel == 0) return;
        var label = BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(outer.FlowLabel) : outer.FlowLabel;
        sender.AddControl(LibC.IPPROTO_IPV6, LibC.IPV6_FLOWINFO, label);
    }
}
