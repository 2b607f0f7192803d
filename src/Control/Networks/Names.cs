namespace Sleeve.Control.Networks;

/// <summary>What hosts, networks and endpoints may be called. Names are compared as they are, case and all.</summary>
internal static class Names
{
    /// <summary>Characters of a name, at most: that of a DNS label (RFC 1035, section 2.3.4).</summary>
    public const int MaxLength = 63;

    /// <summary>What a name must be, for messages.</summary>
    public const string Allowed = "1 to 63 of A-Z a-z 0-9 - _ . and begin with a letter or a digit";

    /// <summary>Whether it may be a name.</summary>
    public static bool IsName(string? text) =>
        text is { Length: > 0 and <= MaxLength } && char.IsAsciiLetterOrDigit(text[0]) && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
