namespace Sleeve.DataPlane.Forwarding;

/// <summary>Where a path MTU comes from.</summary>
public enum PathMtuOrigin
{
    /// <summary>Nothing is known, such as without a route: nothing is too long.</summary>
    Default,

    /// <summary>The MTU of the interface on the way.</summary>
    Link,

    /// <summary>The MTU that the route says (<c>ip route … mtu</c>).</summary>
    Route,

    /// <summary>What a router on the way answered (RFC 1191, RFC 8201).</summary>
    Learned,

    /// <summary>What a probe found.</summary>
    Probe,
}

/// <summary>The largest outer IP packet that reaches a remote whole.</summary>
/// <param name="Bytes">Bytes of it, its IP header included; 0 if nothing is known.</param>
/// <param name="Origin">Where the number comes from.</param>
public readonly record struct PathMtu(int Bytes, PathMtuOrigin Origin);
