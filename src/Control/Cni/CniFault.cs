namespace Sleeve.Control.Cni;

/// <summary>Error codes: those of the CNI specification (section "Error"), and from 100 on our own (docs/cni.md).</summary>
internal static class CniCode
{
    /// <summary>The configuration's version is not supported.</summary>
    public const int Incompatible = 1;

    /// <summary>Something that the configuration asks for is not supported.</summary>
    public const int Unsupported = 2;

    /// <summary>There is no such container; nothing needs to be cleaned up.</summary>
    public const int UnknownContainer = 3;

    /// <summary>A variable of the environment is missing or wrong.</summary>
    public const int BadEnvironment = 4;

    /// <summary>Something cannot be read or written.</summary>
    public const int Io = 5;

    /// <summary>What came in is no JSON, or no object.</summary>
    public const int Decode = 6;

    /// <summary>The configuration is wrong.</summary>
    public const int BadConfig = 7;

    /// <summary>Later it may work.</summary>
    public const int TryAgain = 11;

    /// <summary>STATUS: containers cannot be added.</summary>
    public const int NotAvailable = 50;

    /// <summary>STATUS: containers cannot be added, and those that are there may not reach anybody.</summary>
    public const int LimitedConnectivity = 51;

    /// <summary>Ours: the daemon refuses it.</summary>
    public const int Refused = 100;

    /// <summary>Ours: CHECK found it other than it was made.</summary>
    public const int Differs = 101;

    /// <summary>Ours: an IPAM plugin gave no sensible answer.</summary>
    public const int Ipam = 102;

    /// <summary>Ours: a fault of this program.</summary>
    public const int Internal = 199;
}

/// <summary>Why a call fails, as it is answered.</summary>
/// <param name="code">One of <see cref="CniCode"/>, or an IPAM plugin's own.</param>
/// <param name="message">One line: what, why, what to do.</param>
/// <param name="details">More about it; "" for nothing.</param>
internal sealed class CniFault(int code, string message, string details = "") : Exception(message)
{
    /// <summary>The code.</summary>
    public int Code { get; } = code;

    /// <summary>More about it; "" for nothing.</summary>
    public string Details { get; } = details;
}
