namespace Sleeve.Control.Doctor;

/// <summary>How bad it is.</summary>
internal enum Level
{
    /// <summary>As it should be, perhaps with a remark.</summary>
    Ok,

    /// <summary>Could not be looked at; the text says why.</summary>
    Skipped,

    /// <summary>Works, but not as well as it could, or not for long.</summary>
    Warning,

    /// <summary>Does not work.</summary>
    Error,
}

/// <summary>What a check found.</summary>
/// <param name="Level">How bad it is.</param>
/// <param name="Subject">What it is about: an interface, a remote, a segment; empty for the host.</param>
/// <param name="Text">What is the matter, in plain words.</param>
/// <param name="Advice">What to type, or to do; null if there is nothing to be done.</param>
internal sealed record Finding(Level Level, string Subject, string Text, string? Advice = null)
{
    /// <summary>As it should be.</summary>
    public static Finding Ok(string subject, string text, string? advice = null) => new(Level.Ok, subject, text, advice);

    /// <summary>Works, but should be looked after.</summary>
    public static Finding Warning(string subject, string text, string? advice = null) => new(Level.Warning, subject, text, advice);

    /// <summary>Does not work.</summary>
    public static Finding Error(string subject, string text, string? advice = null) => new(Level.Error, subject, text, advice);

    /// <summary>Could not be looked at.</summary>
    public static Finding Skipped(string subject, string reason, string? advice = null) => new(Level.Skipped, subject, reason, advice);
}

/// <summary>Looks at one thing of a host and its VTEPs. It reads the facts that were collected and asks nobody else.</summary>
internal interface ICheck
{
    /// <summary>A word for it, the same in text and JSON.</summary>
    string Name { get; }

    /// <summary>What it finds; nothing if there is nothing to look at.</summary>
    IEnumerable<Finding> Examine(Patient patient);
}
