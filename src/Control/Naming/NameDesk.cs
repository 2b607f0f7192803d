using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>A name server as it is at the moment.</summary>
/// <param name="Place">Where it is to serve.</param>
/// <param name="IsServing">Whether it does.</param>
/// <param name="Fault">Why not; null if it does.</param>
/// <param name="Tally">What it counted.</param>
internal sealed record NameServerState(NamePlace Place, bool IsServing, string? Fault, NameTally Tally);

/// <summary>A name with its addresses.</summary>
/// <param name="Name">In lower case.</param>
/// <param name="Addresses">Who has it.</param>
internal sealed record ListedName(string Name, IReadOnlyList<ListedAddress> Addresses);

/// <summary>An address of a name.</summary>
/// <param name="Address">The address and whose it is.</param>
/// <param name="IsUp">Whether its host is up; if not, nobody is told it.</param>
internal sealed record ListedAddress(NamedAddress Address, bool IsUp);

/// <summary>
/// Answers commands about names as the servers would answer members, but asks nobody else. Any thread. It answers for networks that are not on this host too.
/// </summary>
/// <param name="options">How names are served.</param>
/// <param name="network">Gives a network as it is now; null if there is none.</param>
/// <param name="isUp">Whether a host is up.</param>
/// <param name="server">Gives the server of a network on this host; null if there is none.</param>
internal sealed class NameDesk(NameOptions options, Func<string, NetworkView?> network, Func<string, bool> isUp, Func<string, NameServerState?> server)
{
    /// <summary>What full names end with.</summary>
    public string Domain => options.Domain;

    /// <summary>The server of a network on this host; null if the network is not here.</summary>
    public NameServerState? ServerOf(string name) => server(name);

    /// <summary>Lists the names of a network, sorted.</summary>
    /// <returns>Null if there is no such network.</returns>
    public IReadOnlyList<ListedName>? List(string name) => network(name) is { Record: not null } view ? List(new NameIndex(view)) : null;

    /// <summary>Resolves a name as a member of the network would have it.</summary>
    /// <param name="name">The network.</param>
    /// <param name="question">Any name, with or without the final dot; an address asks for its name.</param>
    /// <returns>What is known of its IPv4 and its IPv6 addresses, or of the name of the address; null if there is no such network.</returns>
    public IReadOnlyList<NameAnswer>? Resolve(string name, string question)
    {
        var names = new NetworkNames(options, () => network(name), isUp);
        IReadOnlyList<NameAnswer?> answers = InternetAddress.TryParse(question, out var address)
            ? [names.Resolve(ReverseName.Of(address), DnsType.Ptr)]
            : [names.Resolve(question, DnsType.A), names.Resolve(question, DnsType.Aaaa)];
        return answers.Any(static each => each is null) ? null : [.. answers.OfType<NameAnswer>()];
    }

    private IReadOnlyList<ListedName> List(NameIndex index) =>
    [
        .. index.All.Select(each => new ListedName(
            each, [.. index.Find(each)!.Distinct().Select(address => new ListedAddress(address, isUp(address.Host))).OrderBy(static one => one.Address.Address.ToString(), StringComparer.Ordinal)])),
    ];
}
