using System.Collections.Immutable;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Fuzz;

/// <summary>Hostile queries for a name server, and hostile answers of the resolvers behind it, against a slow reader.</summary>
public sealed class NameFuzzTests
{
    private const int Cases = 100_000;

    [Theory]
    [InlineData(1035)]
    [InlineData(6891)]
    public void A_query_is_taken_for_what_stands_in_it_and_every_answer_can_be_read(int seed)
    {
        var random = new Random(seed);
        var mutator = new Mutator(random, [.. Queries()]);
        var network = View();
        var names = new NetworkNames(new NameOptions(), () => network, static _ => true) { HasOwnResolver = _ => random.Next(4) == 0 };
        var reply = new byte[DnsReply.MaxSize];
        var (good, bad, outside) = (0, 0, 0);
        for (var i = 0; i < Cases; i++)
        {
            var query = mutator.Next();
            Array.Fill(reply, (byte)0xAA);
            var isStream = random.Next(4) == 0;
            var length = names.Answer(query, isStream, (uint)random.Next(), default, reply, out var other);
            if (query.Length < 12 || query[2] >= 0x80)
            {
                Assert.True(length == 0 && other is null);
                continue;
            }

            var opcode = query[2] >> 3 & 15;
            var question = opcode == 0 ? SlowDns.Query(query) : null;
            if (other is not null)
            {
                outside++;
                Assert.Equal(query[12..question!.End], other.Question);
                Assert.Equal((question.Payload is not null, 1, true), (other.HasEdns, question.Class, (query[2] & 1) != 0));
                Assert.False(question.Name.Split('\n')[^1].Equals("sleeve", StringComparison.OrdinalIgnoreCase), Convert.ToHexString(query));
                continue;
            }

            var answer = reply[..length];
            Assert.Equal(query[..2], answer[..2]);
            var code = answer[3] & 15;
            if (question is null)
            {
                bad++;
                Assert.Equal((12, opcode == 0 ? 1 : 4), (length, code));
                continue;
            }

            good++;
            Assert.True(SlowDns.IsWhole(answer), Convert.ToHexString(query));
            Assert.Equal(query[12..question.End], answer[12..question.End]);
            Assert.InRange(length, question.End, isStream ? DnsReply.MaxSize : Math.Max(512, Math.Min(question.Payload ?? 512, 1232)));
            if (question.Version != 0) Assert.Equal(0, code);
            else if (question.Class != 1) Assert.Equal(5, code);
            else if (question.Name.Equals("web", StringComparison.OrdinalIgnoreCase) && question.Type == 1) Assert.Equal((0, 2), (code, answer[7]));
        }

        Assert.InRange(good, Cases / 20, Cases);
        Assert.InRange(bad, Cases / 20, Cases);
        Assert.InRange(outside, Cases / 200, Cases);
    }

    [Theory]
    [InlineData(5452)]
    [InlineData(2181)]
    public void An_answer_of_others_is_passed_on_only_whole_and_to_the_question_that_was_asked(int seed)
    {
        var random = new Random(seed);
        byte[] question = [7, .. "Example"u8, 3, .. "com"u8, 0, 0, 1, 0, 1];
        var asked = new OutsideQuestion(0x4242, question, 0x0100, true, false, 512, false);
        var mutator = new Mutator(random, [.. Answers(question)]);
        var (taken, refused) = (0, 0);
        for (var i = 0; i < Cases; i++)
        {
            var message = mutator.Next();
            var isTaken = DnsAnswer.TryRead(message, 0x1234, question, out var answer);
            var isToQuestion = message.Length >= 12 + question.Length && message[0] == 0x12 && message[1] == 0x34 && (message[2] & 0xF8) == 0x80 && message[4] == 0 && message[5] == 1
                && message[12..(12 + question.Length - 4)].Select(Lower).SequenceEqual(question[..^4].Select(Lower)) && message[(12 + question.Length - 4)..(12 + question.Length)].SequenceEqual(question[^4..]);
            var isCut = message.Length > 2 && (message[2] & 2) != 0;
            Assert.True(isTaken == (isToQuestion && (isCut || SlowDns.IsWhole(message))), Convert.ToHexString(message));
            if (!isTaken)
            {
                refused++;
                continue;
            }

            taken++;
            Assert.Equal((isCut, message[3] & 15), (answer.IsTruncated, (int)answer.Code));
            var reply = new byte[Forwarder.MaxSize];
            message.CopyTo(reply, 0);
            var length = Forwarder.Fit(asked, reply, message.Length);
            Assert.True(length <= 512 && SlowDns.IsWhole(reply[..length]) && reply[0] == 0x42 && reply.AsSpan(12, question.Length).SequenceEqual(question));
        }

        Assert.InRange(taken, Cases / 50, Cases);
        Assert.InRange(refused, Cases / 50, Cases);
    }

    private static byte Lower(byte octet) => octet is >= 65 and <= 90 ? (byte)(octet + 32) : octet;

    private static NetworkView View()
    {
        var endpoints = ImmutableDictionary.CreateBuilder<(string, string), Published<EndpointRecord>>();
        for (var i = 0u; i < 200; i++)
        {
            var record = new EndpointRecord($"e{i}", MacAddress.Zero, [InternetAddress.FromIPv4(0x0A010001 + i)]) { Name = i < 2 ? "web" : $"n{i}", Aliases = i < 2 ? [] : ["all"] };
            endpoints[("one", record.Id)] = new Published<EndpointRecord>(record, "one", i);
        }

        var network = new NetworkRecord("prod", "0123456789abcdef", new Vni(1)) { Subnets = [new AddressPrefix(InternetAddress.FromIPv4(0x0A010000), 16)] };
        return new NetworkView { Record = new Published<NetworkRecord>(network, "one", 1), Endpoints = endpoints.ToImmutable() };
    }

    private static IEnumerable<byte[]> Queries()
    {
        foreach (var name in new[] { "web", "WEB.prod.sleeve", "all", "nobody.sleeve", "example.com", "2.0.1.10.in-addr.arpa", "8.8.8.8.in-addr.arpa", "" })
        {
            byte[] labels = [.. name.Split('.', StringSplitOptions.RemoveEmptyEntries).SelectMany(static label => label.Select(static c => (byte)c).Prepend((byte)label.Length)), 0];
            byte type = name.EndsWith("arpa", StringComparison.Ordinal) ? (byte)12 : (byte)1;
            yield return [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. labels, 0, type, 0, 1];
            yield return [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, .. labels, 0, type, 0, 1, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0];
            yield return [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 2, .. labels, 0, type, 0, 1, 0, 0, 41, 4, 0xD0, 0, 0, 0x80, 0, 0, 8, 0, 10, 0, 4, 1, 2, 3, 4, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
        }
    }

    private static IEnumerable<byte[]> Answers(byte[] question)
    {
        byte[] record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];
        yield return [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, .. question, .. record];
        yield return [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 40, 0, 0, 0, 0, .. question, .. Enumerable.Repeat(record, 40).SelectMany(static each => each)];
        yield return [0x12, 0x34, 0x83, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, .. question, .. record];
        yield return [0x12, 0x34, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 1, .. question, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0];
        yield return [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1, .. question, .. record, 3, .. "ns1"u8, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2];
    }
}
