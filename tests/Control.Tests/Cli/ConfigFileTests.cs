using System.Text;
using System.Text.Json;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Cli;

/// <summary>The configuration file of <c>sleeve up</c>: what is read, and for what is not a line with file, line, key, value and what is allowed.</summary>
[Collection(ConsoleTests.Name)]
public sealed class ConfigFileTests : IDisposable
{
    private const string Cidr = "an address with a prefix length, such as 10.1.1.1/24 or fd00::1/64";
    private const string Name = "an interface name of 1 to 15 bytes without '/', ':', '%', white space or control characters";

    private const string Good = """
        local: 192.0.2.1
        dstport: 4790
        remote: [192.0.2.2, 192.0.2.3]
        proxy: true
        ageing: 60
        segments:
          - ifname: vx1
            vni: 100
            address:
              - 10.1.1.1/24
              - fd00::1/64
            mac: 02:00:00:00:00:01
            fdb: 02:00:00:00:00:09 dst 192.0.2.9 port 4789 vni 7 static
            neigh: [10.1.1.9 lladdr 02:00:00:00:00:09 router]
          - ifname: vx2
            id: 200
            remote: 192.0.2.4
            mtu: 1400
            proxy: false
            learning: false
            bridge: br0
            netns: blue
            admit: any
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-config-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Segments_have_their_own_settings_and_else_those_of_the_top()
    {
        Assert.Empty(Read(Good, out var options));
        Assert.Equal(("192.0.2.1", 4790), (options!.Vtep.Local.ToString(), options.Vtep.Port));
        var (one, two) = (options.Devices[0], options.Devices[1]);
        Assert.Equal([("vx1", 100u, true, true, 60, Admission.Peers), ("vx2", 200u, false, false, 60, Admission.Any)],
            options.Segments.Select(static s => (s.Name, s.Vni.Value, s.Proxy, s.Learning, s.AgeingSeconds, s.Admission)));
        Assert.Equal(["192.0.2.2", "192.0.2.3"], one.Remotes.Select(static remote => remote.ToString()));
        Assert.Equal(["192.0.2.4"], two.Remotes.Select(static remote => remote.ToString()));
        Assert.Equal(["10.1.1.1/24", "fd00::1/64"], one.Addresses.Select(static address => address.ToString()));
        Assert.Equal((null, "02:00:00:00:00:01", null, null), (one.Mtu, one.Mac?.ToString(), one.Bridge, one.NetworkNamespace));
        Assert.Equal((1400, null, "br0", "blue"), (two.Mtu, two.Mac, two.Bridge, two.NetworkNamespace));
        var entry = Assert.Single(one.Fdb);
        Assert.Equal(("02:00:00:00:00:09", "192.0.2.9", (ushort?)4789, (Vni?)new Vni(7), EntryKind.Static), (entry.Mac.ToString(), entry.Destination.ToString(), entry.Port, entry.Vni, entry.Kind));
        Assert.True(Assert.Single(one.Neighbours).IsRouter);
    }

    [Fact]
    public void JSON_says_the_same()
    {
        const string Json = """
            {
            	"local": "192.0.2.1", "dstport": 4790, "remote": ["192.0.2.2", "192.0.2.3"], "proxy": true, "ageing": 60,
            	"segments": [
            		{"ifname": "vx1", "vni": 100, "address": ["10.1.1.1/24", "fd00::1\/64"], "mac": "02:00:00:00:00:01",
            		 "fdb": "02:00:00:00:00:09 dst 192.0.2.9 port 4789 vni 7 static", "neigh": ["10.1.1.9 lladdr 02:00:00:00:00:09 router"]},
            		{"ifname": "vx2", "id": 200, "remote": "192.0.2.4", "mtu": 1400, "proxy": false, "learning": false, "bridge": "br0", "netns": "blue", "admit": "any"}
            	]
            }
            """;
        Assert.Empty(Read(Good, out var yaml));
        Assert.Empty(Read(Json, out var json));
        Assert.Equal(yaml!.Vtep, json!.Vtep);
        Assert.Equal(yaml.Segments, json.Segments);
        Assert.Equal(yaml.Devices.Select(static d => string.Join(' ', d.Remotes) + d.Mtu + d.Mac + d.Bridge + d.NetworkNamespace + string.Join(' ', d.Fdb)),
            json.Devices.Select(static d => string.Join(' ', d.Remotes) + d.Mtu + d.Mac + d.Bridge + d.NetworkNamespace + string.Join(' ', d.Fdb)));
    }

    [Fact]
    public void The_command_line_goes_before_the_top_and_a_segment_before_both()
    {
        Assert.Empty(Read(Good, out var options, "--dstport", "4791", "--remote", "192.0.2.8", "--noproxy", "--ageing", "70"));
        Assert.Equal(4791, options!.Vtep.Port);
        Assert.Equal([("192.0.2.8", 70), ("192.0.2.4", 70)], options.Devices.Select(static d => (string.Join(' ', d.Remotes), d.Segment.AgeingSeconds)));
        Assert.All(options.Segments, static segment => Assert.False(segment.Proxy));
    }

    [Fact]
    public void A_file_without_segments_lends_its_settings_to_the_devices_named()
    {
        Assert.Empty(Read("local: 192.0.2.1\nageing: 7\nstrict: true\n", out var options, "vx1:1", "vx2:2"));
        Assert.All(options!.Segments, static segment => Assert.Equal((7, true), (segment.AgeingSeconds, segment.Strict)));
    }

    [Theory]
    // Text.
    [InlineData("", "FILE:1: must be a mapping, such as \"local: 192.0.2.1\"; the file is empty")]
    [InlineData("# nothing\n", "FILE:1: must be a mapping, such as \"local: 192.0.2.1\"; the file is empty")]
    [InlineData("- a\n", "FILE:1: must be a mapping, such as \"local: 192.0.2.1\"")]
    [InlineData("local: 192.0.2.1\nlocal: 192.0.2.2\n", "FILE:2: local: given twice; a key stands once in a mapping")]
    [InlineData("local: 192.0.2.1\n---\nvni: 5\n", "FILE:2: a second document begins here; a file holds one")]
    [InlineData("local: !ip 192.0.2.1\n", "FILE:1: !ip: tags are not allowed")]
    [InlineData("local: *here\n", "FILE:1: *here: there is no anchor &here before it")]
    [InlineData("? [a]\n: b\n", "FILE:1: a key must be a word")]
    [InlineData("a: [[[[[[[[[1]]]]]]]]]\n", "FILE:1: lists and mappings may be at most 8 deep")]
    [InlineData("{\"local\": \"192.0.2.1\",\n \"local\": \"192.0.2.2\"}", "FILE:2: local: given twice; a key stands once in a mapping")]
    [InlineData("{\"a\": [[[[[[[[1]]]]]]]]}", "FILE:1: is not JSON: The maximum configured depth of 8 has been exceeded. Cannot read next JSON array")]
    // Keys.
    [InlineData("locl: 192.0.2.1\nlocal: 192.0.2.1\nsegments: [{ifname: a, vni: 1}]\n", "FILE:1: locl: unknown key; sleeve up --help lists the options, whose names without dashes are the keys")]
    [InlineData("local: 192.0.2.1\nconfig: x\nsegments: [{ifname: a, vni: 1}]\n", "FILE:2: config: unknown key; sleeve up --help lists the options, whose names without dashes are the keys")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    help: x\n", "FILE:5: help: unknown key; sleeve up --help lists the options, whose names without dashes are the keys")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    dstport: 4789\n", "FILE:5: dstport: is not a segment's but the whole VTEP's; it must stand at the top of the file")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    id: 1\n", "FILE:4: vni 1 1: given more than once; only one is allowed")]
    // Values.
    [InlineData("local: 192.0.2.256\nsegments: [{ifname: a, vni: 1}]\n", "FILE:1: local 192.0.2.256: must be an IPv4 or IPv6 unicast address, not link-local")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 16777216\n", "FILE:4: vni 16777216: must be 0 to 16777215")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a/b\n    vni: 1\n", "FILE:3: ifname a/b: must be " + Name)]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    mtu:\n", "FILE:5: mtu: a value is missing: 68 to 65521")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    mtu: {x: 1}\n", "FILE:5: mtu: must be a value, not a mapping")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    mtu: [1400, 1500]\n", "FILE:5: mtu 1400 1500: given more than once; only one is allowed")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    address:\n      - 10.1.1.1/24\n      - 10.1.1.1/33\n", "FILE:7: address 10.1.1.1/33: must be " + Cidr)]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    address: [[10.1.1.1/24]]\n", "FILE:5: address: a member of the list must be a value, not a list")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    remote: []\n", "FILE:5: remote: the list is empty; leave the key out, or give a value")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    proxy: maybe\n", "FILE:5: proxy maybe: must be true or false")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    fdb: 02:00:00:00:00:01\n", "FILE:5: fdb 02:00:00:00:00:01: must be " + Words.FdbEntryAllowed)]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    neigh: 10.1.1.1 02:00:00:00:00:01\n", "FILE:5: neigh 10.1.1.1 02:00:00:00:00:01: must be " + Words.NeighbourAllowed)]
    // Segments.
    [InlineData("local: 192.0.2.1\nsegments: 5\n", "FILE:2: segments: must be a list of mappings, each with ifname and vni")]
    [InlineData("local: 192.0.2.1\nsegments: []\n", "FILE:2: segments: has 0 members; must have 1 to 4096")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - a\n", "FILE:3: segments: each must be a mapping with ifname and vni")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - vni: 1\n", "FILE:3: ifname: missing; it must be " + Name)]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n", "FILE:3: vni: missing for a; it must be 0 to 16777215")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1}\n  - {ifname: a, vni: 2}\n", "FILE:4: ifname a: given twice, first at FILE:3: ifname")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1}\n  - {ifname: b, vni: 1}\n", "FILE:4: vni 1: given twice, first at FILE:3: vni")]
    // Contradictions.
    [InlineData("local: 192.0.2.1\nmac: 02:00:00:00:00:01\nsegments:\n  - {ifname: a, vni: 1}\n  - {ifname: b, vni: 2}\n", "FILE:2: mac 02:00:00:00:00:01: only one device can have it")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, remote: '2001:db8::1'}\n", "FILE:3: remote 2001:db8::1: must be of the same family as FILE:1: local 192.0.2.1")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, remote: 192.0.2.1}\n", "FILE:3: remote 192.0.2.1: is the --local address; must be another VTEP")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, mtu: 1279, address: 'fd00::1/64'}\n", "FILE:3: mtu 1279: must be at least 1280 for an IPv6 --address (RFC 8200, section 5)")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, learning: true, nolearning: true}\n", "FILE:3: learning --nolearning: contradict each other; only one is allowed")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - ifname: a\n    vni: 1\n    flowlabel: 0x12\n  - {ifname: b, vni: 2, flowlabel: 0}\n", "FILE:5: flowlabel 0x12: only IPv6 has flow labels, and this underlay is IPv4; must be 0, or left out")]
    [InlineData("local: 192.0.2.1\nflowlabel: inherit\nsegments:\n  - {ifname: a, vni: 1}\n  - {ifname: b, vni: 2}\n", "FILE:2: flowlabel inherit: only IPv6 has flow labels, and this underlay is IPv4; must be 0, or left out")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, bridge: a}\n", "FILE:3: bridge a: cannot be the device itself")]
    [InlineData("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, fdb: ['02:00:00:00:00:01 dst 192.0.2.2', '02:00:00:00:00:01 dst 192.0.2.3']}\n", "FILE:3: fdb 02:00:00:00:00:01: given twice; a station is behind one VTEP")]
    public void What_is_wrong_is_one_line(string text, string error)
    {
        var errors = Read(text, out var options);
        Assert.Null(options);
        Assert.Equal([error], errors);
    }

    [Fact]
    public void Every_error_is_told_at_once_and_one_of_the_top_only_once()
    {
        var errors = Read("local: here\nmtu: 5\nageing: x\nsegments:\n  - {ifname: a, vni: x}\n  - {ifname: b, vni: 2, proxy: perhaps}\n  - {ifname: c, wrong: 1}\n", out _);
        Assert.Equal([1, 2, 3, 5, 6, 7, 7], errors.Select(static error => error.Split(':')[1]).Select(int.Parse).Order());
    }

    [Fact]
    public void A_file_is_UTF8_and_has_at_most_so_many_bytes()
    {
        Assert.Equal(["FILE:2: is not UTF-8"], Read([(byte)'a', (byte)'\n', 0xFF], out _));
        Assert.Equal(["FILE: is longer than 16777216 bytes, which is the most a file may have"], Read([.. Enumerable.Repeat((byte)'#', ConfigLimits.MaxBytes + 1)], out _));
        Assert.Equal("FILE:1: must be a mapping", Assert.Single(Read([.. Enumerable.Repeat((byte)'#', ConfigLimits.MaxBytes)], out _))[..25]);
    }

    [Fact]
    public void Aliases_work_and_cannot_make_much_of_little()
    {
        Assert.Empty(Read("local: 192.0.2.1\nsegments:\n  - {ifname: a, vni: 1, remote: &all [192.0.2.2, 192.0.2.3]}\n  - {ifname: b, vni: 2, remote: *all}\n", out var options));
        Assert.Equal(options!.Devices[0].Remotes, options.Devices[1].Remotes);
        var bomb = new StringBuilder("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (var c = 'b'; c < 'i'; c++) bomb.Append(System.Globalization.CultureInfo.InvariantCulture, $"{c}: &{c} [{string.Join(',', Enumerable.Repeat("*" + (char)(c - 1), 10))}]\n");
        Assert.Equal("FILE:6: holds more than 1048576 values, aliases counted as what they stand for", Assert.Single(Read(bomb.ToString(), out _)));
    }

    [Theory]
    [InlineData(4096, true)]
    [InlineData(4097, false)]
    public void Segments_have_a_limit(int count, bool fits)
    {
        var text = new StringBuilder("local: 192.0.2.1\nsegments:\n");
        for (var i = 0; i < count; i++) text.Append(System.Globalization.CultureInfo.InvariantCulture, $"  - {{ifname: v{i}, vni: {i}}}\n");
        Assert.Equal(fits, Read(text.ToString(), out _) is []);
    }

    [Fact]
    public void A_file_that_is_not_there_is_one_line() =>
        Assert.Equal("sleeve up: --config /nowhere/net.yaml: Could not find a part of the path '/nowhere/net.yaml'; must be a readable file\n", Outcome.Of("up --config /nowhere/net.yaml").Errors);

    [Fact]
    public void Check_tells_by_its_exit_code_and_in_JSON_too()
    {
        var good = Write(Encoding.UTF8.GetBytes(Good));
        // What only a daemon takes is right too.
        var empty = Write("socket-mode: 0660\nsegments: []\n"u8.ToArray());
        var none = Outcome.OfWords("config", "check", empty);
        Assert.Equal((ExitCode.Done, $"{empty}: right, 0 segments\n"), (none.Code, none.Output));
        var fine = Outcome.OfWords("config", "check", good);
        Assert.Equal((ExitCode.Done, $"{good}: right, 2 segments\n"), (fine.Code, fine.Output));

        var bad = Write("local: 192.0.2.1\nmtu: 5\nsegments: [{ifname: a}]\n"u8.ToArray());
        var plain = Outcome.OfWords("config", "check", bad);
        Assert.Equal((ExitCode.BadInput, 2), (plain.Code, plain.ErrorLines.Length));
        Assert.StartsWith($"sleeve config check: {bad}:2: mtu 5: must be", plain.ErrorLines[0], StringComparison.Ordinal);

        var json = Outcome.OfWords("config", "check", bad, "--json");
        Assert.Equal(ExitCode.BadInput, json.Code);
        using var report = JsonDocument.Parse(json.Output);
        Assert.False(report.RootElement.GetProperty("valid").GetBoolean());
        Assert.Equal([2, 3], report.RootElement.GetProperty("errors").EnumerateArray().Select(static error => error.GetProperty("line").GetInt32()));
    }

    [Fact]
    public void A_password_in_the_place_of_the_store_is_refused_and_not_repeated()
    {
        var bad = Write("local: 192.0.2.1\nstore: etcd://root:hunter2@10.0.0.1\nsegments: []\n"u8.ToArray());
        var said = Outcome.OfWords("config", "check", bad);
        Assert.Equal((ExitCode.BadInput, 1), (said.Code, said.ErrorLines.Length));
        Assert.StartsWith($"sleeve config check: {bad}:2: store: must have no user or password in it", said.ErrorLines[0], StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", said.Output + said.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_option_of_up_can_stand_in_a_file()
    {
        // Whoever declares an option for the command line has declared its key.
        var options = UpCommand.Create().Options.Where(static option => option.Name is not ("--config" or "--help"));
        foreach (var option in options)
        {
            var errors = Read($"{option.Name[2..]}: nonsense\n", out _);
            Assert.DoesNotContain(errors, static error => error.Contains("unknown key", StringComparison.Ordinal));
        }
    }

    private string[] Read(string text, out UpOptions? options, params string[] words) => Read(Encoding.UTF8.GetBytes(text), out options, words);

    private string[] Read(byte[] text, out UpOptions? options, params string[] words)
    {
        var path = Write(text);
        var result = CommandLine.Parse(CommandLine.CreateRoot(), ["up", .. words, "--config", path], out var errors);
        Assert.Empty(errors);
        return [.. UpCommand.TryRead(result, out options).Select(error => error.Replace(path, "FILE", StringComparison.Ordinal))];
    }

    private string Write(byte[] text)
    {
        var path = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        File.WriteAllBytes(path, text);
        return path;
    }
}
