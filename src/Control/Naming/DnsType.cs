namespace Sleeve.Control.Naming;

/// <summary>Types of records and questions (RFC 1035, section 3.2.2, and the registry of IANA): those that are told apart here.</summary>
internal static class DnsType
{
    /// <summary>IPv4 address.</summary>
    public const ushort A = 1;

    /// <summary>Name server of a zone.</summary>
    public const ushort Ns = 2;

    /// <summary>Start of a zone.</summary>
    public const ushort Soa = 6;

    /// <summary>Name of an address.</summary>
    public const ushort Ptr = 12;

    /// <summary>What the answer to <see cref="Any"/> holds (RFC 8482, section 4.2).</summary>
    public const ushort HInfo = 13;

    /// <summary>IPv6 address (RFC 3596).</summary>
    public const ushort Aaaa = 28;

    /// <summary>Not a record but an extension of the header (RFC 6891).</summary>
    public const ushort Opt = 41;

    /// <summary>Signer of a zone, in its parent (RFC 4034).</summary>
    public const ushort Ds = 43;

    /// <summary>Keys of a zone (RFC 4034).</summary>
    public const ushort DnsKey = 48;

    /// <summary>The first of those that ask for no record: key exchange, signature, transfers (RFC 6895, section 3.1: 128 to 255).</summary>
    public const ushort FirstMeta = 128;

    /// <summary>Whatever there is (RFC 8482).</summary>
    public const ushort Any = 255;

    /// <summary>The Internet: the only class there is in practice.</summary>
    public const ushort ClassIn = 1;
}

/// <summary>What an answer says of the whole (RFC 1035, section 4.1.1; RFC 6891, section 9).</summary>
internal enum DnsCode : ushort
{
    /// <summary>Done, be it with no record at all.</summary>
    NoError = 0,

    /// <summary>The question cannot be read.</summary>
    FormatError = 1,

    /// <summary>It can be read, but not be answered now.</summary>
    ServerFailure = 2,

    /// <summary>There is no such name.</summary>
    NameError = 3,

    /// <summary>There is no such operation here.</summary>
    NotImplemented = 4,

    /// <summary>Not for this client, or not of this kind.</summary>
    Refused = 5,

    /// <summary>The version of EDNS is unknown; its upper bits stand in the OPT record.</summary>
    BadVersion = 16,
}
