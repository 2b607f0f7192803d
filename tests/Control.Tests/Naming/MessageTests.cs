using Sleeve.Control.Naming;
using static Sleeve.Control.Tests.Naming.Messages;

namespace Sleeve.Control.Tests.Naming;

/// <summary>Messages as they come and go: RFC 1035, 2181, 6891, 9619, and hostile ones.</summary>
public class MessageTests
{
    private static readonly NetworkNames Names = new(new NameOptions(), static () => Network("prod", "10.1.0.0/16", ("one", "web", "10.1.0.2")), static _ => true);

    [Fact]
    public void An_answer_is_as_RFC_1035_draws_it()
    {
        var query = Convert.FromHexString("1234010000010000000000000377656204" + "70726F6406" + "736C6565766500" + "00010001");
        // QR AA RD RA; the question; owner by pointer, A IN, 1 s, 4 bytes.
        Assert.Equal("123485800001000100000000" + "037765620470726F6406736C6565766500" + "00010001" + "C00C0001000100000001" + "00040A010002", Convert.ToHexString(Ask(Names, query)));
    }

    [Fact]
    public void EDNS_is_answered_with_EDNS()
    {
        var answer = Ask(Names, "web", 1, payload: 4096);
        var opt = Assert.Single(answer.Additional);
        Assert.Equal((".", 41, 1232, 0L, ""), (opt.Name, opt.Type, opt.Class, opt.Ttl, opt.Data));
        Assert.Empty(Ask(Names, "web", 1).Additional);
        // A cookie (RFC 7873) and a record of some kind are no reason to refuse, nor is a client that takes less than everybody has to.
        byte[] cookie = [0, 0, 41, 0, 100, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        var query = Query("web", 1, more: [.. cookie, 0xC0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0]);
        query[11] = 2;
        Assert.Single(SlowAnswer.Read(Ask(Names, query)).Answers);
    }

    [Fact]
    public void Another_version_of_EDNS_is_answered_with_the_version_there_is()
    {
        var answer = SlowAnswer.Read(Ask(Names, Query("web", 1, payload: 1232, version: 1)));
        Assert.Equal((0, 0, 0x0100_0000L), (answer.Code, answer.Answers.Count, answer.Additional.Single().Ttl));
    }

    [Theory]
    [InlineData(0x8100)]
    [InlineData(0x8180)]
    [InlineData(0xA100)]
    public void An_answer_is_not_answered(int flags) => Assert.Empty(Ask(Names, Query("web", 1, flags: (ushort)flags)));

    [Fact]
    public void What_has_no_header_is_not_answered()
    {
        for (var length = 0; length < 12; length++) Assert.Empty(Ask(Names, Query("web", 1)[..length]));
    }

    [Theory]
    [InlineData(0x2900)]
    [InlineData(0x2000)]
    [InlineData(0x0900)]
    public void Other_operations_are_not_implemented(int flags)
    {
        var answer = SlowAnswer.Read(Ask(Names, Query("web", 1, flags: (ushort)flags)));
        Assert.Equal((4, flags & 0x7900, 0x1234), (answer.Code, answer.Flags & 0x7900, answer.Id));
        Assert.Empty(answer.Questions);
    }

    public static TheoryData<string, string> Malformed() => new()
    {
        { "no question", "123401000000000000000000" },
        { "two questions", "1234010000020000000000000377656200000100010377656200" + "00010001" },
        { "an answer in it", "12340100000100010000000003776562000001000103776562000001000100000000" + "00040A010002" },
        { "an authority in it", "1234010000010000000100000377656200000100010000060001000000000000" },
        { "cut within the name", "12340100000100000000000003776562" },
        { "cut within the type", "1234010000010000000000000377656200000100" },
        { "a byte too many", "1234010000010000000000000377656200" + "0001000100" },
        { "a pointer to itself", "123401000001000000000000C00C" + "00010001" },
        { "a pointer into the header", "123401000001000000000000C000" + "00010001" },
        { "a pointer behind a label", "12340100000100000000000003776562C00C" + "00010001" },
        { "a label of a kind that is none", "123401000001000000000000" + "4377656200" + "00010001" },
        { "an extended label", "123401000001000000000000" + "8377656200" + "00010001" },
        { "an additional record that is not there", "1234010000010000000000010377656200" + "00010001" },
        { "additional data that is not there", "1234010000010000000000010377656200" + "00010001" + "0000290200000000000004" },
        { "two OPT records", "1234010000010000000000020377656200" + "00010001" + "0000290200000000000000" + "0000290200000000000000" },
        { "an OPT record with a name", "1234010000010000000000010377656200" + "00010001" + "0161000029020000000000" + "0000" },
        { "an option that is not whole", "1234010000010000000000010377656200" + "00010001" + "0000290200000000000004000A0005" },
        { "a pointer ahead", "1234010000010000000000010377656200" + "00010001" + "C03000290200000000000000" },
        { "a pointer to its own record", "1234010000010000000000010377656200" + "00010001" + "C01500010001000000000000" },
        { "nine additional records", "1234010000010000000000090377656200" + "00010001" + string.Concat(Enumerable.Repeat("0000010001000000000000", 9)) },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_query_is_answered_so_and_without_its_question(string what, string hex)
    {
        var answer = SlowAnswer.Read(Ask(Names, Convert.FromHexString(hex)));
        Assert.True(answer.Code == 1, what);
        Assert.Empty(answer.Questions);
        Assert.Equal(0x1234, answer.Id);
    }

    [Fact]
    public void Eight_additional_records_are_read()
    {
        var query = Convert.FromHexString("1234010000010000000000080377656200" + "00010001" + string.Concat(Enumerable.Repeat("0000010001000000000000", 8)));
        Assert.Single(SlowAnswer.Read(Ask(Names, query)).Answers);
    }

    [Fact]
    public void Flags_of_the_client_come_back_as_far_as_they_should()
    {
        // RD and CD are the client's; AD, Z, AA, TC and the code of a query are not.
        Assert.Equal(0x8590, SlowAnswer.Read(Ask(Names, Query("web", 1, flags: 0x0110))).Flags);
        Assert.Equal(0x8480, SlowAnswer.Read(Ask(Names, Query("web", 1, flags: 0x066F))).Flags);
    }

    [Fact]
    public void An_answer_of_others_is_taken_only_for_what_was_asked()
    {
        var question = Query("Example.com", 1)[12..];
        byte[] good = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, .. question, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
        Assert.True(DnsAnswer.TryRead(good, 0x1234, question, out var answer));
        Assert.Equal((DnsCode.NoError, false), (answer.Code, answer.IsTruncated));
        Assert.True(DnsAnswer.TryRead(Changed(good, 13, (byte)'e'), 0x1234, question, out _));
        Assert.False(DnsAnswer.TryRead(good, 0x1235, question, out _));
        foreach (var (at, value) in new[] { (2, 0x01), (2, 0xA1), (5, 2), (7, 2), (7, 0), (13, 'F'), (12, 8), (26, 28), (28, 3), (40, 5), (40, 3), (29, 0x80) })
            Assert.False(DnsAnswer.TryRead(Changed(good, at, (byte)value), 0x1234, question, out _), $"byte {at} is {value}");
        for (var length = 0; length < good.Length; length++) Assert.False(DnsAnswer.TryRead(good.AsSpan(0, length), 0x1234, question, out _));
        Assert.False(DnsAnswer.TryRead([.. good, 0], 0x1234, question, out _));
        // Cut off anywhere behind the question: that is all that one needs to know.
        Assert.True(DnsAnswer.TryRead(Changed(good, 2, 0x83).AsSpan(0, 35), 0x1234, question, out answer) && answer.IsTruncated);
    }

    private static byte[] Changed(byte[] bytes, int at, byte value)
    {
        var copy = (byte[])bytes.Clone();
        copy[at] = value;
        return copy;
    }

    [Fact]
    public void Others_are_asked_nothing_but_the_question()
    {
        byte[] option = [0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 6, 0, 8, 0, 2, 7, 7];
        var query = Query("example.com", 1, flags: 0x0170, more: option);
        query[11] = 1;
        Assert.Equal(0, Names.Answer(query, false, 0, default, new byte[DnsReply.MaxSize], out var outside));
        var sent = new byte[512];
        var length = Forwarder.WriteQuery(outside!, 0xABCD, sent);
        byte[] expected = [0xAB, 0xCD, 1, 0x30, 0, 1, 0, 0, 0, 0, 0, 1, .. query[12..29], 0, 0, 41, 0x04, 0xD0, 0, 0, 0x80, 0, 0, 0];
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(sent[..length]));
    }
}
