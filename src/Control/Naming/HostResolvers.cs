using System.Collections.Immutable;
using System.Net;

namespace Sleeve.Control.Naming;

/// <summary>
/// The resolvers that the host itself uses (resolv.conf(5)). Read again at most once a second, when somebody asks, so a change is seen within a second and nothing is watched.
/// </summary>
/// <param name="path">The file; /etc/resolv.conf.</param>
/// <param name="isOwn">Whether an address is one of ours: asking ourselves would go on for ever.</param>
internal sealed class HostResolvers(string path, Func<IPAddress, bool> isOwn)
{
    /// <summary>Where the host says which.</summary>
    public const string DefaultPath = "/etc/resolv.conf";

    /// <summary>Resolvers at most: as many as glibc asks.</summary>
    public const int MaxServers = 3;

    private const int MaxBytes = 64 * 1024;
    private const int MaxAgeMilliseconds = 1000;
    private volatile Reading? _last;

    /// <summary>Whether an address is one that names are served on; who has it as its own is this host.</summary>
    public bool IsOwn(IPAddress address) => isOwn(address);

    /// <summary>The resolvers as they stand, at most <see cref="MaxServers"/>; none if the file names none, or cannot be read.</summary>
    /// <param name="nowMilliseconds">The clock.</param>
    public ImmutableArray<IPAddress> Read(long nowMilliseconds)
    {
        if (_last is { } known && nowMilliseconds - known.Milliseconds < MaxAgeMilliseconds) return known.Servers;
        var servers = Parse(ReadText()).Where(address => !isOwn(address)).Take(MaxServers).ToImmutableArray();
        _last = new Reading(nowMilliseconds, servers);
        return servers;
    }

    /// <summary>Reads the lines "nameserver ADDRESS"; what cannot be read is passed over, as libc does.</summary>
    public static IEnumerable<IPAddress> Parse(string text)
    {
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words is ["nameserver", var word, ..] && word.Length <= 64 && IPAddress.TryParse(word, out var address)) yield return address;
        }
    }

    private string ReadText()
    {
        try
        {
            using var reader = new StreamReader(path);
            var buffer = new char[MaxBytes];
            return new string(buffer, 0, reader.ReadBlock(buffer));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private sealed record Reading(long Milliseconds, ImmutableArray<IPAddress> Servers);
}
