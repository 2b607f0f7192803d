using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Networks;

/// <summary>Views of a network made by hand: hosts h1, h2 … with VTEPs 192.0.2.1, 192.0.2.2 …</summary>
internal static class Views
{
    internal const string Self = "h1";

    internal static NetworkRecord Record { get; } = new("net", "0123456789abcdef", new Vni(100))
    {
        Subnets = [Prefix("10.1.0.0/24"), Prefix("fd00::/64")],
        Gateways = [Ip("10.1.0.1")],
    };

    internal static NetworkView Empty { get; } = new() { Record = new Published<NetworkRecord>(Record, "h1", 1) };

    internal static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);

    internal static VtepAddress At(int host) => new(Ip(string.Create(CultureInfo.InvariantCulture, $"192.0.2.{host}")), 4789);

    internal static Segment NewSegment(string name = "sl-100") => new(
        new SegmentOptions { Vni = new Vni(100), Name = name, Proxy = true, Learning = true, SuppressUnknown = true, SuppressResolution = true, GatewayMac = Mac("02:53:4c:00:00:64") }, At(1));

    internal static NetworkView With(this NetworkView view, params ReadOnlySpan<int> members)
    {
        foreach (var host in members)
            view = view with { Members = view.Members.SetItem($"h{host}", new Published<MemberRecord>(new MemberRecord(At(host).Address, 4789), $"h{host}", 1)) };
        return view;
    }

    internal static NetworkView Without(this NetworkView view, int member) => view with { Members = view.Members.Remove($"h{member}") };

    internal static NetworkView With(this NetworkView view, int host, string id, long version, MacAddress mac, params string[] addresses) => view with
    {
        Endpoints = view.Endpoints.SetItem(($"h{host}", id), new Published<EndpointRecord>(new EndpointRecord(id, mac, [.. addresses.Select(Ip)]) { Vtep = At(host).Address }, $"h{host}", version)),
    };

    internal static NetworkView Without(this NetworkView view, int host, string id) => view with { Endpoints = view.Endpoints.Remove(($"h{host}", id)) };
}
