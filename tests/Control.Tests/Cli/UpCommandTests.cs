using Sleeve.Control.Cli;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Tests.Cli;

/// <summary>Every option of <c>sleeve up</c>: what is taken, and for what is not exactly one line that names option, value and what is allowed.</summary>
[Collection(ConsoleTests.Name)]
public class UpCommandTests
{
    private const string Good = "vx0 --vni 100 --local 192.0.2.1";
    private const string Name = "an interface name of 1 to 15 bytes without '/', ':', '%', white space or control characters";
    private const string Unicast = "an IPv4 or IPv6 unicast address, not link-local";
    private const string Cidr = "an address with a prefix length, such as 10.1.1.1/24 or fd00::1/64";
    private const string StationMac = "a unicast MAC such as 02:00:00:00:00:01";
    private const string TypeOfService = "inherit or 0 to 252, a multiple of 4 (the rest is ECN), also as 0x…";
    private const string Ports = "MIN-MAX, each 1 to 65535, MIN not above MAX";
    private const string LongName = "a234567890123456";

    [Theory]
    // One past each limit.
    [InlineData("vx0 --local 192.0.2.1 --vni 16777216", "--vni 16777216: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --id 16777216", "--id 16777216: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 id 16777216", "--id 16777216: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni -1", "--vni -1: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni=-1", "--vni -1: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni:-1", "--vni -1: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni 0x10", "--vni 0x10: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni +5", "--vni +5: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni 1.0", "--vni 1.0: must be 0 to 16777215")]
    [InlineData("vx0 --local 192.0.2.1 --vni 99999999999999999999", "--vni 99999999999999999999: must be 0 to 16777215")]
    [InlineData(Good + " --dstport 0", "--dstport 0: must be 1 to 65535")]
    [InlineData(Good + " --dstport 65536", "--dstport 65536: must be 1 to 65535")]
    [InlineData(Good + " --srcport 0-5", "--srcport 0-5: must be " + Ports)]
    [InlineData(Good + " --srcport 5-65536", "--srcport 5-65536: must be " + Ports)]
    [InlineData(Good + " --srcport 6-5", "--srcport 6-5: must be " + Ports)]
    [InlineData(Good + " --srcport 5-", "--srcport 5-: must be " + Ports)]
    [InlineData(Good + " --srcport -5", "--srcport -5: must be " + Ports)]
    [InlineData(Good + " --srcport 1-2-3", "--srcport 1-2-3: must be " + Ports)]
    [InlineData(Good + " --ageing 1000001", "--ageing 1000001: must be 0 to 1000000 (seconds)")]
    [InlineData(Good + " --ageing -1", "--ageing -1: must be 0 to 1000000 (seconds)")]
    [InlineData(Good + " --maxaddress 1048577", "--maxaddress 1048577: must be 0 to 1048576")]
    [InlineData(Good + " --mtu 67", "--mtu 67: must be 68 to 65521")]
    [InlineData(Good + " --mtu 65522", "--mtu 65522: must be 68 to 65521")]
    [InlineData(Good + " --pmtu-ttl 0", "--pmtu-ttl 0: must be 1 to 86400 (seconds)")]
    [InlineData(Good + " --pmtu-ttl 86401", "--pmtu-ttl 86401: must be 1 to 86400 (seconds)")]
    [InlineData(Good + " --pmtu-probe 4", "--pmtu-probe 4: must be off or 5 to 86400 (seconds)")]
    [InlineData(Good + " --pmtu-probe 86401", "--pmtu-probe 86401: must be off or 5 to 86400 (seconds)")]
    [InlineData(Good + " --mss-clamp 63", "--mss-clamp 63: must be off, auto or 64 to 65495 (bytes)")]
    [InlineData(Good + " --mss-clamp 65496", "--mss-clamp 65496: must be off, auto or 64 to 65495 (bytes)")]
    [InlineData(Good + " --mss-clamp on", "--mss-clamp on: must be off, auto or 64 to 65495 (bytes)")]
    [InlineData(Good + " --tap-fd 2", "--tap-fd 2: must be 3 or more, an open descriptor")]
    [InlineData(Good + " --tap-fd 2147483648", "--tap-fd 2147483648: must be 3 or more, an open descriptor")]
    [InlineData(LongName + " --vni 100 --local 192.0.2.1", "DEV " + LongName + ": must be " + Name)]
    // Of a kind that cannot be.
    [InlineData(Good + " --group 10.1.1.1 --dev eth0", "--group 10.1.1.1: must be an IPv4 or IPv6 multicast address")]
    [InlineData(Good + " --group 239.1.1.1", "--dev: missing; group 239.1.1.1 needs " + Name + " to join it on")]
    [InlineData(Good + " --group ff05::1 --dev eth0", "--group ff05::1: must be of the same family as --local 192.0.2.1")]
    [InlineData(Good + " --rootless web", "--rootless web: must be a process id, or a path such as /proc/PID/ns/net")]
    [InlineData(Good + " --rootless 0", "--rootless 0: must be a process id, or a path such as /proc/PID/ns/net")]
    [InlineData(Good + " --rootless 5 --netns 6", "--netns 6: not with --rootless 5; a TAP is in one network namespace")]
    [InlineData(Good + " --user root", "--user root: must be the name of an ordinary user of this host (getent passwd)")]
    [InlineData(Good + " --user sleeve-no-such-user", "--user sleeve-no-such-user: must be the name of an ordinary user of this host (getent passwd)")]
    [InlineData(Good + " --dev a/b", "--dev a/b: must be " + Name)]
    [InlineData(Good + " --dev eth0 --group 239.1.1.1 --group 239.1.1.2", "--group 239.1.1.1 239.1.1.2: given more than once; only one is allowed")]
    [InlineData(Good + " --tos 256", "--tos 256: must be " + TypeOfService)]
    [InlineData(Good + " --tos 1", "--tos 1: must be " + TypeOfService)]
    [InlineData(Good + " --tos 0x", "--tos 0x: must be " + TypeOfService)]
    [InlineData(Good + " --tos 0x100", "--tos 0x100: must be " + TypeOfService)]
    [InlineData(Good + " --tos inherited", "--tos inherited: must be " + TypeOfService)]
    [InlineData(Good + " --ttl 256", "--ttl 256: must be auto, inherit or 1 to 255 (0 means auto)")]
    [InlineData(Good + " --ttl -1", "--ttl -1: must be auto, inherit or 1 to 255 (0 means auto)")]
    [InlineData(Good + " --df 1", "--df 1: must be unset, set or inherit")]
    [InlineData(Good + " --flowlabel 5", "--flowlabel 5: only IPv6 has flow labels, and this underlay is IPv4; must be 0, or left out")]
    [InlineData("vx0 --vni 100 --local 2001:db8::1 --flowlabel 1048576", "--flowlabel 1048576: must be inherit or 0 to 1048575, also as 0x…")]
    [InlineData("vx0 --vni 100 --local 2001:db8::1 --flowlabel 0xFFFFFFFF", "--flowlabel 0xFFFFFFFF: must be inherit or 0 to 1048575, also as 0x…")]
    [InlineData(Good + " --admit all", "--admit all: must be peers, listed or any")]
    [InlineData(Good + " --admit ANY", "--admit ANY: must be peers, listed or any")]
    [InlineData("vx0 --vni 100 --local 224.0.0.1", "--local 224.0.0.1: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 0.0.0.0", "--local 0.0.0.0: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 255.255.255.255", "--local 255.255.255.255: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local fe80::1", "--local fe80::1: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local ff02::1", "--local ff02::1: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local ::", "--local ::: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 192.0.2", "--local 192.0.2: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 192.0.2.256", "--local 192.0.2.256: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 192.0.2.01", "--local 192.0.2.01: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local localhost", "--local localhost: must be " + Unicast)]
    [InlineData("vx0 --vni 100 --local 192.0.2.1/24", "--local 192.0.2.1/24: must be " + Unicast)]
    [InlineData(Good + " --remote 239.1.1.1", "--remote 239.1.1.1: must be " + Unicast)]
    [InlineData(Good + " --address 10.1.1.1/33", "--address 10.1.1.1/33: must be " + Cidr)]
    [InlineData(Good + " --address fd00::1/129", "--address fd00::1/129: must be " + Cidr)]
    [InlineData(Good + " --address 10.1.1/24", "--address 10.1.1/24: must be " + Cidr)]
    [InlineData(Good + " --address 10.1.1.1/-1", "--address 10.1.1.1/-1: must be " + Cidr)]
    [InlineData(Good + " --address 224.0.0.1/24", "--address 224.0.0.1/24: must be " + Cidr)]
    [InlineData(Good + " --address 0.0.0.0/0", "--address 0.0.0.0/0: must be " + Cidr)]
    [InlineData(Good + " --mac 01:00:00:00:00:01", "--mac 01:00:00:00:00:01: must be " + StationMac)]
    [InlineData(Good + " --mac 00:00:00:00:00:00", "--mac 00:00:00:00:00:00: must be " + StationMac)]
    [InlineData(Good + " --mac 02:00:00:00:00", "--mac 02:00:00:00:00: must be " + StationMac)]
    [InlineData(Good + " --mac 02:00:00:00:00:0g", "--mac 02:00:00:00:00:0g: must be " + StationMac)]
    [InlineData(Good + " --bridge a/b", "--bridge a/b: must be " + Name)]
    [InlineData("a/b --vni 100 --local 192.0.2.1", "DEV a/b: must be " + Name)]
    [InlineData(". --vni 100 --local 192.0.2.1", "DEV .: must be " + Name)]
    [InlineData(".. --vni 100 --local 192.0.2.1", "DEV ..: must be " + Name)]
    [InlineData("vx%d --vni 100 --local 192.0.2.1", "DEV vx%d: must be " + Name)]
    [InlineData("vx0: --local 192.0.2.1", "DEV vx0:: its VNI must be 0 to 16777215")]
    [InlineData("vx0:16777216 --local 192.0.2.1", "DEV vx0:16777216: its VNI must be 0 to 16777215")]
    [InlineData("a:b:5 --local 192.0.2.1", "DEV a:b: must be " + Name)]
    // Missing.
    [InlineData("--vni 100 --local 192.0.2.1", "DEV: missing; it must be " + Name)]
    [InlineData("vx0 --local 192.0.2.1", "--vni: missing for vx0; it must be 0 to 16777215")]
    [InlineData("vx0 --vni 100", "--local: missing; it must be " + Unicast + " (or give a --remote, and the route decides)")]
    [InlineData("vx0 --local 192.0.2.1 --vni", "--vni: a value is missing: 0 to 16777215")]
    [InlineData("vx0 --vni --local 192.0.2.1", "--vni: a value is missing: 0 to 16777215")]
    [InlineData("vx0 --vni 100 local", "--local: a value is missing: " + Unicast)]
    [InlineData(Good + " --mtu --proxy", "--mtu: a value is missing: 68 to 65521")]
    [InlineData(Good + " --mtu --mac=02:00:00:00:00:01", "--mtu: a value is missing: 68 to 65521")]
    [InlineData(Good + " --remote", "--remote: a value is missing: " + Unicast)]
    [InlineData(Good + " --remote 192.0.2.2 --remote", "--remote: a value is missing: " + Unicast)]
    [InlineData(Good + " --socket --", "--socket: a value is missing: a path of 1 to 107 bytes")]
    [InlineData("vx0 --vni 100 --local local", "--local local: must be " + Unicast)]
    // Twice.
    [InlineData(Good + " --vni 100", "--vni 100 100: given more than once; only one is allowed")]
    [InlineData(Good + " --id 101", "--vni 100 101: given more than once; only one is allowed")]
    [InlineData(Good + " local 192.0.2.2", "--local 192.0.2.1 192.0.2.2: given more than once; only one is allowed")]
    [InlineData(Good + " --mtu 1400 mtu 1400", "--mtu 1400 1400: given more than once; only one is allowed")]
    [InlineData(Good + " --proxy proxy", "--proxy: given more than once; only one is allowed")]
    [InlineData(Good + " --remote 192.0.2.2 --remote 192.0.2.2", "--remote 192.0.2.2: given twice")]
    [InlineData(Good + " --address 10.1.1.1/24 --address 10.1.1.1/24", "--address 10.1.1.1/24: given twice")]
    [InlineData("vx0:1 vx0:2 --local 192.0.2.1", "DEV vx0:2: vx0 is given twice")]
    [InlineData("vx0:1 vx1:1 --local 192.0.2.1", "DEV vx1:1: vni 1 is given twice")]
    // Contradictions.
    [InlineData(Good + " --learning --nolearning", "--learning --nolearning: contradict each other; only one is allowed")]
    [InlineData(Good + " proxy noproxy", "--proxy --noproxy: contradict each other; only one is allowed")]
    [InlineData(Good + " udpcsum noudpcsum", "--udpcsum --noudpcsum: contradict each other; only one is allowed")]
    [InlineData(Good + " --remote 2001:db8::2", "--remote 2001:db8::2: must be of the same family as --local 192.0.2.1")]
    [InlineData("vx0 --vni 100 --local 2001:db8::1 --remote 192.0.2.2", "--remote 192.0.2.2: must be of the same family as --local 2001:db8::1")]
    [InlineData("vx0 --vni 100 --remote 192.0.2.2 --remote 2001:db8::2", "--remote 2001:db8::2: must be of the same family as --remote 192.0.2.2")]
    [InlineData(Good + " --remote 192.0.2.1", "--remote 192.0.2.1: is the --local address; must be another VTEP")]
    [InlineData(Good + " --bridge vx0", "--bridge vx0: cannot be the device itself")]
    [InlineData(Good + " --mtu 1279 --address fd00::1/64", "--mtu 1279: must be at least 1280 for an IPv6 --address (RFC 8200, section 5)")]
    [InlineData("vx0:5 --vni 6 --local 192.0.2.1", "--vni 6: contradicts vx0:5")]
    [InlineData("vx0:1 vx1:2 --local 192.0.2.1 --mac 02:00:00:00:00:01", "--mac 02:00:00:00:00:01: only one device can have it")]
    [InlineData("vx0:1 vx1:2 --local 192.0.2.1 --tap-fd 3", "--tap-fd 3: only one device can have it")]
    [InlineData("vx0:1 vx1:2 --local 192.0.2.1 --address 10.1.1.1/24", "--address 10.1.1.1/24: only one device can have it")]
    [InlineData("vx0:1 vx1:2 --local 192.0.2.1 --socket /x", "--socket /x: not with several devices; each has /run/sleeve/DEV.sock")]
    // Words that belong nowhere.
    [InlineData(Good + " 200", "200: not expected here; with several devices (vx0 200) each must be DEV:VNI, without --vni")]
    [InlineData("vx0:1 vx1 --local 192.0.2.1", "DEV vx1: must be DEV:VNI where there are several")]
    [InlineData(Good + " --locl 192.0.2.1", "--locl: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " --locl=192.0.2.1", "--locl=192.0.2.1: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " -x", "-x: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " ---vni", "---vni: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " --version", "--version: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " --json", "--json: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " --VNI 5", "--VNI: unknown option; sleeve up --help lists them")]
    [InlineData(Good + " --proxy=true", "--proxy=true: --proxy takes no value")]
    [InlineData(Good + " --strict:no", "--strict:no: --strict takes no value")]
    [InlineData(Good + " --proxy true", "true: not expected here; with several devices (vx0 true) each must be DEV:VNI, without --vni")]
    // Not files, not directives.
    [InlineData(Good + " --mtu @/etc/hostname", "--mtu @/etc/hostname: must be 68 to 65521")]
    [InlineData(Good + " @/etc/hostname", "@/etc/hostname: not expected here; with several devices (vx0 @/etc/hostname) each must be DEV:VNI, without --vni")]
    public void Bad_words_are_one_line(string words, string error)
    {
        var outcome = Outcome.Of("up " + words);
        Assert.Equal([$"sleeve up: {error}"], outcome.ErrorLines);
        Assert.Equal((ExitCode.BadInput, ""), (outcome.Code, outcome.Output));
    }

    [Fact]
    public void Every_error_of_a_line_is_told_at_once()
    {
        var outcome = Outcome.Of("up --vni 16777216 --local nowhere --mtu 1 --admit me");
        Assert.Equal(5, outcome.ErrorLines.Length);
        Assert.All(outcome.ErrorLines, static line => Assert.StartsWith("sleeve up: ", line, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\nb")]
    [InlineData("a\u001b[2Jb")]
    public void What_a_name_cannot_hold_stays_on_one_line_and_off_the_terminal(string name)
    {
        var outcome = Outcome.OfWords("up", name, "--vni", "1", "--local", "192.0.2.1");
        Assert.Equal(ExitCode.BadInput, outcome.Code);
        Assert.DoesNotContain('\u001b', Assert.Single(outcome.ErrorLines));
    }

    [Fact]
    public void Words_that_are_not_UTF8_are_refused() =>
        Assert.Equal("sleeve up: vx\uFFFD: is not UTF-8\n", Outcome.Of("up vx\uFFFD --vni 1 --local 192.0.2.1").Errors);

    [Theory]
    [InlineData(107, true)]
    [InlineData(108, false)]
    public void A_socket_path_fits_or_is_refused(int length, bool fits)
    {
        var words = $"up {Good} --socket /{new string('a', length - 1)}".Split(' ');
        var errors = Read(words, out var options);
        Assert.Equal(fits, options is not null);
        if (!fits) Assert.EndsWith("must be a path of 1 to 107 bytes", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Fact]
    public void Both_spellings_read_the_same()
    {
        Assert.Empty(Read("up vx0 --vni 100 --local 192.0.2.1 --remote 192.0.2.2 --dstport 8472 --nolearning --ageing 60 --proxy --noudpcsum".Split(' '), out var dashed));
        Assert.Empty(Read("up vx0 id 100 local 192.0.2.1 remote 192.0.2.2 dstport 8472 nolearning ageing 60 proxy noudpcsum".Split(' '), out var bare));
        Assert.Empty(Read("up --proxy --vni=100 --local:192.0.2.1 remote 192.0.2.2 nolearning --noudpcsum vx0 --dstport=8472 ageing 60".Split(' '), out var mixed));
        Assert.All([bare, mixed], other =>
        {
            Assert.Equal(dashed!.Vtep, other!.Vtep);
            Assert.Equal(dashed.Segments, other.Segments);
            Assert.Equal(dashed.Devices[0].Remotes, other.Devices[0].Remotes);
        });
        Assert.Equal((8472, false), (dashed!.Vtep.Port, dashed.Vtep.UdpChecksum));
        var segment = Assert.Single(dashed.Segments);
        Assert.Equal((100u, "vx0", false, 60, true), (segment.Vni.Value, segment.Name, segment.Learning, segment.AgeingSeconds, segment.Proxy));
    }

    [Theory]
    [InlineData("--vni 0")]
    [InlineData("--vni 16777215")]
    [InlineData("--vni 1 --dstport 1")]
    [InlineData("--vni 1 --dstport 65535")]
    [InlineData("--vni 1 --srcport 1-65535")]
    [InlineData("--vni 1 --srcport 50000")]
    [InlineData("--vni 1 --ageing 0")]
    [InlineData("--vni 1 --ageing 1000000")]
    [InlineData("--vni 1 --maxaddress 1048576")]
    [InlineData("--vni 1 --mtu 68")]
    [InlineData("--vni 1 --mtu 65521")]
    [InlineData("--vni 1 --mtu 1280 --address fd00::1/64")]
    [InlineData("--vni 1 --tap-fd 3")]
    [InlineData("--vni 1 --address 10.0.0.1/0 --address 10.0.0.2/32 --address fd00::1/128")]
    public void At_the_limit_is_taken(string words) => Assert.Empty(Read($"up vx0 --local 192.0.2.1 {words}".Split(' '), out _));

    [Fact]
    public void An_options_value_may_look_like_an_option()
    {
        Assert.Empty(Read("up vx0 vni 1 local 192.0.2.1 bridge local netns proxy".Split(' '), out var options));
        Assert.Equal(("local", "proxy"), (options!.Devices[0].Bridge, options.Devices[0].NetworkNamespace));
    }

    [Fact]
    public void After_two_dashes_every_word_is_a_name()
    {
        Assert.Empty(Read("up --vni 1 --local 192.0.2.1 -- local".Split(' '), out var options));
        Assert.Equal("local", Assert.Single(options!.Segments).Name);
    }

    [Fact]
    public void A_name_with_an_at_sign_is_no_file()
    {
        Assert.Empty(Read("up @etc --vni 1 --local 192.0.2.1".Split(' '), out var options));
        Assert.Equal("@etc", Assert.Single(options!.Segments).Name);
    }

    [Fact]
    public void An_address_after_a_colon_keeps_its_own()
    {
        Assert.Empty(Read("up vx0 --vni 1 --local:2001:db8::1 --remote=2001:db8::2".Split(' '), out var options));
        Assert.Equal(("2001:db8::1", "2001:db8::2"), (options!.Vtep.Local.ToString(), Assert.Single(options.Devices[0].Remotes).ToString()));
    }

    [Fact]
    public void More_remotes_than_a_list_holds_are_refused()
    {
        string[] words = [.. "up vx0 --vni 1 --local 10.255.0.1".Split(' '), .. Enumerable.Range(0, ReplicationList.MaxRemotes + 1).SelectMany(static i => new[] { "--remote", $"10.1.{i / 250}.{(i % 250) + 1}" })];
        Assert.Equal("--remote: given 4097 times; at most 4096 are allowed", Assert.Single(Read(words, out _)));
        Assert.Empty(Read(words[..^2], out _));
    }

    [Fact]
    public void Several_devices_each_have_their_VNI()
    {
        Assert.Empty(Read("up vx1:100 vx2:200 --local 2001:db8::1 --admit any".Split(' '), out var options));
        Assert.Equal([("vx1", 100u), ("vx2", 200u)], options!.Segments.Select(static segment => (segment.Name, segment.Vni.Value)));
        Assert.All(options.Segments, static segment => Assert.Equal(Admission.Any, segment.Admission));
    }

    private static IReadOnlyList<string> Read(string[] words, out UpOptions? options)
    {
        var result = CommandLine.Parse(CommandLine.CreateRoot(), words, out var errors);
        Assert.Empty(errors);
        return UpCommand.TryRead(result, out options);
    }
}
