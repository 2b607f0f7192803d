using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What a host may write.</summary>
public sealed class StoreRulesTests
{
    // "b" gives a sign of life, "dead" does not.
    private static readonly Dictionary<string, string> Standing = new()
    {
        ["alive/b"] = "",
        ["peers/b"] = "{}",
        ["peers/dead"] = "{}",
        ["hosts/b/endpoints/net/1"] = "{}",
        ["hosts/dead/endpoints/net/1"] = "{}",
        ["addresses/net/10.0.0.1"] = """{"host":"a","endpoint":"1","why":"endpoint"}""",
        ["addresses/net/10.0.0.2"] = """{"host":"b","endpoint":"1","why":"endpoint"}""",
        ["addresses/net/10.0.0.3"] = """{"host":"dead","endpoint":"1","why":"endpoint"}""",
        ["addresses/net/10.0.0.4"] = """{"host":"","endpoint":"","why":"reserved"}""",
        ["addresses/net/10.0.0.5"] = "what?",
        ["macs/net/02:00:00:00:00:01"] = "a/1",
        ["macs/net/02:00:00:00:00:02"] = "b/1",
        ["macs/net/02:00:00:00:00:03"] = "dead/1",
        ["blocks/net/10.1.0.0_24"] = """{"host":"b"}""",
        ["blocks/net/10.1.1.0_24"] = """{"host":"dead"}""",
    };

    private static string? Refuse(string key, string? value, long lease = 0, string host = "a") => StoreRules.Refuse(
        host, [new StoreWrite(key, value, lease)], static read => Standing.TryGetValue(read, out var value) ? new StoreEntry(read, value, 2, 2, 0) : null,
        static lease => lease switch { 1 => "a", 2 => "b", _ => null });

    [Theory]
    [InlineData("peers/a", "{}", 0)]
    [InlineData("peers/a", null, 0)]
    [InlineData("peers/dead", null, 0)]
    [InlineData("alive/a", "", 1)]
    [InlineData("alive/a", null, 0)]
    [InlineData("networks/net", "{}", 0)]
    [InlineData("networks/net", null, 0)]
    [InlineData("vnis/100", "net", 0)]
    [InlineData("audits/1", "{}", 1)]
    [InlineData("audits/1", null, 0)]
    [InlineData("hosts/a/networks/net", "{}", 0)]
    [InlineData("hosts/a/endpoints/net/1", "{}", 0)]
    [InlineData("hosts/a/audits/1", "{}", 1)]
    [InlineData("hosts/dead/endpoints/net/1", null, 0)]
    [InlineData("hosts/dead/networks/net", null, 0)]
    [InlineData("addresses/net/10.0.0.9", """{"host":"a","endpoint":"1","why":"endpoint"}""", 0)]
    [InlineData("addresses/net/10.0.0.9", """{"host":"","why":"reserved"}""", 0)]
    [InlineData("addresses/net/10.0.0.9", """{"nested":{"host":"b","x":["host"]},"host":"a"}""", 0)]
    [InlineData("addresses/net/10.0.0.1", null, 0)]
    [InlineData("addresses/net/10.0.0.1", """{"host":"a","endpoint":"2"}""", 0)]
    [InlineData("addresses/net/10.0.0.3", null, 0)]
    [InlineData("addresses/net/10.0.0.4", null, 0)]
    [InlineData("addresses/net/10.0.0.4", """{"host":"a"}""", 0)]
    [InlineData("addresses/net/10.0.0.5", null, 0)]
    [InlineData("addresses/net/fd00::1", """{"host":"a"}""", 0)]
    [InlineData("macs/net/02:00:00:00:00:09", "a/1", 0)]
    [InlineData("macs/net/02:00:00:00:00:01", null, 0)]
    [InlineData("macs/net/02:00:00:00:00:03", null, 0)]
    [InlineData("blocks/net/10.1.2.0_24", """{"host":"a"}""", 0)]
    [InlineData("blocks/net/10.1.1.0_24", null, 0)]
    [InlineData("addresses/net/10.0.0.8", null, 0)]
    public void Its_own_everybody_s_and_what_the_dead_left(string key, string? value, long lease) => Assert.Null(Refuse(key, value, lease));

    [Theory]
    [InlineData("peers/b", "{}", 0, "which is b's")]
    [InlineData("peers/b", null, 0, "sign of life")]
    [InlineData("peers/dead", "{}", 0, "which is dead's")]
    [InlineData("alive/a", "", 0, "under a lease")]
    [InlineData("alive/a", "", 2, "lease of another")]
    [InlineData("alive/b", "", 1, "sign of life of b")]
    [InlineData("alive/b", null, 0, "sign of life of b")]
    [InlineData("alive/dead", null, 0, "sign of life of dead")]
    [InlineData("audits/1", "{}", 0, "under a lease")]
    [InlineData("hosts/b/networks/net", "{}", 0, "which is b's")]
    [InlineData("hosts/b/endpoints/net/1", null, 0, "sign of life")]
    [InlineData("hosts/dead/endpoints/net/1", "{}", 0, "which is dead's")]
    [InlineData("hosts/a/audits/1", "{}", 0, "under a lease")]
    [InlineData("hosts/b/audits/1", "{}", 1, "which is b's")]
    [InlineData("addresses/net/10.0.0.9", """{"host":"b"}""", 0, "for b")]
    [InlineData("addresses/net/10.0.0.2", null, 0, "sign of life")]
    [InlineData("addresses/net/10.0.0.2", """{"host":"a"}""", 0, "which is b's")]
    [InlineData("addresses/net/10.0.0.2", """{"host":""}""", 0, "which is b's")]
    [InlineData("addresses/net/10.0.0.3", """{"host":"a"}""", 0, "which is dead's")]
    [InlineData("addresses/net/10.0.0.9", """{"why":"endpoint"}""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """{"host":"b","host":"a"}""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """{"host":"a","Host":"b"}""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """{"host":"a"} {"host":"b"}""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """{"host":1}""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """{"host":"a" """, 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", """["host","a"]""", 0, "whose it is")]
    [InlineData("addresses/net/10.0.0.9", "", 0, "whose it is")]
    [InlineData("macs/net/02:00:00:00:00:09", "b/1", 0, "for b")]
    [InlineData("macs/net/02:00:00:00:00:09", "a", 0, "whose it is")]
    [InlineData("macs/net/02:00:00:00:00:09", "", 0, "whose it is")]
    [InlineData("macs/net/02:00:00:00:00:09", "a/1/2", 0, "whose it is")]
    [InlineData("macs/net/02:00:00:00:00:02", "a/1", 0, "which is b's")]
    [InlineData("macs/net/02:00:00:00:00:02", null, 0, "sign of life")]
    [InlineData("blocks/net/10.1.0.0_24", """{"host":"a"}""", 0, "which is b's")]
    [InlineData("blocks/net/10.1.0.0_24", null, 0, "sign of life")]
    [InlineData("other", "x", 0, "no key of a cluster")]
    [InlineData("peers/", "x", 0, "no key of a cluster")]
    [InlineData("peers/a/b", "x", 0, "no key of a cluster")]
    [InlineData("hosts/a", "x", 0, "no key of a cluster")]
    [InlineData("hosts/a/endpoints/net", "x", 0, "no key of a cluster")]
    [InlineData("hosts/a/other/net", "x", 0, "no key of a cluster")]
    [InlineData("networks/ä", "x", 0, "no key of a cluster")]
    [InlineData("/networks/a", "x", 0, "no key of a cluster")]
    public void What_is_not_its_own_is_refused_with_a_sentence(string key, string? value, long lease, string why) => Assert.Contains(why, Refuse(key, value, lease), StringComparison.Ordinal);

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData(".a")]
    public void Whoever_has_no_name_of_a_host_writes_nothing(string host) => Assert.NotNull(Refuse("networks/net", "{}", host: host));

    [Fact]
    public void One_that_is_refused_refuses_the_transaction() => Assert.NotNull(StoreRules.Refuse(
        "a", [new StoreWrite("networks/net", "{}"), new StoreWrite("peers/b", "{}")], static _ => null, static _ => null));
}
