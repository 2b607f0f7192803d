using System.CommandLine;
using System.Text;

namespace Sleeve.Control.Config;

/// <summary>
/// A configuration file: the options of a command under their names without dashes, and a list <c>segments</c> whose members have such of them
/// as one segment can have of its own.
/// </summary>
internal sealed class ConfigFile
{
    /// <summary>Key of the list of segments.</summary>
    public const string SegmentsKey = "segments";

    /// <summary>Key of a segment's device.</summary>
    public const string DeviceKey = "ifname";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ConfigFile(string path, ConfigMap root, ConfigSection top, IReadOnlyList<ConfigSection>? segments)
    {
        Root = root;
        Path = path;
        Top = top;
        Segments = segments;
    }

    /// <summary>As it was named.</summary>
    public string Path { get; }

    /// <summary>All that stands in it.</summary>
    public ConfigMap Root { get; }

    /// <summary>What stands at the top: the VTEP's settings, and those that segments have if they say nothing else.</summary>
    public ConfigSection Top { get; }

    /// <summary>The segments; null if the file does not speak of them.</summary>
    public IReadOnlyList<ConfigSection>? Segments { get; }

    /// <summary>Reads a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="command">Whose options may stand in it.</param>
    /// <param name="excluded">Options that may not.</param>
    /// <param name="errors">Gets every error, one line each.</param>
    /// <returns>Null if it is not there or no such file at all.</returns>
    public static ConfigFile? Read(string path, Command command, IReadOnlyCollection<Option> excluded, Action<string> errors)
    {
        byte[] bytes;
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read);
            // A pipe has no length; nothing is read beyond the limit either way.
            using var content = new MemoryStream();
            var buffer = new byte[64 * 1024];
            for (int read; (read = file.Read(buffer)) > 0 && content.Length <= ConfigLimits.MaxBytes;) content.Write(buffer, 0, read);
            bytes = content.ToArray();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            errors($"--config {path}: {failure.Message.TrimEnd('.')}; must be a readable file");
            return null;
        }

        return Parse(path, bytes, command, excluded, errors);
    }

    /// <summary>Reads the text of a file.</summary>
    /// <inheritdoc cref="Read"/>
    public static ConfigFile? Parse(string path, byte[] text, Command command, IReadOnlyCollection<Option> excluded, Action<string> errors)
    {
        if (text.Length > ConfigLimits.MaxBytes)
        {
            errors($"{path}: is longer than {ConfigLimits.MaxBytes} bytes, which is the most a file may have");
            return null;
        }

        ConfigNode? root;
        try
        {
            root = JsonText.IsJson(text) ? JsonText.Parse(text) : YamlText.Parse(StrictUtf8.GetString(text));
        }
        catch (DecoderFallbackException failure)
        {
            errors($"{path}:{text.AsSpan(0, Math.Clamp(failure.Index, 0, text.Length)).Count((byte)'\n') + 1}: is not UTF-8");
            return null;
        }
        catch (ConfigSyntaxException failure)
        {
            errors(failure.Line > 0 ? $"{path}:{failure.Line}: {failure.Message}" : $"{path}: {failure.Message}");
            return null;
        }

        if (root is not ConfigMap top)
        {
            errors($"{path}:{root?.Line ?? 1}: must be a mapping, such as \"local: 192.0.2.1\"{(root is null ? "; the file is empty" : "")}");
            return null;
        }

        var section = new ConfigSection(path, top, command, excluded, [SegmentsKey], errors);
        return new ConfigFile(path, top, section, ReadSegments(path, top, command, excluded, errors));
    }

    private static List<ConfigSection>? ReadSegments(string path, ConfigMap top, Command command, IReadOnlyCollection<Option> excluded, Action<string> errors)
    {
        if (top.Find(SegmentsKey) is not { } member) return null;
        var sections = new List<ConfigSection>();
        if (member.Value is not ConfigList list)
        {
            errors($"{path}:{member.Line}: {SegmentsKey}: must be a list of mappings, each with {DeviceKey} and vni");
            return sections;
        }

        if (list.Items.Count > ConfigLimits.MaxSegments)
        {
            errors($"{path}:{member.Line}: {SegmentsKey}: has {list.Items.Count} members; must have at most {ConfigLimits.MaxSegments}");
            return sections;
        }

        foreach (var item in list.Items)
        {
            if (item is ConfigMap map) sections.Add(new ConfigSection(path, map, command, excluded, [DeviceKey], errors));
            else errors($"{path}:{item.Line}: {SegmentsKey}: each must be a mapping with {DeviceKey} and vni");
        }

        return sections;
    }
}
