using System.Net;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Naming;

/// <summary>
/// The name servers of this host, one for each network that is on it. They are told where networks are (<see cref="Place"/>), and once a second start what could not start before, because the
/// bridge was not there yet or the port was taken, and make anew what stands on a bridge that was made anew. Nothing of it outlives the process: a daemon that starts is told again.
/// </summary>
internal sealed class NameServers : IAsyncDisposable
{
    private const int TurnMilliseconds = 1000;
    private const int FailuresToSay = 3;

    private readonly NameOptions _options;
    private readonly Func<string, NetworkView?> _network;
    private readonly Func<string, bool> _isUp;
    private readonly Action<string> _say;
    private readonly HostResolvers _resolvers;
    private readonly Forwarder _forwarder;
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _keeping;
    private volatile HashSet<IPAddress> _own = [];
    private volatile IReadOnlyCollection<NamePlace> _wanted = [];

    /// <summary>Begins to keep servers; there is none yet.</summary>
    /// <param name="options">How names are served.</param>
    /// <param name="network">Gives a network as it is now; null if there is none.</param>
    /// <param name="isUp">Whether a host is up.</param>
    /// <param name="say">Gets what cannot be done, a line each, when it begins and when it is over.</param>
    /// <param name="resolvConf">Where the host's resolvers stand.</param>
    /// <param name="resolverPort">Their port; another only in tests.</param>
    public NameServers(
        NameOptions options, Func<string, NetworkView?> network, Func<string, bool> isUp, Action<string> say, string resolvConf = HostResolvers.DefaultPath, ushort resolverPort = 53)
    {
        (_options, _network, _isUp, _say) = (options, network, isUp, say);
        _resolvers = new HostResolvers(resolvConf, address => _own.Contains(address));
        _forwarder = new Forwarder(options, _resolvers) { Port = resolverPort };
        Desk = new NameDesk(options, network, isUp, Find);
        _keeping = Task.Run(KeepAsync);
    }

    /// <summary>Which members have another resolver. Default: none.</summary>
    public OwnResolvers OwnResolvers { get; init; } = new();

    /// <summary>Which members are in other networks too. Default: none.</summary>
    public Memberships Memberships { get; init; } = new(static () => []);

    /// <summary>Answers commands about names.</summary>
    public NameDesk Desk { get; }

    /// <summary>
    /// Has exactly these networks served: others stop, new ones start, those that moved are made anew. What cannot start is said and tried again. Of several calls at a time the last one
    /// counts, so nobody has to wait; after the end it does nothing.
    /// </summary>
    /// <param name="places">One a network.</param>
    public async Task Place(IReadOnlyCollection<NamePlace> places)
    {
        _wanted = places;
        await _turn.WaitAsync();
        try
        {
            if (_stopping.IsCancellationRequested) return;
            await PlaceAsync(_wanted);
            await StartAllAsync();
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task PlaceAsync(IReadOnlyCollection<NamePlace> places)
    {
        var names = places.Select(static place => place.Network).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _entries.Values.Where(entry => !names.Contains(entry.Place.Network)).ToList())
        {
            lock (_entries) _entries.Remove(gone.Place.Network);
            await gone.StopAsync();
        }

        foreach (var place in places)
        {
            if (_entries.TryGetValue(place.Network, out var entry))
            {
                if (entry.Place.IsSameAs(place)) continue;
                await entry.StopAsync();
                entry.Place = place;
            }
            else
            {
                lock (_entries) _entries[place.Network] = new Entry(place, NamesOf(place.Network));
            }
        }

        _own = [.. places.SelectMany(static place => place.Addresses).Select(static address => address.ToIPAddress())];
    }

    /// <summary>Stops all.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _keeping;
        await _turn.WaitAsync();
        foreach (var entry in _entries.Values) await entry.StopAsync();
        _turn.Release();
        // What else there is holds nothing, and a call may still be under way.
    }

    private NetworkNames NamesOf(string network) => new(_options, () => _network(network), _isUp)
    {
        HasOwnResolver = asker => OwnResolvers.Has(network, asker),
        OthersOf = asker => [.. Memberships.OthersOf(network, asker).Select(NamesHere).OfType<NetworkNames>()],
    };

    private NetworkNames? NamesHere(string network)
    {
        lock (_entries) return _entries.GetValueOrDefault(network)?.Names;
    }

    private NameServerState? Find(string network)
    {
        lock (_entries) return _entries.TryGetValue(network, out var entry) ? new NameServerState(entry.Place, entry.Server is not null, entry.Fault, entry.Tally) : null;
    }

    private async Task KeepAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(TurnMilliseconds, _stopping.Token);
                await _turn.WaitAsync(_stopping.Token);
                try
                {
                    await StartAllAsync();
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Told to stop.
        }
    }

    private async Task StartAllAsync()
    {
        foreach (var group in _entries.Values.GroupBy(static entry => entry.Place.Namespace))
        {
            RouteNetlink? host = null;
            try
            {
                host = RouteNetlink.Open(group.Key);
                foreach (var entry in group) await StartAsync(entry, host);
            }
            catch (IOException failure)
            {
                foreach (var entry in group) Fail(entry, $"names of {entry.Place.Network}: {failure.Message}");
            }
            finally
            {
                host?.Dispose();
            }
        }
    }

    private async Task StartAsync(Entry entry, RouteNetlink host)
    {
        var link = host.FindLink(entry.Place.Device);
        if (entry.Server is not null && link?.Index == entry.Index) return;
        await entry.StopAsync();
        try
        {
            if (link is null) throw new HostException($"names of {entry.Place.Network}: there is no interface {entry.Place.Device}");
            entry.Server = NameServer.Start(entry.Place, link, entry.Names, _forwarder, _options, entry.Tally);
            entry.Index = link.Index;
            if (entry.Failures >= FailuresToSay) _say($"names of {entry.Place.Network} are served now");
            (entry.Fault, entry.Failures) = (null, 0);
        }
        catch (HostException failure)
        {
            Fail(entry, failure.Message);
        }
    }

    // Said once, and only if it lasts: a bridge may be a moment late.
    private void Fail(Entry entry, string reason)
    {
        entry.Failures++;
        if (entry.Failures == FailuresToSay || (entry.Failures > FailuresToSay && entry.Fault != reason)) _say(reason);
        entry.Fault = reason;
    }

    private sealed class Entry(NamePlace place, NetworkNames names)
    {
        public NamePlace Place { get; set; } = place;

        public NetworkNames Names { get; } = names;

        public NameTally Tally { get; } = new();

        public NameServer? Server { get; set; }

        public int Index { get; set; }

        public string? Fault { get; set; }

        public int Failures { get; set; }

        public async Task StopAsync()
        {
            if (Server is { } running) await running.DisposeAsync();
            Server = null;
        }
    }
}
