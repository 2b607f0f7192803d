using Sleeve.Control.Config;
using Sleeve.Control.Up;

namespace Sleeve.Control.Daemon;

/// <content>
/// Segments that networks have on this host: they come and go as the network is used here. Neither the file nor commands touch them; neither they nor what stands in their tables is in the
/// store, since both come from what hosts publish.
/// </content>
internal sealed partial class SegmentKeeper
{
    // By the name of the TAP; changed in a turn.
    private readonly HashSet<string> _ofNetworks = [];

    /// <summary>Makes the segment of a network, or changes the one there is.</summary>
    /// <param name="network">Name of the network.</param>
    /// <param name="asked">What is asked for.</param>
    /// <returns>The segment, which carries frames.</returns>
    /// <exception cref="CommandRefusedException">Its name or VNI is another segment's, or the host does not let it be done; nothing was changed.</exception>
    public async Task<RunningSegment> PutNetworkAsync(string network, UpSegment asked)
    {
        var name = asked.Segment.Name;
        await _turn.WaitAsync();
        try
        {
            var before = _configuration.Segments.GetValueOrDefault(name);
            RefuseCollisions(network, asked, _configuration.Segments.Values.Where(each => each.Asked.Segment.Name != name || each.Origin != SegmentOrigin.Network));
            if (before is null && _configuration.Segments.Count >= ConfigLimits.MaxSegments)
                throw new CommandRefusedException(RefusalKind.Conflict, [$"network {network}: there are {ConfigLimits.MaxSegments} segments on this host, which is the most there may be"]);
            var wanted = new ConfiguredSegment(asked, SegmentOrigin.Network, new ConfigMap(1, [new ConfigMember(NetworkKey, 1, new ConfigScalar(1, network))]));
            _ofNetworks.Add(name);
            var changes = Apply(new Dictionary<string, ConfiguredSegment>(_configuration.Segments) { [name] = wanted });
            if (changes is [{ What: "failed" } failed, ..])
            {
                _failed.TryRemove(name, out _);
                if (before is null) _ofNetworks.Remove(name);
                throw new CommandRefusedException(RefusalKind.Impossible, failed.Details);
            }

            _configuration = _configuration with { Segments = new Dictionary<string, ConfiguredSegment>(_configuration.Segments) { [name] = wanted } };
            return _engine.Segments.GetValueOrDefault(name) ?? throw new CommandRefusedException(RefusalKind.Impossible, [$"dev {name}: {_failed.GetValueOrDefault(name) ?? "cannot be had"}"]);
        }
        catch (IOException failure)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [failure.Message]);
        }
        finally
        {
            EndTurn();
        }
    }

    /// <summary>Removes the segment of a network, and its TAP.</summary>
    /// <returns>False if there is none.</returns>
    public async Task<bool> DeleteNetworkAsync(string name)
    {
        await _turn.WaitAsync();
        try
        {
            if (!_configuration.Segments.TryGetValue(name, out var before) || before.Origin != SegmentOrigin.Network) return false;
            var segments = new Dictionary<string, ConfiguredSegment>(_configuration.Segments);
            segments.Remove(name);
            Apply(segments);
            _ofNetworks.Remove(name);
            _configuration = _configuration with { Segments = segments };
            return true;
        }
        finally
        {
            EndTurn();
        }
    }

    /// <summary>The key under which a network's segment says whose it is.</summary>
    public const string NetworkKey = "network";

    private bool IsStored(string name) => !_ofNetworks.Contains(name);

    // What the file says does not tell of networks' segments: they are as they were.
    private Configuration WithNetworks(Configuration wanted)
    {
        if (_ofNetworks.Count == 0) return wanted;
        var segments = new Dictionary<string, ConfiguredSegment>(wanted.Segments);
        foreach (var (name, own) in _configuration.Segments.Where(static each => each.Value.Origin == SegmentOrigin.Network))
        {
            RefuseCollisions(NetworkOf(own), own.Asked, wanted.Segments.Values);
            segments[name] = own;
        }

        return wanted with { Segments = segments };
    }

    private static void RefuseCollisions(string network, UpSegment asked, IEnumerable<ConfiguredSegment> others)
    {
        foreach (var other in others)
        {
            var (name, vni) = (other.Asked.Segment.Name, other.Asked.Segment.Vni);
            if (name == asked.Segment.Name) throw new CommandRefusedException(RefusalKind.Conflict, [$"dev {name}: is the name that network {network} has on this host; choose another"]);
            if (vni == asked.Segment.Vni) throw new CommandRefusedException(RefusalKind.Conflict, [$"vni {vni}: is that of segment {name} and of network {network}; one of them must have another"]);
        }
    }

    private static string NetworkOf(ConfiguredSegment segment) => segment.Settings.Find(NetworkKey)?.Value is ConfigScalar { Text: var network } ? network : "";

    private static CommandRefusedException OfANetwork(string name, ConfiguredSegment segment) =>
        new(RefusalKind.Conflict, [$"dev {name}: is network {NetworkOf(segment)} on this host, made and removed by sleeve attach and sleeve detach"]);
}
