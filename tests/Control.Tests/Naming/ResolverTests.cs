using System.Text;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Naming.Messages;

namespace Sleeve.Control.Tests.Naming;

/// <summary>What is answered to which question, as bytes.</summary>
public class ResolverTests
{
    private const int A = 1;
    private const int Ns = 2;
    private const int Soa = 6;
    private const int Ptr = 12;
    private const int Mx = 15;
    private const int Aaaa = 28;
    private const int Any = 255;

    private static readonly NetworkView Prod = Network(
        "prod", "10.1.0.0/16 fd00:1::/64",
        ("one", "web www", "10.1.0.2 fd00:1::2"), ("two", "Db1 db", "10.1.0.3"), ("two", "db2 db", "10.1.0.4"), ("gone", "old db", "10.1.0.5"), ("one", "a.b.c", "10.1.0.6"), ("one", "", "10.1.0.7"),
        ("one", "v6only", "fd00:1::9"));

    private static NetworkNames Serve(NetworkView? view, params string[] down) => new(new NameOptions(), () => view, host => !down.Contains(host));

    [Theory]
    [InlineData("web", A, "10.1.0.2")]
    [InlineData("WEB", A, "10.1.0.2")]
    [InlineData("web", Aaaa, "fd00:1::2")]
    [InlineData("www", A, "10.1.0.2")]
    [InlineData("web.prod", A, "10.1.0.2")]
    [InlineData("wEb.Prod.sLeeve", A, "10.1.0.2")]
    [InlineData("db1.prod.sleeve", A, "10.1.0.3")]
    [InlineData("a.b.c", A, "10.1.0.6")]
    [InlineData("a.b.c.prod.sleeve", A, "10.1.0.6")]
    [InlineData("2.0.1.10.in-addr.arpa", Ptr, "web.prod.sleeve.")]
    [InlineData("3.0.1.10.IN-ADDR.arpa", Ptr, "db1.prod.sleeve.")]
    [InlineData("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa", Ptr, "web.prod.sleeve.")]
    [InlineData("9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.D.F.ip6.arpa", Ptr, "v6only.prod.sleeve.")]
    public void A_name_or_alias_or_address_of_the_network_is_found(string name, int type, string data)
    {
        var answer = Ask(Serve(Prod), name, type);
        Assert.Equal(0, answer.Code);
        Assert.True(answer.IsAuthoritative);
        var record = Assert.Single(answer.Answers);
        // The owner is the name as it was asked for, case and all (RFC 4343, section 4.1).
        Assert.Equal((name + ".", type, 1, 1, data), (record.Name, record.Type, record.Class, record.Ttl, record.Data));
        Assert.Equal($"{name}. {type} 1", Assert.Single(answer.Questions));
    }

    [Theory]
    [InlineData("web", Mx, "web.")]
    [InlineData("web.prod", Mx, "prod.")]
    [InlineData("web.prod.sleeve", Mx, "prod.sleeve.")]
    [InlineData("v6only.prod.sleeve", A, "prod.sleeve.")]
    [InlineData("db1.prod.sleeve", Aaaa, "prod.sleeve.")]
    [InlineData("prod.sleeve", A, "prod.sleeve.")]
    [InlineData("sleeve", A, "sleeve.")]
    [InlineData("b.c.prod.sleeve", A, "prod.sleeve.")]
    [InlineData("c.prod.sleeve", A, "prod.sleeve.")]
    [InlineData("2.0.1.10.in-addr.arpa", A, "2.0.1.10.in-addr.arpa.")]
    [InlineData("7.0.1.10.in-addr.arpa", Ptr, "7.0.1.10.in-addr.arpa.")]
    [InlineData("0.1.10.in-addr.arpa", Ptr, "1.10.in-addr.arpa.")]
    [InlineData("1.10.in-addr.arpa", Ptr, "1.10.in-addr.arpa.")]
    public void A_name_without_what_was_asked_for_has_no_data_and_a_zone(string name, int type, string zone)
    {
        var answer = Ask(Serve(Prod), name, type);
        Assert.Equal(0, answer.Code);
        Assert.Empty(answer.Answers);
        AssertZone(zone, Assert.Single(answer.Authorities));
    }

    [Theory]
    [InlineData("nobody.prod.sleeve", "prod.sleeve.")]
    [InlineData("x.web.prod.sleeve", "prod.sleeve.")]
    [InlineData("web.other.sleeve", "sleeve.")]
    [InlineData("web.sleeve", "sleeve.")]
    [InlineData("9.9.1.10.in-addr.arpa", "1.10.in-addr.arpa.")]
    [InlineData("x.0.1.10.in-addr.arpa", "1.10.in-addr.arpa.")]
    [InlineData("02.0.1.10.in-addr.arpa", "1.10.in-addr.arpa.")]
    [InlineData("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa", "0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.")]
    public void A_name_of_ours_that_nobody_has_does_not_exist(string name, string zone)
    {
        var answer = Ask(Serve(Prod), name, Ptr);
        Assert.Equal(3, answer.Code);
        Assert.True(answer.IsAuthoritative);
        AssertZone(zone, Assert.Single(answer.Authorities));
    }

    private static void AssertZone(string zone, SlowRecord record)
    {
        // RFC 2308, section 5: how long it is kept is the lesser of the record's TTL and its last number.
        Assert.Equal((zone, Soa, 1L), (record.Name, record.Type, record.Ttl));
        Assert.Equal($"{zone} hostmaster.{zone} 107 60 10 600 1", record.Data);
    }

    [Fact]
    public void The_zone_can_be_asked_for()
    {
        var record = Assert.Single(Ask(Serve(Prod), "prod.sleeve", Soa).Answers);
        AssertZone("prod.sleeve.", record);
    }

    [Theory]
    [InlineData("example.com", A)]
    [InlineData("com", Ns)]
    [InlineData("", Ns)]
    [InlineData("nobody.prod", A)]
    [InlineData("sleeve.example.com", A)]
    [InlineData("xsleeve.org", A)]
    [InlineData("8.8.8.8.in-addr.arpa", Ptr)]
    [InlineData("10.in-addr.arpa", Ptr)]
    [InlineData("b.c", A)]
    [InlineData("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.0.d.f.ip6.arpa", Ptr)]
    [InlineData("2.0.0.0.0.1.a.0.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", Ptr)]
    public void What_is_none_of_ours_is_asked_elsewhere_if_the_client_wants_that(string name, int type)
    {
        var reply = new byte[DnsReply.MaxSize];
        Assert.Equal(0, Serve(Prod).Answer(Query(name, type, payload: 900), false, 0, default, reply, out var outside));
        Assert.Equal([.. Name(name), .. Word(type), 0, 1], outside!.Question);
        Assert.Equal((0x1234, 900, true, false), (outside.Id, outside.Limit, outside.HasEdns, outside.IsStream));
        Assert.Equal(5, SlowAnswer.Read(Ask(Serve(Prod), Query(name, type, flags: 0))).Code);
    }

    [Theory]
    [InlineData("nobody", A)]
    [InlineData("nobody", Mx)]
    [InlineData("localhost", A)]
    public void A_name_without_a_dot_is_never_asked_elsewhere(string name, int type)
    {
        var answer = Ask(Serve(Prod), name, type);
        Assert.Equal(3, answer.Code);
        // Nobody here may speak for the root, and without a zone nobody keeps it.
        Assert.Empty(answer.Authorities);
    }

    [Fact]
    public void Several_addresses_are_rotated_and_dead_ones_left_out()
    {
        var names = Serve(Prod, "gone");
        string[][] seen = [.. Enumerable.Range(0, 4).Select(i => SlowAnswer.Read(Ask(names, Query("db", A), rotation: (uint)i)).Answers.Select(static each => each.Data).ToArray())];
        Assert.All(seen, each => Assert.Equal(["10.1.0.3", "10.1.0.4"], each.Order()));
        Assert.NotEqual(seen[0], seen[1]);
        Assert.Equal(seen[0], seen[2]);
        Assert.Equal(3, Ask(Serve(Prod), "db", A).Answers.Count);
    }

    [Fact]
    public void A_name_whose_hosts_are_all_down_is_a_name_without_data_and_not_asked_elsewhere()
    {
        var names = Serve(Prod, "gone");
        foreach (var name in new[] { "old", "old.prod", "old.prod.sleeve", "5.0.1.10.in-addr.arpa" })
        {
            var answer = Ask(names, name, name.EndsWith("arpa", StringComparison.Ordinal) ? Ptr : A);
            Assert.Equal((0, 0, 1), (answer.Code, answer.Answers.Count, answer.Authorities.Count));
        }
    }

    [Fact]
    public void A_change_of_the_network_is_seen_by_the_next_question()
    {
        var view = Prod;
        var names = new NetworkNames(new NameOptions(), () => view, static _ => true);
        Assert.Single(Ask(names, "web", A).Answers);
        view = Network("prod", "10.1.0.0/16", ("one", "web", "10.1.9.9"));
        // Made anew after at most twenty times what making it took: a few milliseconds.
        Assert.True(SpinWait.SpinUntil(() => Ask(names, "web", A).Answers is [{ Data: "10.1.9.9" }], 10_000));
        view = null!;
        Assert.Equal(2, Ask(names, "web", A).Code);
    }

    [Fact]
    public void Who_is_in_two_networks_has_the_names_of_both_from_either_server()
    {
        var member = Address("10.1.0.9");
        var green = Serve(Network("green", "10.2.0.0/16", ("one", "db", "10.2.0.5"), ("one", "web", "10.2.0.6")));
        var blue = new NetworkNames(new NameOptions(), () => Network("blue", "10.1.0.0/16", ("one", "web", "10.1.0.5")), static _ => true) { OthersOf = asker => asker == member ? [green] : [] };
        string Of(string name, int type, InternetAddress asker)
        {
            var reply = new byte[DnsReply.MaxSize];
            var length = blue.Answer(Query(name, type), false, 0, asker, reply, out var outside);
            return length == 0 ? outside is null ? "nothing" : "outside" : SlowAnswer.Read(reply[..length]) is { Code: 0, Answers: [var answer] } ? answer.Data : "none";
        }

        // One's own come first.
        Assert.Equal(["10.1.0.5", "10.2.0.5", "10.2.0.5", "10.2.0.5", "10.2.0.6", "db.green.sleeve."], [Of("web", A, member), Of("db", A, member), Of("db.green", A, member), Of("db.green.sleeve", A, member), Of("web.green", A, member), Of("5.0.2.10.in-addr.arpa", Ptr, member)]);
        Assert.Equal(["none", "outside"], [Of("other", A, member), Of("example.org", A, member)]);
        var stranger = Address("10.1.0.8");
        Assert.Equal(["10.1.0.5", "none", "outside", "none", "outside"], [Of("web", A, stranger), Of("db", A, stranger), Of("db.green", A, stranger), Of("db.green.sleeve", A, stranger), Of("5.0.2.10.in-addr.arpa", Ptr, stranger)]);
    }

    [Fact]
    public void Members_are_those_of_one_namespace()
    {
        EndpointEntry Entry(string network, string id, string identity, string address, EndpointState state = EndpointState.Attached) => new()
        {
            Network = RecordJson.Write(new NetworkRecord(network, "0123456789abcdef", new Vni(7))), Id = id, State = state, Request = new AttachRequest("x"), Identity = identity,
            Endpoint = RecordJson.Write(new EndpointRecord(id, MacAddress.FromValue(0x0200_0000_0001), [Address(address)]) { Vtep = Address("192.0.2.1") }),
        };
        var memberships = new Memberships(() =>
        [
            Entry("blue", "a", "boot/1", "10.1.0.1"), Entry("green", "a", "boot/1", "10.2.0.1"), Entry("red", "a", "boot/1", "10.3.0.1", EndpointState.Detaching),
            Entry("blue", "b", "boot/2", "10.1.0.2"), Entry("green", "b", "boot/3", "10.2.0.2"), Entry("blue", "c", "boot/2", "10.1.0.3"),
        ]);
        Assert.Equal(["green"], memberships.OthersOf("blue", Address("10.1.0.1")));
        Assert.Equal(["blue"], memberships.OthersOf("green", Address("10.2.0.1")));
        foreach (var (network, address) in new[] { ("blue", "10.2.0.1"), ("blue", "10.1.0.2"), ("blue", "10.1.0.3"), ("green", "10.2.0.2"), ("red", "10.3.0.1") }) Assert.Empty(memberships.OthersOf(network, Address(address)));
    }

    [Fact]
    public void The_claim_decides_who_has_an_address()
    {
        var view = Network("prod", "10.1.0.0/16", ("one", "web", "10.1.0.2"), ("two", "thief", "10.1.0.2"));
        view = view with { Addresses = view.Addresses.Add("10.1.0.2", new Published<AddressRecord>(new AddressRecord("one", "e1", "endpoint"), "one", 50)) };
        Assert.Equal("web.prod.sleeve.", Assert.Single(Ask(Serve(view), "2.0.1.10.in-addr.arpa", Ptr).Answers).Data);
        Assert.Empty(Ask(Serve(view), "thief", A).Answers);
        Assert.Single(Ask(Serve(view), "web", A).Answers);
    }

    [Fact]
    public void Two_networks_with_the_same_subnet_know_nothing_of_each_other()
    {
        var red = Serve(Network("red", "10.1.0.0/16", ("one", "web", "10.1.0.2"), ("one", "only-red", "10.1.0.3")));
        var blue = Serve(Network("blue", "10.1.0.0/16", ("one", "web", "10.1.0.9")));
        Assert.Equal("10.1.0.2", Assert.Single(Ask(red, "web", A).Answers).Data);
        Assert.Equal("10.1.0.9", Assert.Single(Ask(blue, "web", A).Answers).Data);
        Assert.Equal(3, Ask(blue, "only-red", A).Code);
        Assert.Equal(3, Ask(blue, "only-red.red.sleeve", A).Code);
        Assert.Equal(3, Ask(blue, "2.0.1.10.in-addr.arpa", Ptr).Code);
    }

    [Theory]
    [InlineData(252, 1)]
    [InlineData(251, 1)]
    [InlineData(250, 1)]
    [InlineData(41, 1)]
    [InlineData(A, 3)]
    [InlineData(A, 255)]
    [InlineData(16, 3)]
    public void Transfers_and_other_classes_are_refused(int type, int @class) => Assert.Equal(5, SlowAnswer.Read(Ask(Serve(Prod), Query("web.prod.sleeve", type, @class: @class))).Code);

    [Fact]
    public void A_question_for_everything_gets_next_to_nothing()
    {
        var record = Assert.Single(Ask(Serve(Prod), "web", Any).Answers);
        Assert.Equal((13, Convert.ToHexString([7, .. Encoding.ASCII.GetBytes("RFC8482"), 0])), (record.Type, record.Data));
        Assert.Equal(3, Ask(Serve(Prod), "nobody.prod.sleeve", Any).Code);
        Assert.Equal(5, Ask(Serve(Prod), "example.com", Any).Code);
    }

    [Fact]
    public void A_dot_within_a_label_is_no_dot()
    {
        // One label "web.prod" is not the name web.prod; below our domain it is nothing, and is not told to others.
        byte[] query = [.. Query("", A)[..12], 8, .. Encoding.ASCII.GetBytes("web.prod"), 6, .. Encoding.ASCII.GetBytes("sleeve"), 0, 0, 1, 0, 1];
        Assert.Equal(3, SlowAnswer.Read(Ask(Serve(Prod), query)).Code);
    }

    [Fact]
    public void What_does_not_fit_is_cut_and_said_and_comes_by_TCP()
    {
        var many = Network("prod", "10.1.0.0/16", [.. Enumerable.Range(1, 2000).Select(static i => ("one", $"n{i} all", $"10.1.{i / 250}.{1 + (i % 250)}"))]);
        var names = Serve(many);
        var plain = Ask(names, Query("all", A));
        var (small, large) = (SlowAnswer.Read(plain), SlowAnswer.Read(Ask(names, Query("all", A, payload: 65535))));
        Assert.True(small.IsTruncated && large.IsTruncated);
        Assert.Equal((512 - 12 - 9) / 16, small.Answers.Count);
        Assert.InRange(plain.Length, 497, 512);
        // 1232 however much the client takes, with room for OPT.
        Assert.Equal((1232 - 12 - 9 - 11) / 16, large.Answers.Count);
        Assert.Equal(1232L, large.Additional.Single().Class);
        var whole = SlowAnswer.Read(Ask(names, Query("all", A), isStream: true));
        Assert.False(whole.IsTruncated);
        Assert.Equal(NetworkResolver.MaxAddresses, whole.Answers.Select(static each => each.Data).Distinct().Count());
        Assert.Equal(512, Math.Max(512, Ask(names, Query("all", A, payload: 0)).Length));
    }

    [Fact]
    public void Names_of_255_bytes_fit_and_longer_ones_do_not()
    {
        var label = new string('x', 63);
        var longest = $"{label}.{label}.{label}.{new string('x', 61)}";
        Assert.Equal(255, Name(longest).Length);
        Assert.Equal(3, Ask(Serve(Prod), longest[..^14] + ".prod.sleeve.", Mx).Code);
        Assert.Equal(1, SlowAnswer.Read(Ask(Serve(Prod), Query(longest + "x", A))).Code);
    }
}
