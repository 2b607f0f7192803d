namespace Sleeve.DataPlane.Forwarding;

/// <summary>Whether routers may fragment what is sent over IPv4 (df).</summary>
public enum DontFragmentRule
{
    /// <summary>They may.</summary>
    Unset,

    /// <summary>They may not.</summary>
    Set,

    /// <summary>As the frame says: DF of an untagged IPv4 packet; never for IPv6, which has no fragmentation on the way; otherwise they may.</summary>
    Inherit,
}

/// <summary>What the outer IP headers of a segment's datagrams say; ip-link(8)'s names in parentheses. ECN is carried whatever stands here (RFC 6040).</summary>
public sealed record OuterOptions
{
    /// <summary>The value that copies the inner packet's, where there is one.</summary>
    public const int Inherit = -1;

    /// <summary>TOS or traffic class without its ECN bits (tos), 0 to 252, or <see cref="Inherit"/>; frames that are not IP have 0 then. Default 0.</summary>
    public int TypeOfService { get; init; }

    /// <summary>TTL or hop limit (ttl), 1 to 255; 0: the route's, 1 to a group; or <see cref="Inherit"/>, 64 for frames that are not IP. Default 0.</summary>
    public int TimeToLive { get; init; }

    /// <summary>DF (df), IPv4 underlay only. Default unset.</summary>
    public DontFragmentRule DontFragment { get; init; }

    /// <summary>Flow label (flowlabel), IPv6 underlay only, 1 to 1048575; 0: the kernel's own; or <see cref="Inherit"/>. Default 0.</summary>
    public int FlowLabel { get; init; }
}
