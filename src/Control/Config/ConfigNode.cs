namespace Sleeve.Control.Config;

/// <summary>What stands at one place of a configuration file: a value, a list or a mapping, and its line.</summary>
/// <param name="Line">From 1.</param>
internal abstract record ConfigNode(int Line)
{
    /// <summary>Nodes that this one stands for, itself included; what an alias repeats is counted each time.</summary>
    public long Size { get; init; } = 1;
}

/// <summary>A value. Empty if nothing follows the key.</summary>
internal sealed record ConfigScalar(int Line, string Text) : ConfigNode(Line);

/// <summary>A list.</summary>
internal sealed record ConfigList(int Line, IReadOnlyList<ConfigNode> Items) : ConfigNode(Line);

/// <summary>A mapping: its members in their order, no key twice.</summary>
internal sealed record ConfigMap(int Line, IReadOnlyList<ConfigMember> Members) : ConfigNode(Line)
{
    /// <summary>Looks a member up.</summary>
    public ConfigMember? Find(string key)
    {
        foreach (var member in Members)
            if (member.Key == key) return member;
        return null;
    }
}

/// <summary>A key and what it stands before.</summary>
internal sealed record ConfigMember(string Key, int Line, ConfigNode Value);

/// <summary>The text is not what a configuration file can be; there is nothing to read any further.</summary>
/// <param name="line">From 1; 0 for the file as a whole.</param>
/// <param name="message">What is wrong and what is allowed.</param>
internal sealed class ConfigSyntaxException(int line, string message) : Exception(message)
{
    /// <summary>From 1; 0 for the file as a whole.</summary>
    public int Line { get; } = line;
}

/// <summary>What a configuration file may hold at most.</summary>
internal static class ConfigLimits
{
    /// <summary>Bytes.</summary>
    public const int MaxBytes = 16 << 20;

    /// <summary>Lists and mappings inside one another; what there is to say needs 4.</summary>
    public const int MaxDepth = 8;

    /// <summary>Keys of one mapping; there are some 50.</summary>
    public const int MaxKeys = 256;

    /// <summary>Values, lists and mappings in all, aliases counted as what they stand for.</summary>
    public const int MaxNodes = 1 << 20;

    /// <summary>Segments.</summary>
    public const int MaxSegments = 4096;
}
