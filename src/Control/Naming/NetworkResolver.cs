using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// Answers questions of a network's members out of its endpoints. Without clock, socket or state.
/// <code>
/// NAME.NETWORK.DOMAIN   an endpoint's name or alias; nothing below DOMAIN is ever asked elsewhere, and no other network's name is known
/// NAME.NETWORK          the same, if there is such a name; otherwise it may be one of the Internet
/// NAME                  the same; a name without a dot is never asked elsewhere
/// 4.3.2.1.in-addr.arpa  the name of an address; those of the network's subnets are never asked elsewhere
/// </code>
/// A name of endpoints whose hosts are all down is still a name (NOERROR, no addresses), so it is not asked elsewhere either.
/// </summary>
/// <param name="domain">What full names end with, in lower case.</param>
internal sealed class NetworkResolver(string domain)
{
    /// <summary>Addresses in an answer at most.</summary>
    public const int MaxAddresses = 1000;

    /// <summary>Answers a question.</summary>
    /// <param name="index">The network's names.</param>
    /// <param name="name">As <see cref="DnsQuery.CopyName"/> writes it.</param>
    /// <param name="type">One of <see cref="DnsType"/>.</param>
    /// <param name="isUp">Whether a host is up.</param>
    public NameAnswer Resolve(NameIndex index, ReadOnlySpan<char> name, ushort type, Func<string, bool> isUp)
    {
        if (type is DnsType.Opt or (>= DnsType.FirstMeta and < DnsType.Any)) return new NameAnswer(NameOutcome.Refused);
        var answer = Find(index, name, type, isUp);
        if (type != DnsType.Any) return answer;
        return answer.Outcome switch
        {
            NameOutcome.NoName => answer,
            NameOutcome.Elsewhere => new NameAnswer(NameOutcome.Refused),
            _ => new NameAnswer(NameOutcome.Minimal),
        };
    }

    private NameAnswer Find(NameIndex index, ReadOnlySpan<char> name, ushort type, Func<string, bool> isUp)
    {
        if (IsBelow(name, domain, out var rest)) return FindFull(index, name, rest, type, isUp);
        if (ReverseName.TryParse(name, out var prefix, out var isExact)) return FindReverse(index, name, prefix, isExact, type, isUp);
        if (index.Find(name) is { } own) return Tell(own, type, 0, isUp);
        if (IsBelow(name, index.Network, out rest) && !rest.IsEmpty && index.Find(rest) is { } member) return Tell(member, type, rest.Length + 1, isUp);
        if (name.IsEmpty || name.Contains('.')) return new NameAnswer(NameOutcome.Elsewhere);
        if (name.SequenceEqual(index.Network) || index.IsParent(name)) return new NameAnswer(NameOutcome.NoData);
        // Of the names without a dot there are the top-level domains: who validates asks for these.
        return new NameAnswer(type is DnsType.Ns or DnsType.Soa or DnsType.Ds or DnsType.DnsKey ? NameOutcome.Elsewhere : NameOutcome.NoName);
    }

    private NameAnswer FindFull(NameIndex index, ReadOnlySpan<char> name, ReadOnlySpan<char> rest, ushort type, Func<string, bool> isUp)
    {
        var top = name.Length - domain.Length;
        if (rest.IsEmpty) return Apex(type, top);
        if (index.Network.Length == 0 || !IsBelow(rest, index.Network, out var host))
        {
            // Of the network "a.b" there is "b.DOMAIN" too, though nothing is there.
            var isParent = index.Network.AsSpan().EndsWith(rest, StringComparison.Ordinal) && index.Network[^(rest.Length + 1)] == '.';
            return new NameAnswer(isParent ? NameOutcome.NoData : NameOutcome.NoName, top);
        }

        var zone = top - index.Network.Length - 1;
        if (host.IsEmpty) return Apex(type, zone);
        if (index.Find(host) is { } own) return Tell(own, type, zone, isUp);
        return new NameAnswer(index.IsParent(host) ? NameOutcome.NoData : NameOutcome.NoName, zone);
    }

    private static NameAnswer Apex(ushort type, int zone) => new(type == DnsType.Soa ? NameOutcome.Found : NameOutcome.NoData, zone) { IsZone = type == DnsType.Soa };

    private NameAnswer FindReverse(NameIndex index, ReadOnlySpan<char> name, AddressPrefix prefix, bool isExact, ushort type, Func<string, bool> isUp)
    {
        var isAddress = isExact && prefix.Length == prefix.Address.Size * 8;
        if (isAddress && index.TryFind(prefix.Address, out var owner))
        {
            return type == DnsType.Ptr && owner.Name.Length > 0 && isUp(owner.Host)
                ? new NameAnswer(NameOutcome.Found) { Pointer = $"{owner.Name}.{index.Network}.{domain}" }
                : new NameAnswer(NameOutcome.NoData, 0);
        }

        foreach (var subnet in index.Subnets)
        {
            if (subnet.Address.IsIPv4 != prefix.Address.IsIPv4 || prefix.Length < subnet.Length || new AddressPrefix(prefix.Address, subnet.Length).Network() != subnet.Network()) continue;
            return new NameAnswer(isAddress || !isExact ? NameOutcome.NoName : NameOutcome.NoData, StartOf(name, ReverseName.LabelsOf(subnet)));
        }

        return new NameAnswer(NameOutcome.Elsewhere);
    }

    // Where the last so many labels begin.
    private static int StartOf(ReadOnlySpan<char> name, int labels)
    {
        var start = name.Length + 1;
        for (; labels > 0 && start > 0; labels--) start = name[..(start - 1)].LastIndexOf('.') + 1;
        return start;
    }

    private static NameAnswer Tell(IReadOnlyList<NamedAddress> addresses, ushort type, int zone, Func<string, bool> isUp)
    {
        if (type is not (DnsType.A or DnsType.Aaaa)) return new NameAnswer(NameOutcome.NoData, zone);
        HashSet<InternetAddress> told = [];
        foreach (var each in addresses)
        {
            if (each.Address.IsIPv4 == (type == DnsType.A) && isUp(each.Host)) told.Add(each.Address);
            if (told.Count == MaxAddresses) break;
        }

        return told.Count == 0 ? new NameAnswer(NameOutcome.NoData, zone) : new NameAnswer(NameOutcome.Found, zone) { Addresses = [.. told] };
    }

    // Whether the name is the suffix or stands below it, and what stands before it.
    private static bool IsBelow(ReadOnlySpan<char> name, ReadOnlySpan<char> suffix, out ReadOnlySpan<char> rest)
    {
        rest = default;
        if (suffix.IsEmpty || !name.EndsWith(suffix, StringComparison.Ordinal)) return false;
        if (name.Length == suffix.Length) return true;
        if (name[^(suffix.Length + 1)] != '.') return false;
        rest = name[..^(suffix.Length + 1)];
        return true;
    }
}
