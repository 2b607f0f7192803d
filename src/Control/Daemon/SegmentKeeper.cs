using System.Collections.Concurrent;
using System.CommandLine;
using System.Globalization;
using Sleeve.Control.Config;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.Control.Up;
using Sleeve.DataPlane;

namespace Sleeve.Control.Daemon;

/// <summary>What became of a segment.</summary>
/// <param name="Name">Its TAP.</param>
/// <param name="What">"added", "changed", "removed" or "failed".</param>
/// <param name="Details">What exactly, or why not; one phrase each.</param>
internal sealed record SegmentChange(string Name, string What, IReadOnlyList<string> Details);

/// <summary>A command was refused, and changed nothing.</summary>
/// <param name="kind">Of what kind the reason is.</param>
/// <param name="errors">Key, value and what is allowed; one line each.</param>
internal sealed class CommandRefusedException(RefusalKind kind, IReadOnlyList<string> errors) : Exception(string.Join("; ", errors))
{
    /// <summary>Of what kind the reason is.</summary>
    public RefusalKind Kind { get; } = kind;

    /// <summary>One line each.</summary>
    public IReadOnlyList<string> Errors { get; } = errors;
}

/// <summary>Kinds of reasons to refuse a command.</summary>
internal enum RefusalKind
{
    /// <summary>Its words are wrong.</summary>
    Invalid,

    /// <summary>It contradicts what is there.</summary>
    Conflict,

    /// <summary>The host does not let it be done.</summary>
    Impossible,
}

/// <summary>
/// Keeps the segments of a running daemon as they are to be: at the start by what an earlier run left, later by what the file and commands say, always by the difference. A
/// segment that cannot be had does not keep the others from it, and is tried again.
/// </summary>
internal sealed partial class SegmentKeeper : IDisposable
{
    private const int MendsInAMinute = 5;

    private readonly ParseResult _words;
    private readonly string _path;
    private readonly Engine _engine;
    private readonly StateStore _store;
    private readonly Action<string> _say;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly ConcurrentDictionary<string, string> _failed = new();
    private readonly Dictionary<string, FormerSegment> _formers = [];
    private readonly Queue<long> _mends = new();
    private volatile Configuration _configuration;
    private ConfigFile _file;

    /// <summary>Takes over an engine that has no segments yet.</summary>
    /// <param name="words">The daemon's command line.</param>
    /// <param name="file">The configuration file as it was read.</param>
    /// <param name="configuration">What it came to.</param>
    /// <param name="engine">Opened with it.</param>
    /// <param name="store">The state.</param>
    /// <param name="say">Takes lines for whoever watches.</param>
    public SegmentKeeper(ParseResult words, ConfigFile file, Configuration configuration, Engine engine, StateStore store, Action<string> say)
    {
        _words = words;
        _file = file;
        _path = file.Path;
        _configuration = configuration;
        _engine = engine;
        _store = store;
        _say = say;
        Tables = new TableKeeper(store, say);
        engine.OnReplacement = segment =>
        {
            if (IsStored(segment.Options.Name)) Tables.Follow(segment);
        };
        engine.OnDeviceLost = (running, change) => _ = Task.Run(() => MendAsync(running, change));
    }

    /// <summary>Where the configuration file is.</summary>
    public string Path => _path;

    /// <summary>What there is to be.</summary>
    public Configuration Configuration => _configuration;

    /// <summary>Segments that cannot be had at the moment, and why.</summary>
    public IReadOnlyDictionary<string, string> Failed => _failed;

    /// <summary>Keeps their tables.</summary>
    public TableKeeper Tables { get; }

    /// <summary>Told after segments came or went.</summary>
    public Action OnSegments { get; set; } = static () => { };

    /// <summary>Brings up what there is to be, and takes away what an earlier run left that is no longer.</summary>
    public void Begin(Configuration? before)
    {
        foreach (var (name, gone) in before?.Segments ?? new Dictionary<string, ConfiguredSegment>())
        {
            var wanted = _configuration.Segments.GetValueOrDefault(name)?.Asked;
            if (wanted is not null && !IsAnother(gone.Asked, wanted))
            {
                if (_store.HasTables(name)) _formers[name] = new FormerSegment(gone.Asked, Tables.Restore);
                continue;
            }

            if (wanted is null || wanted.NetworkNamespace != gone.Asked.NetworkNamespace) RemoveLeftOver(gone.Asked);
            Tables.Forget(name);
            if (wanted is null) _say($"{name} is no longer configured: removed");
        }

        var mtus = _engine.NewMtuFinder();
        foreach (var segment in _configuration.Segments.Values) TryAdd(segment.Asked, mtus);
        Tables.Keep(_configuration.Json);
    }

    /// <summary>Tells that a segment could not be set up.</summary>
    public void Fail(string name, string reason)
    {
        if (_failed.TryGetValue(name, out var known) && known == reason) return;
        _failed[name] = reason;
        _say($"warning: {name} cannot be had: {reason}; the others go on, and it is tried again every {Service.RetrySeconds} s");
    }

    /// <summary>Reads the file again and does what is different, segment by segment.</summary>
    /// <exception cref="CommandRefusedException">The file is wrong, or asks for what is taken at the start only; nothing was changed.</exception>
    public async Task<IReadOnlyList<SegmentChange>> ReloadAsync()
    {
        await _turn.WaitAsync();
        try
        {
            var errors = new List<string>();
            var file = Configuration.ReadFile(_path, errors.Add) ?? throw new CommandRefusedException(RefusalKind.Invalid, errors);
            var wanted = Configuration.Read(_words, file, errors, [.. CommandSegments()], out var refused) ?? throw new CommandRefusedException(RefusalKind.Invalid, refused);
            wanted = WithNetworks(wanted);
            if (_configuration.DifferencesOfEngine(wanted) is { Count: > 0 } differences)
                throw new CommandRefusedException(RefusalKind.Conflict, [.. differences.Select(static each => $"{each}: is taken at the start only; restart the daemon for it (TAPs and the connections over them stay)")]);
            var changes = Apply(wanted.Segments);
            (_file, _configuration) = (file, wanted);
            Tables.Keep(wanted.Json);
            await Tables.SaveAsync();
            return changes;
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

    /// <summary>Makes a segment, or changes the one there is to what is asked for.</summary>
    /// <param name="name">Its TAP.</param>
    /// <param name="settings">As in a segment of the configuration file.</param>
    /// <param name="mustBeNew">Refuse if there is one.</param>
    /// <exception cref="CommandRefusedException">Nothing was changed, unless the host refused half-way.</exception>
    public async Task<SegmentChange> PutAsync(string name, ConfigMap settings, bool mustBeNew)
    {
        await _turn.WaitAsync();
        try
        {
            var before = _configuration.Segments.GetValueOrDefault(name);
            if (before is not null && mustBeNew) throw new CommandRefusedException(RefusalKind.Conflict, [$"dev {name}: File exists: there is such a segment; replace changes it"]);
            if (before is { Origin: SegmentOrigin.File }) throw OfTheFile(name);
            if (before is { Origin: SegmentOrigin.Network }) throw OfANetwork(name, before);
            if (before is null && _configuration.Segments.Count >= ConfigLimits.MaxSegments)
                throw new CommandRefusedException(RefusalKind.Conflict, [$"dev {name}: there are {ConfigLimits.MaxSegments} segments, which is the most there may be"]);
            var wanted = _configuration.ReadOne(_words, _file, name, settings, out var errors) ?? throw new CommandRefusedException(RefusalKind.Invalid, errors);
            var segments = new Dictionary<string, ConfiguredSegment>(_configuration.Segments) { [name] = wanted };
            // The intention first: whatever happens from here on, the next start knows of it.
            _store.SaveSegment(new StoredSegment(name, ConfigJson.Write(wanted.Settings)));
            var change = Apply(segments) is [var first, ..] ? first : new SegmentChange(name, "changed", []);
            if (change.What == "failed" && before is null)
            {
                _failed.TryRemove(name, out _);
                _store.RemoveSegment(name);
                Tables.Forget(name);
                throw new CommandRefusedException(RefusalKind.Impossible, change.Details);
            }

            _configuration = _configuration with { Segments = segments };
            if (change.What != "failed") Tables.Settle(name);
            await Tables.SaveAsync();
            return change.What == "failed" ? throw new CommandRefusedException(RefusalKind.Impossible, change.Details) : change;
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

    /// <summary>Removes a segment that a command made.</summary>
    /// <returns>False if there is none.</returns>
    /// <exception cref="CommandRefusedException">It is the configuration file's, or the state cannot be written.</exception>
    public async Task<bool> DeleteAsync(string name)
    {
        await _turn.WaitAsync();
        try
        {
            if (!_configuration.Segments.TryGetValue(name, out var before)) return false;
            if (before.Origin == SegmentOrigin.File) throw OfTheFile(name);
            if (before.Origin == SegmentOrigin.Network) throw OfANetwork(name, before);
            var segments = new Dictionary<string, ConfiguredSegment>(_configuration.Segments);
            segments.Remove(name);
            // First, as of one that is made: what is left of it goes at the next start if it does not go now.
            _store.RemoveSegment(name);
            Apply(segments);
            _configuration = _configuration with { Segments = segments };
            await Tables.SaveAsync();
            return true;
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

    private CommandRefusedException OfTheFile(string name) =>
        new(RefusalKind.Conflict, [$"dev {name}: stands in {_path}: change it there, then: sleeve config reload"]);

    /// <summary>Tries again what could not be had.</summary>
    public async Task RetryAsync()
    {
        if (_failed.IsEmpty) return;
        await _turn.WaitAsync();
        try
        {
            var mtus = _engine.NewMtuFinder();
            foreach (var name in _failed.Keys.ToArray())
            {
                if (!_configuration.Segments.TryGetValue(name, out var segment)) _failed.TryRemove(name, out _);
                else if (_engine.Segments.TryGetValue(name, out var running) ? TryPutRight(running, segment.Asked) : TryAdd(segment.Asked, mtus)) _say($"{name} is there now");
            }
        }
        finally
        {
            EndTurn();
        }
    }

    private IEnumerable<StoredSegment> CommandSegments() => _configuration.Segments.Where(static segment => segment.Value.Origin == SegmentOrigin.Command)
        .Select(static segment => new StoredSegment(segment.Key, ConfigJson.Write(segment.Value.Settings)));

    // What is not mentioned is not touched.
    private List<SegmentChange> Apply(IReadOnlyDictionary<string, ConfiguredSegment> wanted)
    {
        var changes = new List<SegmentChange>();
        var before = _configuration.Segments;
        // First what goes: its VNI and its name may be wanted.
        foreach (var name in before.Keys.Except(wanted.Keys).ToArray())
        {
            if (_engine.Segments.ContainsKey(name)) _engine.Remove(name);
            _failed.TryRemove(name, out _);
            if (IsStored(name)) Tables.Forget(name);
            changes.Add(new SegmentChange(name, "removed", []));
        }

        // Then what is another segment by now, all of it before any is made: two may have exchanged their VNIs.
        var anew = wanted.Keys.Where(name => _engine.Segments.TryGetValue(name, out var running) && IsAnother(running.Asked, wanted[name].Asked)).ToHashSet();
        foreach (var name in anew)
        {
            _engine.Remove(name);
            if (IsStored(name)) Tables.Forget(name);
        }

        var mtus = _engine.NewMtuFinder();
        foreach (var (name, segment) in wanted)
        {
            if (_engine.Segments.TryGetValue(name, out var running))
            {
                if (!running.Asked.Equals(segment.Asked)) changes.Add(Change(running, segment.Asked));
            }
            else if (!before.TryGetValue(name, out var known) || !known.Asked.Equals(segment.Asked) || _failed.ContainsKey(name))
            {
                var vni = string.Create(CultureInfo.InvariantCulture, $"vni {segment.Asked.Segment.Vni.Value}");
                changes.Add(!TryAdd(segment.Asked, mtus) ? new SegmentChange(name, "failed", [_failed[name]])
                    : anew.Contains(name) ? new SegmentChange(name, "changed", [$"made anew, {vni}"])
                    : new SegmentChange(name, "added", [vni]));
            }
        }

        return changes;
    }

    // Of another network, or elsewhere: nothing it learned holds, and no frame of before may come through it.
    private static bool IsAnother(UpSegment before, UpSegment wanted) => before.Segment.Vni != wanted.Segment.Vni || before.NetworkNamespace != wanted.NetworkNamespace;

    private SegmentChange Change(RunningSegment running, UpSegment wanted)
    {
        try
        {
            var details = _engine.Change(running.Name, wanted);
            _failed.TryRemove(running.Name, out _);
            return new SegmentChange(running.Name, "changed", details);
        }
        catch (IOException failure)
        {
            Fail(running.Name, failure.Message);
            return new SegmentChange(running.Name, "failed", [failure.Message]);
        }
    }

    // One that carries frames, but not as it is to be.
    private bool TryPutRight(RunningSegment running, UpSegment wanted)
    {
        try
        {
            if (running.Place.Host.FindLink(running.Device.Link.Index) is { } link && link.Name != running.Name) running.Place.Host.SetName(link.Index, running.Name);
            if (running.Asked.Equals(wanted)) _engine.SetUp(running);
            else if (Change(running, wanted).What == "failed") return false;
            if (IsStored(running.Name)) Tables.Settle(running.Name);
            _failed.TryRemove(running.Name, out _);
            return true;
        }
        catch (IOException failure)
        {
            Fail(running.Name, failure.Message);
            return false;
        }
    }

    private bool TryAdd(UpSegment asked, MtuFinder mtus)
    {
        var name = asked.Segment.Name;
        try
        {
            var former = _formers.GetValueOrDefault(name);
            var running = _engine.Add(asked, mtus, former);
            if (IsStored(name)) Tables.Follow(running.Segment);
            var learned = former is null ? 0 : Tables.RestoreLearned(running.Segment);
            if (running.Device.Mended.Count > 0) _say($"{name} was different from what was asked for: {string.Join(", ", running.Device.Mended)}");
            if (learned > 0) _say($"{name}: {learned} learned stations are known from before");
            _formers.Remove(name);
            _failed.TryRemove(name, out _);
            return true;
        }
        catch (IOException failure)
        {
            Fail(name, failure.Message);
            return false;
        }
    }

    private void RemoveLeftOver(UpSegment gone)
    {
        try
        {
            using var place = TapPlace.Open(gone.NetworkNamespace);
            if (place.Host.FindLink(gone.Segment.Name) is { Tun.IsTap: true, Alias: OverlayDevice.OwnAlias } link) place.Host.DeleteLink(link.Index);
        }
        catch (IOException failure)
        {
            // With its namespace the TAP went too.
            _say($"{gone.Segment.Name}: {failure.Message}; nothing is removed there");
        }
    }

    // Somebody else deleted or renamed a TAP of ours. The operator has the last word on its settings, but a segment has a TAP and its name.
    private async Task MendAsync(RunningSegment lost, LinkChange change)
    {
        await _turn.WaitAsync();
        try
        {
            if (_engine.Segments.GetValueOrDefault(lost.Name) is not { } running || running.Device != lost.Device) return;
            var isRenamed = !change.Changes.HasFlag(LinkChanges.Deleted);
            var deed = isRenamed ? $"{running.Name} was renamed to {change.Now.Name} by somebody else" : $"{running.Name} was deleted or moved to another network namespace by somebody else";
            if (!MayMend())
            {
                if (!isRenamed) _engine.Abandon(running.Name);
                Fail(running.Name, $"{deed}, again and again");
            }
            else if (isRenamed)
            {
                if (change.Now.Name == running.Name) return;
                running.Place.Host.SetName(running.Device.Link.Index, running.Name);
                _say($"warning: {deed}: renamed back");
            }
            else
            {
                var tables = running.Segment;
                _engine.Abandon(running.Name);
                _formers[running.Name] = new FormerSegment(running.Asked, segment => segment.TakeOver(tables, Vtep.NowMilliseconds));
                if (TryAdd(running.Asked, _engine.NewMtuFinder())) _say($"warning: {deed}: made anew; addresses that are not configured here are gone with it");
            }
        }
        catch (IOException failure)
        {
            Fail(lost.Name, failure.Message);
        }
        finally
        {
            EndTurn();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tables.Dispose();
        _turn.Dispose();
    }

    // Whoever is told looks at the segments, so nobody may change them yet.
    private void EndTurn()
    {
        try
        {
            OnSegments();
        }
        finally
        {
            _turn.Release();
        }
    }

    private bool MayMend()
    {
        var now = Vtep.NowMilliseconds;
        while (_mends.TryPeek(out var first) && now - first > 60_000) _mends.Dequeue();
        if (_mends.Count >= MendsInAMinute) return false;
        _mends.Enqueue(now);
        return true;
    }
}
