using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class RecordJsonTests
{
    private static readonly NetworkRecord Network = new("blue", "0123456789abcdef", new Vni(5000))
    {
        Subnets = [P("10.1.0.0/16"), P("2001:db8:1::/64")], Gateways = [A("10.1.0.1"), A("2001:db8:1::1")], Mtu = 1400, Mode = NetworkMode.Routed, IsDirect = true, BlockLength = 24, Plan = "zone:rack:host",
        Labels = new SortedDictionary<string, string> { ["team"] = "a", ["b"] = "" },
    };

    private static readonly EndpointRecord Endpoint = new("c1", M("02:42:0a:01:00:05"), [A("10.1.0.5"), A("2001:db8:1::5")]) { Name = "web", Aliases = ["www"], Vtep = A("192.0.2.1"), Generation = 7 };

    [Fact]
    public void Every_record_is_read_as_it_was_written()
    {
        AssertRound(Network);
        AssertRound(Endpoint);
        AssertRound(new PeerRecord("h1", A("192.0.2.1"), 4789) { IsDraining = true, Version = "0.5", Generation = 3, Since = DateTimeOffset.UnixEpoch, Location = "eu/r1" });
        AssertRound(new MemberRecord(A("2001:db8::1"), 4789) { Mac = M("02:00:00:00:00:01"), Subnets = [P("10.1.2.0/24")] });
        AssertRound(new AddressRecord("", "", "reserved") { Note = "the old printer" });
        AssertRound(new BlockRecord("h1"));
    }

    [Fact]
    public void Members_have_the_names_and_forms_that_are_documented() => Assert.Equal(
        """{"name":"blue","id":"0123456789abcdef","vni":5000,"subnets":["10.1.0.0/16","2001:db8:1::/64"],"gateways":["10.1.0.1","2001:db8:1::1"],"mtu":1400,"port":0,"mode":"routed","block_length":24,"plan":"zone:rack:host","is_internal":false,"is_direct":true,"labels":{"b":"","team":"a"}}""",
        RecordJson.Write(Network));

    [Fact]
    public void What_is_left_out_has_its_default_and_what_is_new_is_passed_over()
    {
        Assert.True(RecordJson.TryRead<EndpointRecord>("""{"id":"c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1","colour":{"of":["the",1]}}""", out var endpoint, out _));
        Assert.Equal("", endpoint.Name);
        Assert.Empty(endpoint.Aliases);
        Assert.True(RecordJson.TryRead<NetworkRecord>("""{"name":"n","id":"0123456789abcdef","vni":1}""", out var network, out _));
        Assert.Empty(network.Subnets);
        Assert.Empty(network.Labels);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("null", "null")]
    [InlineData("{}", "")]
    [InlineData("[]", "")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":["10.0.0.1","10.0.0.1"],"vtep":"192.0.2.1"}""", "twice")]
    [InlineData("""{"id":"c","mac":"01:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1"}""", "unicast MAC")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":["224.0.0.1"],"vtep":"192.0.2.1"}""", "unicast address")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"::"}""", "vtep")]
    [InlineData("""{"id":"../c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1"}""", "id")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1","aliases":[null]}""", "")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":null,"vtep":"192.0.2.1"}""", "")]
    [InlineData("""{"id":"c","id":"d","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1"}""", "")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1","generation":1e99}""", "")]
    [InlineData("""{"id":"c","mac":"02:00:00:00:00:01","addresses":[],"vtep":"192.0.2.1","name":"\ud800"}""", "")]
    public void What_is_no_endpoint_is_a_fault(string text, string expected)
    {
        Assert.False(RecordJson.TryRead<EndpointRecord>(text, out var record, out var fault));
        Assert.Null(record);
        Assert.Contains(expected, fault, StringComparison.Ordinal);
        Assert.DoesNotContain(fault, char.IsControl);
    }

    [Fact]
    public void Limits_hold_at_the_limit_and_one_past_it()
    {
        static EndpointRecord With(int addresses, int aliases) => Endpoint with
        {
            Addresses = [.. Enumerable.Range(1, addresses).Select(static i => InternetAddress.FromIPv4(0x0A000000u + (uint)i))], Aliases = [.. Enumerable.Range(1, aliases).Select(static i => $"a{i}")],
        };
        AssertRound(With(RecordJson.MaxAddresses, RecordJson.MaxAliases));
        Assert.False(RecordJson.TryRead<EndpointRecord>(RecordJson.Write(With(RecordJson.MaxAddresses + 1, 0)), out _, out _));
        Assert.False(RecordJson.TryRead<EndpointRecord>(RecordJson.Write(With(0, RecordJson.MaxAliases + 1)), out _, out _));
        AssertRound(Network with { Labels = Labels(64, 255) });
        Assert.False(RecordJson.TryRead<NetworkRecord>(RecordJson.Write(Network with { Labels = Labels(65, 1) }), out _, out _));
        Assert.False(RecordJson.TryRead<NetworkRecord>(RecordJson.Write(Network with { Labels = Labels(1, 256) }), out _, out _));

        static SortedDictionary<string, string> Labels(int count, int length) => new(Enumerable.Range(0, count).ToDictionary(static i => $"k{i}", _ => new string('v', length)), StringComparer.Ordinal);
    }

    [Fact]
    public void Anything_at_all_is_a_record_or_a_fault()
    {
        var random = new Random(6);
        string[] seeds = [RecordJson.Write(Network), RecordJson.Write(Endpoint), RecordJson.Write(new MemberRecord(A("192.0.2.1"), 1) { Subnets = [P("10.0.0.0/8")] })];
        string[] words = ["\"", "{", "}", "[", "]", ",", ":", "null", "-1", "1e400", "99999999999999999999", "\\u0000", "\\ud800", "\u0000", "\ud800", "::1", "/", "true", "0", new('9', 60)];
        for (var i = 0; i < 30_000; i++)
        {
            var text = seeds[random.Next(seeds.Length)];
            for (var change = random.Next(1, 4); change > 0; change--)
            {
                var at = random.Next(text.Length);
                text = random.Next(3) switch
                {
                    0 => text.Remove(at, Math.Min(random.Next(1, 20), text.Length - at)),
                    1 => text.Insert(at, words[random.Next(words.Length)]),
                    _ => string.Concat(text.AsSpan(0, at), words[random.Next(words.Length)], text.AsSpan(Math.Min(text.Length, at + random.Next(1, 8)))),
                };
                if (text.Length == 0) break;
            }

            AssertReads<NetworkRecord>(text);
            AssertReads<EndpointRecord>(text);
            AssertReads<MemberRecord>(text);
            AssertReads<AddressRecord>(text);
            AssertReads<PeerRecord>(text);
        }
    }

    // What was read can be written and read again, and is the same then.
    private static void AssertReads<T>(string text)
        where T : class
    {
        if (RecordJson.TryRead<T>(text, out var record, out var fault)) AssertRound(record);
        else Assert.False(string.IsNullOrEmpty(fault), text);
    }

    private static void AssertRound<T>(T record)
        where T : class
    {
        var text = RecordJson.Write(record);
        Assert.True(RecordJson.TryRead<T>(text, out var read, out var fault), $"{text}: {fault}");
        Assert.Equal(text, RecordJson.Write(read));
    }
}
