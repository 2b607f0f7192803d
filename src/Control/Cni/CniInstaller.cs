using System.Text;
using System.Text.Json;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cni;

/// <summary>What is to be installed.</summary>
internal sealed record CniInstallation
{
    /// <summary>Where runtimes look for plugins.</summary>
    public const string DefaultBinaries = "/opt/cni/bin";

    /// <summary>Where runtimes look for configurations.</summary>
    public const string DefaultConfigurations = "/etc/cni/net.d";

    /// <summary>Folder of the plugin.</summary>
    public string Binaries { get; init; } = DefaultBinaries;

    /// <summary>Folder of the configuration.</summary>
    public string Configurations { get; init; } = DefaultConfigurations;

    /// <summary>The network, after which the configuration is called.</summary>
    public required string Network { get; init; }

    /// <summary>Subnets that ADD makes the network with if there is none.</summary>
    public IReadOnlyList<string> Subnets { get; init; } = [];

    /// <summary>VNI that ADD makes the network with if there is none.</summary>
    public uint? Vni { get; init; }

    /// <summary>The daemon's socket; null for the default.</summary>
    public string? Socket { get; init; }
}

/// <summary>
/// Puts the plugin and a configuration where container runtimes look for them, and takes them away. Each file is written whole or not at all, and only over what was made here; done twice it is as done once.
/// </summary>
/// <param name="wanted">What is to be installed.</param>
/// <param name="program">The words that start this program.</param>
/// <param name="say">Takes a line for each thing that is done.</param>
internal sealed class CniInstaller(CniInstallation wanted, IReadOnlyList<string> program, Action<string> say)
{
    /// <summary>The type that configurations call the plugin by, and its file.</summary>
    public const string PluginName = "sleeve";

    private const string Mark = "# made by sleeve cni install";
    private const string PortMap = "portmap";
    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Runnable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    // Where distributions put the reference plugins.
    private static readonly string[] OtherFolders = ["/usr/lib/cni", "/usr/libexec/cni"];

    private string PluginPath => Path.Combine(wanted.Binaries, PluginName);

    private string ConfigurationPath => Path.Combine(wanted.Configurations, $"10-{wanted.Network}.conflist");

    /// <summary>Writes both, the plugin first: a configuration without its plugin is an error of every runtime that reads it.</summary>
    /// <exception cref="HostException">Something else is there, or it cannot be written.</exception>
    public void Install()
    {
        try
        {
            if (File.Exists(PluginPath) && !IsOurs(PluginPath)) throw new HostException($"{PluginPath} is not of sleeve cni install's making: it stays; remove it, or name another --bin-dir");
            if (File.Exists(ConfigurationPath) && !IsForUs(ConfigurationPath)) throw new HostException($"{ConfigurationPath} is a configuration of another plugin: it stays; remove it, or name another --network or --conf-dir");
            Write(PluginPath, Script(), Runnable);
            Write(ConfigurationPath, Configuration(out var advice), Readable);
            if (advice.Length > 0) say(advice);
        }
        catch (Exception failure) when (failure is IOException and not HostException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot install the plugin: {failure.Message}");
        }
    }

    /// <summary>Removes the configuration, and the plugin if no other configuration needs it.</summary>
    /// <exception cref="HostException">It cannot be removed.</exception>
    public void Uninstall()
    {
        try
        {
            if (!File.Exists(ConfigurationPath)) say($"{ConfigurationPath} is not there");
            else if (IsForUs(ConfigurationPath)) Remove(ConfigurationPath);
            else say($"{ConfigurationPath} is a configuration of another plugin: it stays");
            string[] users = Directory.Exists(wanted.Configurations) ? [.. Directory.EnumerateFiles(wanted.Configurations).Where(IsForUs).Order(StringComparer.Ordinal)] : [];
            if (!File.Exists(PluginPath)) say($"{PluginPath} is not there");
            else if (!IsOurs(PluginPath)) say($"{PluginPath} is not of sleeve cni install's making: it stays");
            else if (users.Length > 0) say($"{PluginPath} stays for {string.Join(", ", users)}");
            else Remove(PluginPath);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot remove the plugin: {failure.Message}");
        }
    }

    private void Remove(string path)
    {
        File.Delete(path);
        say($"removed {path}");
    }

    private void Write(string path, string text, UnixFileMode mode)
    {
        if (File.Exists(path) && File.ReadAllText(path) == text && (File.GetUnixFileMode(path) & mode) == mode)
        {
            say($"unchanged {path}");
            return;
        }

        var (folder, isNew) = (Path.GetDirectoryName(Path.GetFullPath(path))!, !File.Exists(path));
        Directory.CreateDirectory(folder);
        // Of no ending that runtimes read.
        var draft = Path.Combine(folder, $".sleeve-{Environment.ProcessId}.tmp");
        try
        {
            File.WriteAllText(draft, text);
            File.SetUnixFileMode(draft, mode);
            File.Move(draft, path, overwrite: true);
        }
        finally
        {
            File.Delete(draft);
        }

        say($"{(isNew ? "wrote" : "replaced")} {path}");
    }

    // A file that a symbolic link stands for may be the program itself.
    private static bool IsOurs(string path)
    {
        if (File.ResolveLinkTarget(path, returnFinalTarget: false) is not null) return false;
        using var reader = new StreamReader(path);
        var begin = new char[Mark.Length + 64];
        return new string(begin, 0, reader.ReadBlock(begin)).Contains(Mark, StringComparison.Ordinal);
    }

    private static bool IsForUs(string path)
    {
        if (Path.GetExtension(path) is not (".conflist" or ".conf" or ".json") || new FileInfo(path).Length > CniProgram.MaxInput) return false;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object && (IsSleeve(root) || (root.TryGetProperty("plugins", out var plugins) && plugins.ValueKind == JsonValueKind.Array && plugins.EnumerateArray().Any(IsSleeve)));
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsSleeve(JsonElement plugin) => plugin.ValueKind == JsonValueKind.Object && plugin.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals(PluginName);

    // A script: it can answer VERSION itself in a thousandth of a second, which podman asks of every plugin on every command.
    private string Script()
    {
        var versions = string.Join("\",\"", CniVersions.All);
        var text = new StringBuilder("#!/bin/sh\n").Append(Mark).Append("; sleeve cni install --uninstall removes it\n")
            .Append("if [ \"$CNI_COMMAND\" = VERSION ]; then\n  read -r _ || :\n")
            .Append($"  echo '{{\"cniVersion\":\"{CniVersions.Latest}\",\"supportedVersions\":[\"{versions}\"]}}'\n  exit 0\nfi\n");
        // Runtimes start plugins with an environment of their own.
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } runtime) text.Append($"DOTNET_ROOT={Quote(runtime)}\nexport DOTNET_ROOT\n");
        return text.Append($"exec {string.Join(' ', program.Select(Quote))} cni\n").ToString();
    }

    private static string Quote(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private string Configuration(out string advice)
    {
        advice = "";
        var isBeside = File.Exists(Path.Combine(wanted.Binaries, PortMap));
        var elsewhere = isBeside ? null : OtherFolders.FirstOrDefault(static folder => File.Exists(Path.Combine(folder, PortMap)));
        if (elsewhere is not null) advice = $"portmap, which publishes ports, is in {elsewhere}: podman finds it there; for containerd: ln -s {elsewhere}/{PortMap} {wanted.Binaries}/";
        else if (!isBeside) advice = $"ports cannot be published: there is no portmap in {wanted.Binaries} (Debian: containernetworking-plugins); install it and do this again";
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("cniVersion", "1.0.0");
            json.WriteString("name", wanted.Network);
            json.WriteStartArray("plugins");
            WriteOwn(json);
            if (isBeside || elsewhere is not null)
            {
                json.WriteStartObject();
                json.WriteString("type", PortMap);
                json.WriteBoolean("snat", true);
                json.WriteStartObject("capabilities");
                json.WriteBoolean("portMappings", true);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private void WriteOwn(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("type", PluginName);
        json.WriteString("network", wanted.Network);
        if (wanted.Subnets.Count > 0)
        {
            json.WriteStartArray("subnet");
            foreach (var subnet in wanted.Subnets) json.WriteStringValue(subnet);
            json.WriteEndArray();
        }

        if (wanted.Vni is { } vni) json.WriteNumber("vni", vni);
        if (wanted.Socket is { } socket) json.WriteString("socket", socket);
        json.WriteStartObject("capabilities");
        foreach (var capability in (ReadOnlySpan<string>)["ips", "mac", "aliases"]) json.WriteBoolean(capability, true);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
