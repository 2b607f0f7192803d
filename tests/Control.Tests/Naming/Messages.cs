using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Naming;

/// <summary>Networks and queries for tests, and a slow reader of answers that shares nothing with src.</summary>
internal static class Messages
{
    public const string Own = "one";

    public static NetworkView Network(string name, string subnets, params (string Host, string Names, string Addresses)[] endpoints)
    {
        var list = ImmutableDictionary.CreateBuilder<(string, string), Published<EndpointRecord>>();
        var number = 0;
        foreach (var (host, names, addresses) in endpoints)
        {
            var words = names.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var id = $"e{++number}";
            var record = new EndpointRecord(id, MacAddress.FromValue(0x0200_0000_0000UL + (ulong)number), [.. Addresses(addresses)]) { Name = words.FirstOrDefault() ?? "", Aliases = [.. words.Skip(1)] };
            list[(host, id)] = new Published<EndpointRecord>(record, host, 100 + number);
        }

        var network = new NetworkRecord(name, "0123456789abcdef", new Vni(7)) { Subnets = [.. subnets.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Prefix)] };
        return new NetworkView { Record = new Published<NetworkRecord>(network, Own, 99), Endpoints = list.ToImmutable() };
    }

    public static IEnumerable<InternetAddress> Addresses(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Address);

    public static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    public static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);

    public static byte[] Name(string name) =>
        [.. name.TrimEnd('.').Split('.', StringSplitOptions.RemoveEmptyEntries).SelectMany(label => Encoding.Latin1.GetBytes(label).Prepend((byte)label.Length)), 0];

    public static byte[] Query(string name, int type, ushort flags = 0x0100, int @class = 1, int? payload = null, int version = 0, byte[]? more = null) =>
    [
        0x12, 0x34, .. Word(flags), 0, 1, 0, 0, 0, 0, 0, payload is null ? (byte)0 : (byte)1, .. Name(name), .. Word(type), .. Word(@class),
        .. payload is { } size ? Opt(size, version) : [], .. more ?? [],
    ];

    public static byte[] Opt(int payload, int version = 0) => [0, 0, 41, .. Word(payload), 0, (byte)version, 0, 0, 0, 0];

    public static byte[] Word(int value) => [(byte)(value >> 8), (byte)value];

    public static byte[] Ask(NetworkNames names, byte[] query, bool isStream = false, uint rotation = 0)
    {
        // No byte of what was there before may be left.
        var reply = new byte[DnsReply.MaxSize];
        Array.Fill(reply, (byte)0xAA);
        var length = names.Answer(query, isStream, rotation, default, reply, out var outside);
        Assert.True(length == 0 || outside is null);
        return reply[..length];
    }

    public static SlowAnswer Ask(NetworkNames names, string name, int type, int? payload = null) => SlowAnswer.Read(Ask(names, Query(name, type, payload: payload)));
}

/// <summary>A record as text.</summary>
internal sealed record SlowRecord(string Name, int Type, int Class, long Ttl, string Data);

/// <summary>An answer, read step by step as RFC 1035 has it; throws if a byte is where none should be.</summary>
internal sealed record SlowAnswer(int Id, int Flags, IReadOnlyList<string> Questions, IReadOnlyList<SlowRecord> Answers, IReadOnlyList<SlowRecord> Authorities, IReadOnlyList<SlowRecord> Additional)
{
    public int Code => Flags & 15;

    public bool IsAuthoritative => (Flags & 0x0400) != 0;

    public bool IsTruncated => (Flags & 0x0200) != 0;

    public static SlowAnswer Read(byte[] message)
    {
        var at = 12;
        List<string> questions = [];
        for (var i = 0; i < Word(message, 4); i++)
        {
            questions.Add($"{ReadName(message, ref at)} {Word(message, at)} {Word(message, at + 2)}");
            at += 4;
        }

        var answers = Records(message, Word(message, 6), ref at);
        var authorities = Records(message, Word(message, 8), ref at);
        var additional = Records(message, Word(message, 10), ref at);
        return at == message.Length
            ? new SlowAnswer(Word(message, 0), Word(message, 2), questions, answers, authorities, additional)
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"{message.Length - at} bytes too many"));
    }

    private static List<SlowRecord> Records(byte[] message, int count, ref int at)
    {
        List<SlowRecord> records = [];
        for (; count > 0; count--)
        {
            var name = ReadName(message, ref at);
            var (type, @class, ttl, length) = (Word(message, at), Word(message, at + 2), (long)(((uint)Word(message, at + 4) << 16) | (uint)Word(message, at + 6)), Word(message, at + 8));
            at += 10;
            var data = message[at..(at + length)];
            var inner = at;
            var text = type switch
            {
                1 or 28 => new System.Net.IPAddress(data).ToString(),
                12 => ReadName(message, ref inner),
                6 => $"{ReadName(message, ref inner)} {ReadName(message, ref inner)} {string.Join(' ', Enumerable.Range(0, 5).Select(i => Convert.ToUInt32(Convert.ToHexString(message[(inner + (4 * i))..(inner + (4 * i) + 4)]), 16)))}",
                _ => Convert.ToHexString(data),
            };
            if (type is 12 && inner != at + length) throw new FormatException("name and length differ");
            if (type is 6 && inner + 20 != at + length) throw new FormatException("SOA and length differ");
            at += length;
            records.Add(new SlowRecord(name, type, @class, ttl, text));
        }

        return records;
    }

    private static string ReadName(byte[] message, ref int at)
    {
        List<string> labels = [];
        var (cursor, jumped) = (at, false);
        for (var steps = 0; steps < 300; steps++)
        {
            int length = message[cursor];
            if (length == 0)
            {
                if (!jumped) at = cursor + 1;
                return string.Join('.', labels) + ".";
            }

            if (length >= 0xC0)
            {
                if (!jumped) at = cursor + 2;
                (cursor, jumped) = (((length & 0x3F) << 8) | message[cursor + 1], true);
                continue;
            }

            if (length > 63) throw new FormatException("label");
            labels.Add(Encoding.Latin1.GetString(message, cursor + 1, length));
            cursor += 1 + length;
        }

        throw new FormatException("loop");
    }

    private static int Word(byte[] message, int at) => (message[at] << 8) | message[at + 1];
}
