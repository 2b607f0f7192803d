using Sleeve.Control.Config;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary>A segment as it was read, and where its remotes and its flow label stand.</summary>
internal sealed record ReadDevice(UpSegment Segment, IReadOnlyList<Given<InternetAddress>> Remotes, Given<string>? FlowLabel);

/// <summary>
/// Reads which segments there are, and each of them: from DEV[:VNI] of the command line or from the <c>segments</c> of a configuration file.
/// </summary>
/// <param name="vni">The VNI's setting.</param>
/// <param name="readOne">Reads what one segment can have of its own, all but name and VNI.</param>
internal sealed class DeviceReader(Setting vni, Func<SettingReader, ReadDevice> readOne)
{
    /// <summary>Reads all of them.</summary>
    /// <param name="words">The devices that the command line names.</param>
    /// <param name="reader">Collects the errors.</param>
    /// <param name="file">The configuration file, if there is one.</param>
    public IReadOnlyList<ReadDevice> Read(string[] words, SettingReader reader, ConfigFile? file)
    {
        if (file?.Segments is not { } sections) return ReadWords(words, reader);
        foreach (var word in words) reader.Refuse($"{word}: not expected here; the segments are those of {file.Path}");
        return ReadSections(sections, reader);
    }

    /// <summary>Reads the segments of parts of files: any number, each with a name and a VNI of its own.</summary>
    public List<ReadDevice> ReadSections(IReadOnlyList<ConfigSection> sections, SettingReader shared)
    {
        var read = new List<ReadDevice>(sections.Count);
        var names = new Dictionary<string, string>();
        var vnis = new Dictionary<Vni, string>();
        foreach (var section in sections)
        {
            var reader = shared.Before(section);
            var device = readOne(reader);
            var given = section.FindWord(ConfigFile.DeviceKey);
            if (given is not { } word) reader.Refuse($"{section.Place}: {ConfigFile.DeviceKey}: missing; it must be {Words.LinkNameAllowed}");
            else if (!Words.LinkName(word.Text, out _)) reader.Refuse($"{word.Name} {word.Text}: must be {Words.LinkNameAllowed}");
            else if (!names.TryAdd(word.Text, word.Name)) reader.Refuse($"{word.Name} {word.Text}: given twice, first at {names[word.Text]}");
            var name = given?.Text ?? "";
            if (!reader.IsGiven(vni)) reader.Refuse($"{section.Place}: {vni.Option.Name[2..]}: missing for {name}; it must be {vni.Allowed}");
            var own = reader.ReadGiven<Vni>(vni, Words.Vni) is [var first, ..] ? first : (Given<Vni>?)null;
            if (own is { } number && !vnis.TryAdd(number.Value, number.Name)) reader.Refuse($"{number}: given twice, first at {vnis[number.Value]}");
            if (device.Segment.Bridge is { } bridge && bridge == name) reader.Refuse($"{section.Place}: bridge {bridge}: cannot be the device itself");
            read.Add(Named(device, name, own?.Value ?? default));
        }

        foreach (var section in sections)
            foreach (var key in section.Unasked) shared.Refuse($"{key.Name}: is not a segment's but the whole VTEP's; it must stand at the top of the file");
        return read;
    }

    private List<ReadDevice> ReadWords(string[] words, SettingReader reader)
    {
        var read = new List<ReadDevice>(words.Length);
        var shared = readOne(reader);
        if (words.Length == 0) reader.Refuse($"DEV: missing; it must be {Words.LinkNameAllowed}");
        var all = reader.Read<Vni?>(vni, ReadVni, null);
        if (words.Length == 0 && !reader.IsGiven(vni)) reader.Refuse($"--vni: missing; it must be {vni.Allowed}");
        if (words.Length == 0) return [shared];
        if (words.Length > 1 && reader.IsGiven(vni))
        {
            // One word too many, or one option too many: either way nothing after it can be judged.
            reader.Refuse($"{words[1]}: not expected here; with several devices ({string.Join(' ', words)}) each must be DEV:VNI, without --vni");
            return read;
        }

        foreach (var word in words)
        {
            var colon = word.LastIndexOf(':');
            var name = colon < 0 ? word : word[..colon];
            if (!Words.LinkName(name, out _)) reader.Refuse($"DEV {name}: must be {Words.LinkNameAllowed}");
            var own = all;
            if (colon >= 0 && !ReadVni(word[(colon + 1)..], out own)) reader.Refuse($"DEV {word}: its VNI must be {vni.Allowed}");
            else if (colon >= 0 && words.Length == 1 && all is { } given && given != own) reader.Refuse($"--vni {given}: contradicts {word}");
            else if (colon < 0 && words.Length > 1) reader.Refuse($"DEV {word}: must be DEV:VNI where there are several");
            else if (colon < 0 && !reader.IsGiven(vni)) reader.Refuse($"--vni: missing for {name}; it must be {vni.Allowed}");
            if (read.Any(other => other.Segment.Segment.Name == name)) reader.Refuse($"DEV {word}: {name} is given twice");
            if (own is { } value && read.Any(other => other.Segment.Segment.Vni == value)) reader.Refuse($"DEV {word}: vni {value} is given twice");
            if (shared.Segment.Bridge is { } bridge && bridge == name) reader.Refuse($"--bridge {bridge}: cannot be the device itself");
            read.Add(Named(shared, name, own ?? default));
        }

        return read;
    }

    private static ReadDevice Named(ReadDevice device, string name, Vni number) =>
        device with { Segment = device.Segment with { Segment = device.Segment.Segment with { Name = name, Vni = number } } };

    private static bool ReadVni(string text, out Vni? value)
    {
        var read = Words.Vni(text, out var number);
        value = read ? number : null;
        return read;
    }
}
