using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Sleeve.Control.Config;

/// <summary>
/// YAML 1.2 as far as a configuration file needs it: one document of mappings, lists and values. Every value is taken as the text that stands
/// there, so that a MAC is no number of base 60 and <c>no</c> is a word. Anchors and aliases work; tags and merge keys do not.
/// </summary>
internal sealed class YamlText
{
    // What YAML itself calls no value.
    private static readonly string[] Nulls = ["", "~", "null", "Null", "NULL"];

    private readonly IParser _events;
    private readonly Dictionary<string, ConfigNode> _anchors = [];

    private YamlText(IParser events) => _events = events;

    /// <summary>Reads a text.</summary>
    /// <returns>Null if there is nothing in it.</returns>
    /// <exception cref="ConfigSyntaxException">It is not YAML, or passes one of <see cref="ConfigLimits"/>.</exception>
    public static ConfigNode? Parse(string text)
    {
        try
        {
            return new YamlText(new Parser(new Scanner(new StringReader(text), skipComments: true))).ReadDocument();
        }
        catch (YamlException failure)
        {
            var reason = (failure.InnerException ?? failure).Message;
            throw new ConfigSyntaxException((int)failure.Start.Line, $"is not YAML: {reason.TrimEnd('.')}");
        }
        catch (Exception failure) when (failure is ArgumentException or InvalidOperationException or FormatException or OverflowException or IndexOutOfRangeException)
        {
            // The library trips over some texts, such as "\UFFFFFFFF", instead of refusing them.
            throw new ConfigSyntaxException(0, "is not YAML: it cannot be read");
        }
    }

    private ConfigNode? ReadDocument()
    {
        Expect<StreamStart>();
        if (_events.TryConsume<StreamEnd>(out _)) return null;
        Expect<DocumentStart>();
        var root = ReadNode(ConfigLimits.MaxDepth);
        Expect<DocumentEnd>();
        if (_events.Accept<DocumentStart>(out var second)) throw new ConfigSyntaxException((int)second.Start.Line, "a second document begins here; a file holds one");
        return root;
    }

    private void Expect<T>()
        where T : ParsingEvent => _events.Consume<T>();

    private ConfigNode ReadNode(int depth)
    {
        if (!_events.Accept<ParsingEvent>(out var at)) throw new ConfigSyntaxException(0, "is not YAML: ends too early");
        var line = (int)at.Start.Line;
        if (at is NodeEvent { Tag.IsEmpty: false } tagged && !tagged.Tag.IsNonSpecific) throw new ConfigSyntaxException(line, $"{tagged.Tag.Value}: tags are not allowed");
        if (at is AnchorAlias alias)
        {
            Expect<AnchorAlias>();
            // One inside what it stands for is not known yet.
            return _anchors.TryGetValue(alias.Value.Value, out var known) ? known : throw new ConfigSyntaxException(line, $"*{alias.Value.Value}: there is no anchor &{alias.Value.Value} before it");
        }

        if (depth == 0) throw new ConfigSyntaxException(line, $"lists and mappings may be at most {ConfigLimits.MaxDepth} deep");
        var anchor = (at as NodeEvent)?.Anchor ?? AnchorName.Empty;
        ConfigNode node = at switch
        {
            Scalar => ReadScalar(),
            SequenceStart => ReadList(depth - 1),
            MappingStart => ReadMap(depth - 1),
            _ => throw new ConfigSyntaxException(line, "is not YAML: a value is expected here"),
        };
        if (node.Size > ConfigLimits.MaxNodes) throw new ConfigSyntaxException(line, $"holds more than {ConfigLimits.MaxNodes} values, aliases counted as what they stand for");
        if (!anchor.IsEmpty) _anchors[anchor.Value] = node;
        return node;
    }

    private ConfigScalar ReadScalar()
    {
        var scalar = _events.Consume<Scalar>();
        var isNothing = scalar.Style == ScalarStyle.Plain && Nulls.Contains(scalar.Value);
        return new ConfigScalar((int)scalar.Start.Line, isNothing ? "" : scalar.Value);
    }

    private ConfigList ReadList(int depth)
    {
        var line = (int)_events.Consume<SequenceStart>().Start.Line;
        var items = new List<ConfigNode>();
        var size = 1L;
        while (!_events.TryConsume<SequenceEnd>(out _))
        {
            var item = ReadNode(depth);
            size += item.Size;
            items.Add(item);
        }

        return new ConfigList(line, items) { Size = size };
    }

    private ConfigMap ReadMap(int depth)
    {
        var line = (int)_events.Consume<MappingStart>().Start.Line;
        var members = new MapBuilder(line);
        while (!_events.TryConsume<MappingEnd>(out _))
        {
            if (!_events.TryConsume<Scalar>(out var key)) throw new ConfigSyntaxException((int)_events.Current!.Start.Line, "a key must be a word");
            members.Add(key.Value, (int)key.Start.Line, ReadNode(depth));
        }

        return members.Done();
    }
}

/// <summary>Gathers the members of a mapping.</summary>
internal sealed class MapBuilder(int line)
{
    private readonly List<ConfigMember> _members = [];
    private readonly HashSet<string> _keys = [];
    private long _size = 1;

    /// <summary>Adds a member.</summary>
    /// <exception cref="ConfigSyntaxException">The key is there already, or there are too many.</exception>
    public void Add(string key, int keyLine, ConfigNode value)
    {
        if (!_keys.Add(key)) throw new ConfigSyntaxException(keyLine, $"{key}: given twice; a key stands once in a mapping");
        if (_members.Count == ConfigLimits.MaxKeys) throw new ConfigSyntaxException(keyLine, $"{key}: a mapping has at most {ConfigLimits.MaxKeys} keys");
        _members.Add(new ConfigMember(key, keyLine, value));
        _size += 1 + value.Size;
    }

    /// <summary>The mapping.</summary>
    public ConfigMap Done() => new(line, _members) { Size = _size };
}
