namespace Sleeve.DataPlane.Forwarding;

/// <summary>How a table took a command; the errno that the kernel would answer in parentheses.</summary>
public enum TableResult
{
    /// <summary>Done, or nothing to do.</summary>
    Done,

    /// <summary>There is an entry with that key already (EEXIST).</summary>
    Exists,

    /// <summary>No such entry (ENOENT).</summary>
    NotFound,

    /// <summary>Not possible for that kind of entry (EOPNOTSUPP).</summary>
    NotSupported,

    /// <summary>The table's limit is reached (ENOSPC).</summary>
    Full,

    /// <summary>Not a legal key or value (EINVAL).</summary>
    Invalid,

    /// <summary>The destination is of the other address family (EAFNOSUPPORT).</summary>
    WrongFamily,
}
