using System.CommandLine;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Daemon;

/// <summary>What the daemon is to be, read from file, stored segments and command line, and what differs between two of them.</summary>
public class ConfigurationTests
{
    private const string File = """
        local: 192.0.2.1
        ageing: 600
        socket-mode: 660
        socket-group: 0
        segments:
        - ifname: vx0
          vni: 100
          remote: [192.0.2.2, 192.0.2.3]
          address: [10.1.1.1/24, fd00::1/64]
          fdb: 02:00:00:00:00:09 dst 192.0.2.9
          neigh: [10.1.1.9 lladdr 02:00:00:00:00:09]
          gbp: 7
          gbp-accept: 1-9
          mac: 02:00:00:00:00:01
        - ifname: vx1
          vni: 101
          ageing: 60
        """;

    private static ParseResult Words(string line = "daemon")
    {
        var words = CommandLine.Parse(CommandLine.CreateRoot(), line.Split(' '), out var errors);
        Assert.Empty(errors);
        return words;
    }

    private static Configuration Read(string text = File, string line = "daemon", params StoredSegment[] stored) => TryRead(text, line, stored, out var errors) ?? throw new InvalidOperationException(string.Join('\n', errors));

    private static Configuration? TryRead(string text, string line, IReadOnlyList<StoredSegment> stored, out IReadOnlyList<string> errors)
    {
        var ofFile = new List<string>();
        errors = ofFile;
        return Configuration.ReadText("f.yaml", text, ofFile.Add) is { } file ? Configuration.Read(Words(line), file, ofFile, stored, out errors) : null;
    }

    private static ConfiguredSegment? ReadOne(string name, string settings, out IReadOnlyList<string> errors) =>
        Read().ReadOne(Words(), Configuration.ReadText("f.yaml", File, static _ => { })!, name, Configuration.Parse(settings), out errors);

    [Fact]
    public void File_and_commands_come_together_and_know_whose_they_are()
    {
        var read = Read(File, "daemon", new StoredSegment("vx2", """{"ifname":"vx2","vni":102,"remote":"192.0.2.7"}"""));
        Assert.Equal(
            [("vx0", SegmentOrigin.File, 600), ("vx1", SegmentOrigin.File, 60), ("vx2", SegmentOrigin.Command, 600)],
            read.Segments.OrderBy(static each => each.Key, StringComparer.Ordinal).Select(static each => (each.Key, each.Value.Origin, each.Value.Asked.Segment.AgeingSeconds)));
        Assert.True(read.Engine.KeepsDevices);
    }

    /// <summary>Else a reload would touch what nobody changed.</summary>
    [Fact]
    public void The_same_text_read_twice_is_the_same_whatever_stands_in_it()
    {
        var (one, two) = (Read(), Read());
        Assert.Empty(one.DifferencesOfEngine(two));
        Assert.Equal(one.Segments.Keys, two.Segments.Keys);
        Assert.All(one.Segments, each => Assert.Equal(each.Value.Asked, two.Segments[each.Key].Asked));
        // And over the store.
        var stored = Read(one.Json);
        Assert.Empty(one.DifferencesOfEngine(stored));
        Assert.All(one.Segments, each => Assert.Equal(each.Value.Asked, stored.Segments[each.Key].Asked));
        Assert.Equal(one.Json, stored.Json);
    }

    [Theory]
    [InlineData("192.0.2.3]", "192.0.2.4]")]
    [InlineData("10.1.1.1/24", "10.1.1.1/25")]
    [InlineData("fd00::1/64", "fd00::2/64")]
    [InlineData("02:00:00:00:00:09 dst", "02:00:00:00:00:0a dst")]
    [InlineData("dst 192.0.2.9", "dst 192.0.2.9 port 7")]
    [InlineData("lladdr 02:00:00:00:00:09", "lladdr 02:00:00:00:00:09 router")]
    [InlineData("gbp: 7", "gbp: 8")]
    [InlineData("gbp-accept: 1-9", "gbp-accept: 1-8")]
    [InlineData("mac: 02:00:00:00:00:01", "mac: 02:00:00:00:00:02")]
    [InlineData("mac: 02:00:00:00:00:01", "mtu: 1400")]
    [InlineData("mac: 02:00:00:00:00:01", "netns: blue")]
    [InlineData("mac: 02:00:00:00:00:01", "flood-limit: 7")]
    [InlineData("mac: 02:00:00:00:00:01", "tos: inherit")]
    [InlineData("ageing: 600", "ageing: 601")]
    public void Whatever_differs_in_one_segment_is_seen_in_that_one_alone(string was, string becomes)
    {
        Assert.Contains(was, File, StringComparison.Ordinal);
        var (one, two) = (Read(), Read(File.Replace(was, becomes, StringComparison.Ordinal)));
        Assert.Empty(one.DifferencesOfEngine(two));
        Assert.NotEqual(one.Segments["vx0"].Asked, two.Segments["vx0"].Asked);
        Assert.Equal(one.Segments["vx1"].Asked, two.Segments["vx1"].Asked);
    }

    [Theory]
    [InlineData("local: 192.0.2.1", "local: 192.0.2.11", "local 192.0.2.1 to 192.0.2.11")]
    [InlineData("ageing: 600", "dstport: 4790", "dstport 4789 to 4790")]
    [InlineData("ageing: 600", "workers: 2", "workers 1 to 2")]
    [InlineData("ageing: 600", "srcport: 50000-50001", "srcport 49152-65535 to 50000-50001")]
    [InlineData("ageing: 600", "tx-offload: none", "tx-offload auto to none")]
    [InlineData("ageing: 600", "udpcsum: false", null)]
    [InlineData("ageing: 600", "pmtu-ttl: 700", null)]
    [InlineData("socket-mode: 660", "socket-mode: 600", "a setting of the API or of the metrics")]
    public void What_is_taken_at_the_start_only_is_named(string was, string becomes, string? difference)
    {
        var differences = Read(File, "daemon --workers 1").DifferencesOfEngine(Read(File.Replace(was, becomes, StringComparison.Ordinal), becomes.StartsWith("workers", StringComparison.Ordinal) ? "daemon" : "daemon --workers 1"));
        var only = Assert.Single(differences);
        if (difference is not null) Assert.Equal(difference, only);
    }

    [Theory]
    [InlineData("segments: 1", "segments")]
    [InlineData("local: 192.0.2.1\nsegments: [{ifname: vx0, vni: 1}, {ifname: vx1, vni: 1}]", "1")]
    [InlineData("local: 192.0.2.1\nsegments: [{ifname: vx0, vni: 1}, {ifname: vx0, vni: 2}]", "vx0")]
    [InlineData("local: 192.0.2.1\nsegments: [{ifname: sleeve, vni: 1}]", "is the name of the daemon's own socket")]
    [InlineData("local: 192.0.2.1\nsegments: [{ifname: vx0, vni: 1, tap-fd: 3}]", "tap-fd")]
    [InlineData("local: 192.0.2.1\nfoo: 1", "foo")]
    public void What_cannot_be_is_refused_as_a_whole(string text, string mention)
    {
        Assert.Null(TryRead(text, "daemon", [], out var errors));
        Assert.Contains(errors, error => error.Contains(mention, StringComparison.Ordinal));
        Assert.All(errors, static error => Assert.DoesNotContain('\n', error));
    }

    [Fact]
    public void A_stored_segment_that_the_file_has_by_now_is_named()
    {
        Assert.Null(TryRead(File, "daemon", [new StoredSegment("vx1", """{"ifname":"vx1","vni":300}""")], out var errors));
        Assert.Contains(errors, static error => error.Contains("vx1", StringComparison.Ordinal));
    }

    [Fact]
    public void One_segment_takes_the_top_of_the_file()
    {
        var one = ReadOne("vx5", """{"vni":105,"remote":["192.0.2.2"]}""", out var errors);
        Assert.Empty(errors);
        Assert.Equal((105u, 600, SegmentOrigin.Command), (one!.Asked.Segment.Vni.Value, one.Asked.Segment.AgeingSeconds, one.Origin));
    }

    [Theory]
    [InlineData("vx5", "{}", "vni")]
    [InlineData("vx5", """{"vni":"0x"}""", "segment vx5:1: vni 0x: must be 0 to 16777215")]
    [InlineData("vx5", """{"vni":100}""", "vni 100: is that of vx0; must be another")]
    [InlineData("vx5", """{"vni":105,"foo":1}""", "foo")]
    [InlineData("vx5", """{"vni":105,"local":"192.0.2.9"}""", "local")]
    [InlineData("vx5", """{"vni":105,"ifname":"vx6"}""", "ifname: contradicts vx5; leave it out")]
    [InlineData("vx5", """{"vni":105,"remote":"192.0.2.1"}""", "192.0.2.1: is the local address; must be another VTEP")]
    [InlineData("vx5", """{"vni":105,"remote":"2001:db8::1"}""", "2001:db8::1: must be IPv4, as the underlay of this VTEP is")]
    [InlineData("vx5", """{"vni":105,"tap-fd":3}""", "tap-fd")]
    [InlineData("sleeve", """{"vni":105}""", "is the name of the daemon's own socket")]
    public void One_segment_that_cannot_be_is_refused_with_the_reason(string name, string settings, string mention)
    {
        Assert.Null(ReadOne(name, settings, out var errors));
        Assert.Contains(errors, error => error.Contains(mention, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("{")]
    [InlineData("""{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}}""")]
    public void Settings_that_are_no_settings_are_refused(string settings) => Assert.Throws<ConfigSyntaxException>(() => Configuration.Parse(settings));

    [Theory]
    [InlineData("""{"a":1,"b":"x","c":true,"d":false,"e":[1,"y",true],"f":{"g":"","h":[]}}""")]
    [InlineData("""{"a":"01","b":"+1","c":"-1","d":"1e3","e":"99999999999999999999","f":"True","g":"null","h":"0"}""")]
    [InlineData("""{"a":"ä \"quoted\" \\ \u0001 \uD83D\uDE00"}""")]
    public void What_is_written_as_JSON_reads_back_the_same(string json)
    {
        var read = Configuration.Parse(json);
        var written = ConfigJson.Write(read);
        Assert.Equal(Show(read), Show(Configuration.Parse(written)));
        Assert.Equal(written, ConfigJson.Write(Configuration.Parse(written)));
    }

    private static string Show(ConfigNode node) => node switch
    {
        ConfigMap map => $"{{{string.Join(',', map.Members.Select(static member => $"{member.Key}={Show(member.Value)}"))}}}",
        ConfigList list => $"[{string.Join(',', list.Items.Select(Show))}]",
        ConfigScalar scalar => $"<{scalar.Text}>",
        _ => "?",
    };
}
