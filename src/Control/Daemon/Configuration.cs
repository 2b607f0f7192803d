using System.CommandLine;
using System.Text;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Store;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Daemon;

/// <summary>Who said that there is to be a segment.</summary>
internal enum SegmentOrigin
{
    /// <summary>The configuration file.</summary>
    File,

    /// <summary>A command; it stands in the store.</summary>
    Command,

    /// <summary>A network that is used on this host; it stands nowhere here.</summary>
    Network,
}

/// <summary>A segment that there is to be.</summary>
/// <param name="Asked">What is asked for.</param>
/// <param name="Origin">By whom.</param>
/// <param name="Settings">As it was said, without what it has from the top of the file.</param>
internal sealed record ConfiguredSegment(UpSegment Asked, SegmentOrigin Origin, ConfigMap Settings);

/// <summary>What the daemon is to be: read as a whole from the configuration file, the segments that commands made, and the command line; and judged as a whole.</summary>
/// <param name="Engine">What all segments share.</param>
/// <param name="Frontend">How it is asked, and what it tells.</param>
/// <param name="Segments">The segments by the name of their TAP.</param>
/// <param name="Json">What the file says, as JSON.</param>
internal sealed record Configuration(EngineOptions Engine, FrontendOptions Frontend, IReadOnlyDictionary<string, ConfiguredSegment> Segments, string Json)
{
    /// <summary>Who is to run it; null for whoever starts it.</summary>
    public string? User { get; init; }

    /// <summary>Where the file is if nothing else is said.</summary>
    public const string DefaultFile = "/etc/sleeve/sleeve.yaml";

    private static readonly Command Keys = WithCluster(UpCommand.Create());

    /// <summary>How this host is one of several.</summary>
    public ClusterOptions Cluster { get; init; } = new();

    /// <summary>How it is a driver of this host's Docker.</summary>
    public Docker.DockerOptions Docker { get; init; } = new();

    private static Command WithCluster(Command keys)
    {
        ClusterSettings.AddTo(keys);
        DockerSettings.AddTo(keys);
        return keys;
    }

    /// <summary>Reads a file.</summary>
    /// <returns>Null if it cannot be read at all; <paramref name="errors"/> has the reason then.</returns>
    public static ConfigFile? ReadFile(string path, Action<string> errors) => ConfigFile.Read(path, Keys, UpCommand.NotInDaemonFile, errors);

    /// <summary>Reads what stands in a text.</summary>
    /// <inheritdoc cref="ReadFile"/>
    public static ConfigFile? ReadText(string name, string text, Action<string> errors) => ConfigFile.Parse(name, Encoding.UTF8.GetBytes(text), Keys, UpCommand.NotInDaemonFile, errors);

    /// <summary>A segment's settings as a command gave them.</summary>
    public static ConfigSection Section(string name, ConfigMap settings, Action<string> errors) =>
        new(PlaceOf(name), settings, Keys, UpCommand.NotInDaemonFile, [ConfigFile.DeviceKey], errors);

    /// <summary>What errors call the settings that a command gave.</summary>
    public static string PlaceOf(string name) => $"segment {name}";

    /// <summary>Reads everything.</summary>
    /// <param name="words">The daemon's command line; its options go before those at the top of the file.</param>
    /// <param name="file">The configuration file.</param>
    /// <param name="ofFile">What <see cref="ReadFile"/> found wrong with it.</param>
    /// <param name="stored">The segments that commands made.</param>
    /// <param name="errors">Every error, one line each.</param>
    /// <returns>Null if there is an error.</returns>
    public static Configuration? Read(ParseResult words, ConfigFile file, IReadOnlyList<string> ofFile, IReadOnlyList<StoredSegment> stored, out IReadOnlyList<string> errors)
    {
        var reader = new SettingReader(words).After(file.Top);
        foreach (var error in ofFile) reader.Refuse(error);
        ConfigSection[] sections = [.. file.Segments ?? [], .. stored.Select(segment => Section(segment.Name, Parse(segment.Settings), reader.Refuse))];
        var devices = new DeviceReader(SegmentSettings.Vni, SegmentSettings.Read).ReadSections(sections, reader);
        var options = new EngineOptions
        {
            Vtep = VtepSettings.Read(reader, devices, mayBeAlone: true),
            Device = GroupSettings.ReadDevice(reader),
            PathMtu = PathMtuSettings.Read(reader),
            KeepsDevices = true,
        };
        VtepSettings.RefuseContradictions(reader, options.Vtep, devices);
        GroupSettings.RefuseContradictions(reader, options.Device, devices.Select(static device => device.Segment));
        foreach (var taken in devices.Where(static device => device.Segment.Segment.Name == SocketFile.DaemonName))
            reader.Refuse($"{ConfigFile.DeviceKey} {SocketFile.DaemonName}: is the name of the daemon's own socket; choose another");
        var frontend = FrontendSettings.Read(reader);
        var user = UserSettings.Read(reader);
        var cluster = ClusterSettings.Read(reader);
        var docker = DockerSettings.Read(reader);
        errors = reader.Errors;
        if (errors.Count > 0) return null;
        var fromFile = file.Segments?.Count ?? 0;
        var segments = new Dictionary<string, ConfiguredSegment>();
        for (var i = 0; i < devices.Count; i++)
            segments.Add(devices[i].Segment.Segment.Name, new ConfiguredSegment(devices[i].Segment, i < fromFile ? SegmentOrigin.File : SegmentOrigin.Command, sections[i].Map));
        return new Configuration(options, frontend, segments, ConfigJson.Write(file.Root)) { User = user, Cluster = cluster, Docker = docker };
    }

    /// <summary>Reads settings that were stored, or came with a request.</summary>
    /// <exception cref="ConfigSyntaxException">They are no mapping, or pass a limit.</exception>
    public static ConfigMap Parse(string settings) =>
        JsonText.Parse(Encoding.UTF8.GetBytes(settings)) as ConfigMap ?? throw new ConfigSyntaxException(1, "must be an object, such as {\"vni\":100}");

    /// <summary>Reads one segment that a command gives, and judges it beside the others.</summary>
    /// <param name="words">The daemon's command line.</param>
    /// <param name="file">The file in use, whose top says what the segment does not.</param>
    /// <param name="name">Name of its TAP.</param>
    /// <param name="settings">As in a segment of the file.</param>
    /// <param name="errors">Every error, one line each.</param>
    /// <returns>Null if there is an error.</returns>
    public ConfiguredSegment? ReadOne(ParseResult words, ConfigFile file, string name, ConfigMap settings, out IReadOnlyList<string> errors)
    {
        var reader = new SettingReader(words).After(file.Top);
        if (settings.Find(ConfigFile.DeviceKey) is not { } own) settings = settings with { Members = [new ConfigMember(ConfigFile.DeviceKey, 1, new ConfigScalar(1, name)), .. settings.Members] };
        else if (own.Value is not ConfigScalar { Text: var text } || text != name) reader.Refuse($"{ConfigFile.DeviceKey}: contradicts {name}; leave it out");
        if (name == SocketFile.DaemonName) reader.Refuse($"{ConfigFile.DeviceKey} {SocketFile.DaemonName}: is the name of the daemon's own socket; choose another");
        var device = new DeviceReader(SegmentSettings.Vni, SegmentSettings.Read).ReadSections([Section(name, settings, reader.Refuse)], reader)[0];
        var family = Engine.Vtep.Local.IsIPv4 ? "IPv4" : "IPv6";
        foreach (var remote in device.Remotes)
        {
            if (remote.Value.IsIPv4 != Engine.Vtep.Local.IsIPv4) reader.Refuse($"{remote}: must be {family}, as the underlay of this VTEP is");
            if (remote.Value == Engine.Vtep.Local) reader.Refuse($"{remote}: is the local address; must be another VTEP");
        }

        foreach (var other in Segments.Values.Where(other => other.Asked.Segment.Vni == device.Segment.Segment.Vni && other.Asked.Segment.Name != name))
            reader.Refuse($"vni {device.Segment.Segment.Vni}: is that of {other.Asked.Segment.Name}; must be another");
        VtepSettings.RefuseContradictions(reader, Engine.Vtep, [device]);
        GroupSettings.RefuseContradictions(reader, Engine.Device, [device.Segment]);
        errors = reader.Errors;
        return errors.Count > 0 ? null : new ConfiguredSegment(device.Segment, SegmentOrigin.Command, settings);
    }

    /// <summary>What differs from another configuration and is taken at the start only; one phrase each.</summary>
    public IReadOnlyList<string> DifferencesOfEngine(Configuration other)
    {
        var (now, then) = (Engine, other.Engine);
        var differences = new List<string>();
        Compare("local", now.Vtep.Local, then.Vtep.Local);
        Compare("dstport", now.Vtep.Port, then.Vtep.Port);
        Compare("srcport", $"{now.Vtep.SourcePortMin}-{now.Vtep.SourcePortMax}", $"{then.Vtep.SourcePortMin}-{then.Vtep.SourcePortMax}");
        Compare("udpcsum", now.Vtep.UdpChecksum, then.Vtep.UdpChecksum);
        Compare("udp6zerocsumtx", now.Vtep.ZeroChecksum6Transmit, then.Vtep.ZeroChecksum6Transmit);
        Compare("udp6zerocsumrx", now.Vtep.ZeroChecksum6Receive, then.Vtep.ZeroChecksum6Receive);
        Compare("workers", now.Vtep.Workers, then.Vtep.Workers);
        Compare("tx-offload", now.Vtep.TransmitOffload?.Name() ?? "auto", then.Vtep.TransmitOffload?.Name() ?? "auto");
        Compare("rx-offload", now.Vtep.ReceiveOffload, then.Vtep.ReceiveOffload);
        Compare("dev", now.Device, then.Device);
        Compare("pmtu-ttl", now.PathMtu.TimeToLiveSeconds, then.PathMtu.TimeToLiveSeconds);
        Compare("pmtu-probe", now.PathMtu.ProbeSeconds, then.PathMtu.ProbeSeconds);
        Compare("user", User, other.User);
        if (Cluster != other.Cluster) differences.Add("a setting of the cluster");
        if (Docker != other.Docker) differences.Add("a setting of Docker");
        if (Frontend != other.Frontend) differences.Add("a setting of the API or of the metrics");
        if (differences.Count == 0 && now != then) differences.Add("a setting of the VTEP");
        return differences;

        void Compare<T>(string key, T value, T wanted)
        {
            if (!EqualityComparer<T>.Default.Equals(value, wanted)) differences.Add($"{key} {value} to {wanted}");
        }
    }
}
