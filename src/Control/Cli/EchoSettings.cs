namespace Sleeve.Control.Cli;

/// <summary>The setting of <c>sleeve up</c> that is about echo messages.</summary>
internal static class EchoSettings
{
    /// <summary>Whether requests are answered.</summary>
    public static Setting Echo { get; } = new("--echo", "WHAT", "Answer what sleeve doctor and sleeve bench of known VTEPs ask: on, or off. [on]", "on or off");

    /// <summary>Reads it.</summary>
    public static bool Read(SettingReader reader) => reader.Read(Echo, ReadSwitch, true);

    private static bool ReadSwitch(string text, out bool value)
    {
        value = text == "on";
        return text is "on" or "off";
    }
}
