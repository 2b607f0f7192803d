using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// One destination of a segment: a VTEP, the VNI to use towards it, and perhaps the interface. Immutable but for its bookkeeping; one object for one destination, so
/// that references can be compared and counters have a home.
/// </summary>
public sealed class Remote
{
    private long _datagramsSent;
    private long _bytesSent;
    private long _datagramsReceived;
    private long _bytesReceived;
    private long _drops;
    private int _pathMtu;
    private int _pathMtuOrigin;
    private int _frameLimit = int.MaxValue;

    internal Remote(VtepAddress address, VxlanHeader header, bool isSelf, int number, int interfaceIndex = 0)
    {
        Address = address;
        Header = header;
        IsSelf = isSelf;
        IsNull = address.Address.IsUnspecified;
        IsGroup = address.Address.IsMulticast;
        Number = number;
        InterfaceIndex = interfaceIndex;
        Alone = new ReplicationList([this]);
    }

    /// <summary>Where datagrams go.</summary>
    public VtepAddress Address { get; }

    /// <summary>The VNI they carry; the segment's own unless an FDB entry says otherwise.</summary>
    public Vni Vni => Header.Vni;

    /// <summary>Index of the underlay interface that they leave by (via of bridge(8)); 0 lets the route, or the VTEP's own interface, decide.</summary>
    public int InterfaceIndex { get; }

    /// <summary>The VXLAN header they carry: the VNI, and the segment's group policy.</summary>
    public VxlanHeader Header { get; }

    /// <summary>True if the address is this VTEP's own: nothing is ever sent there, it would only come back.</summary>
    public bool IsSelf { get; }

    /// <summary>True for 0.0.0.0 and ::, which an operator sets to have frames dropped.</summary>
    public bool IsNull { get; }

    /// <summary>True for a multicast group, which is no VTEP: nothing is ever received from it.</summary>
    public bool IsGroup { get; }

    /// <summary>True while a static or permanent FDB entry names it, or the same address with another port, VNI or interface.</summary>
    public bool IsConfigured => Volatile.Read(ref ConfiguredEntries) > 0;

    /// <summary>The list of only this remote.</summary>
    public ReplicationList Alone { get; }

    /// <summary>Datagrams the kernel took, VXLAN and frame bytes in them; datagrams admitted from it; datagrams that could not be sent.</summary>
    public RemoteCounters Counters => new(
        Interlocked.Read(ref _datagramsSent), Interlocked.Read(ref _bytesSent), Interlocked.Read(ref _datagramsReceived), Interlocked.Read(ref _bytesReceived), Interlocked.Read(ref _drops));

    /// <summary>The path MTU, as far as it is known. Whoever watches the host's routes sets it, at any time.</summary>
    public PathMtu PathMtu
    {
        get => new(Volatile.Read(ref _pathMtu), (PathMtuOrigin)Volatile.Read(ref _pathMtuOrigin));
        set
        {
            Volatile.Write(ref _pathMtu, value.Bytes);
            Volatile.Write(ref _pathMtuOrigin, (int)value.Origin);
            Volatile.Write(ref _frameLimit, value.Bytes == 0 ? int.MaxValue : InnerMtu + EthernetFrame.HeaderSize);
        }
    }

    /// <summary>Bytes that the last probe of the path found; 0 if there was none.</summary>
    public int ProbedMtu { get; private set; }

    /// <summary>How sure the last probe is; null if there was none.</summary>
    public string? ProbeVerdict { get; private set; }

    /// <summary>Notes what a probe found, for whoever reads it; only <see cref="PathMtu"/> counts.</summary>
    public void SetProbe(int mtu, string? verdict) => (ProbedMtu, ProbeVerdict) = (mtu, verdict);

    /// <summary>Bytes of the largest inner IP packet, untagged, that fits the path in one piece; <see cref="int.MaxValue"/> if nothing is known.</summary>
    public int InnerMtu => Volatile.Read(ref _pathMtu) is > 0 and var mtu ? Math.Max(mtu - Overhead.For(Address.Address), 0) : int.MaxValue;

    /// <summary>Whether a frame, from its Ethernet header to the end of its IP packet, does not fit the path in one piece.</summary>
    internal bool IsTooLong(int frameLength) => frameLength > Volatile.Read(ref _frameLimit);

    /// <summary>
    /// True while a static or permanent FDB entry names a VTEP at its address: only then datagrams from there are admitted under
    /// <see cref="Admission.Peers"/>. Known of the remote with the segment's own port and VNI and no interface; never true of this VTEP itself or of a null address.
    /// </summary>
    internal bool IsAdmitted => Volatile.Read(ref AdmittingEntries) > 0;

    /// <summary>Static and permanent FDB entries that keep it from being forgotten; changed under the table's lock.</summary>
    internal int ConfiguredEntries;

    /// <summary>Static and permanent FDB entries for which datagrams from its address are admitted; changed under the table's lock, read by anybody.</summary>
    internal int AdmittingEntries;

    /// <summary>Dynamic FDB entries that lead to it; under the table's lock.</summary>
    internal int Stations;

    /// <summary>When an entry last named it, in milliseconds of the segment's clock; under the table's lock.</summary>
    internal long LastUsedMilliseconds;

    /// <summary>Spreads remotes over the slots of a <see cref="RemoteTally"/>: counts the remotes of a segment as they are made.</summary>
    internal int Number { get; }

    // Several workers count here, by a locked instruction for each number: a RemoteTally adds up what a batch has for it first.
    internal void Count(in RemoteCounters more)
    {
        if (more.DatagramsSent != 0) Interlocked.Add(ref _datagramsSent, more.DatagramsSent);
        if (more.BytesSent != 0) Interlocked.Add(ref _bytesSent, more.BytesSent);
        if (more.DatagramsReceived != 0) Interlocked.Add(ref _datagramsReceived, more.DatagramsReceived);
        if (more.BytesReceived != 0) Interlocked.Add(ref _bytesReceived, more.BytesReceived);
        if (more.Drops != 0) Interlocked.Add(ref _drops, more.Drops);
    }

    /// <inheritdoc/>
    public override string ToString() => InterfaceIndex == 0 ? $"{Address} vni {Vni}" : $"{Address} vni {Vni} via {InterfaceIndex}";
}

/// <summary>What went to and came from a remote since it became known.</summary>
/// <param name="DatagramsSent">Datagrams the kernel took.</param>
/// <param name="BytesSent">UDP payload bytes in them.</param>
/// <param name="DatagramsReceived">Datagrams admitted.</param>
/// <param name="BytesReceived">UDP payload bytes in them.</param>
/// <param name="Drops">Datagrams that could not be sent, whatever the reason.</param>
public readonly record struct RemoteCounters(long DatagramsSent, long BytesSent, long DatagramsReceived, long BytesReceived, long Drops);
