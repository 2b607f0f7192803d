namespace Sleeve.Fuzz;

/// <summary>DNS messages read the slow way, a byte at a time and with every name as a list; shares nothing with src. Null for what is no message.</summary>
internal static class SlowDns
{
    /// <summary>A question, and what an OPT record said.</summary>
    internal sealed record Question(string Name, int Type, int Class, int? Payload, int Version, int End);

    /// <summary>Whether a message is a query of one question as we take them; null if malformed.</summary>
    internal static Question? Query(byte[] message)
    {
        try
        {
            if (Word(message, 4) != 1 || Word(message, 6) != 0 || Word(message, 8) != 0 || Word(message, 10) > 8) return null;
            var at = 12;
            if (Name(message, ref at, mayPoint: false) is not { } name || at + 4 > message.Length) return null;
            var (type, @class) = (Word(message, at), Word(message, at + 2));
            at += 4;
            var end = at;
            (int Payload, int Version)? opt = null;
            for (var i = 0; i < Word(message, 10); i++)
            {
                if (Record(message, ref at) is not { } record) return null;
                if (record.Type != 41) continue;
                if (opt is not null || message[record.Start] != 0 || !AreOptions(record.Data)) return null;
                opt = (record.Class, (int)(record.Ttl >> 16 & 0xFF));
            }

            return at == message.Length ? new Question(name, type, @class, opt?.Payload, opt?.Version ?? 0, end) : null;
        }
        catch (IndexOutOfRangeException)
        {
            return null;
        }
    }

    /// <summary>Whether all records of a message are whole, and nothing is behind them.</summary>
    internal static bool IsWhole(byte[] message)
    {
        try
        {
            var at = 12;
            if (Word(message, 4) != 1 || Name(message, ref at, mayPoint: false) is null) return false;
            at += 4;
            for (var i = Word(message, 6) + Word(message, 8) + Word(message, 10); i > 0; i--)
                if (Record(message, ref at) is null) return false;
            return at == message.Length;
        }
        catch (IndexOutOfRangeException)
        {
            return false;
        }
    }

    private static (int Start, int Type, int Class, long Ttl, byte[] Data)? Record(byte[] message, ref int at)
    {
        var start = at;
        if (Name(message, ref at, mayPoint: true) is null) return null;
        var (type, @class, ttl, length) = (Word(message, at), Word(message, at + 2), ((long)Word(message, at + 4) << 16) + Word(message, at + 6), Word(message, at + 8));
        at += 10;
        if (at + length > message.Length) return null;
        at += length;
        return (start, type, @class, ttl, message[(at - length)..at]);
    }

    private static string? Name(byte[] message, ref int at, bool mayPoint)
    {
        var labels = new List<string>();
        var start = at;
        while (true)
        {
            if (at - start >= 255) return null;
            int length = message[at++];
            if (length == 0) return string.Join('\n', labels);
            if (length >= 192 && mayPoint)
            {
                var target = ((length - 192) * 256) + message[at++];
                return target >= 12 && target < start ? "pointer" : null;
            }

            if (length > 63) return null;
            var label = "";
            for (var i = 0; i < length; i++) label += (char)message[at++];
            labels.Add(label);
        }
    }

    private static bool AreOptions(byte[] data)
    {
        for (var at = 0; at < data.Length;)
        {
            if (at + 4 > data.Length) return false;
            at += 4 + Word(data, at + 2);
            if (at > data.Length) return false;
        }

        return true;
    }

    private static int Word(byte[] message, int at) => (message[at] * 256) + message[at + 1];
}
