using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cni;

/// <summary>What the runtime says in the environment (specification, section "Parameters").</summary>
internal sealed record CniCall
{
    /// <summary>The variable that makes a call of this program one of a plugin.</summary>
    public const string CommandVariable = "CNI_COMMAND";

    /// <summary>Characters of a container's id, at most.</summary>
    public const int MaxContainerId = 255;

    private const int MaxArguments = 64;

    /// <summary>ADD, CHECK, DEL, GC, STATUS or VERSION.</summary>
    public required string Command { get; init; }

    /// <summary>Id of the container; "" for GC and STATUS.</summary>
    public string ContainerId { get; init; } = "";

    /// <summary>Path of its network namespace; "" if DEL comes without.</summary>
    public string Netns { get; init; } = "";

    /// <summary>Name of its interface.</summary>
    public string Ifname { get; init; } = "";

    /// <summary>Folders to look for plugins in.</summary>
    public IReadOnlyList<string> Folders { get; init; } = [];

    /// <summary>Addresses that CNI_ARGS asks for.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>MAC that CNI_ARGS asks for; "" for none.</summary>
    public string Mac { get; init; } = "";

    /// <summary>Name of the pod, or of podman's container; "" if it is not said, or is no name here.</summary>
    public string PodName { get; init; } = "";

    /// <summary>Reads the environment. What a command does not need is not looked at, so that a DEL after a refused ADD succeeds.</summary>
    /// <param name="variable">Reads a variable.</param>
    /// <exception cref="CniFault">Something is missing or wrong.</exception>
    public static CniCall Read(Func<string, string?> variable)
    {
        var command = variable(CommandVariable) ?? "";
        var call = new CniCall { Command = command, Folders = (variable("CNI_PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries) };
        if (command is "VERSION" or "GC" or "STATUS") return call;
        if (command is not ("ADD" or "CHECK" or "DEL")) throw new CniFault(CniCode.BadEnvironment, $"{CommandVariable} {CniNode.Shorten(command)}: must be ADD, CHECK, DEL, GC, STATUS or VERSION");
        call = call with { ContainerId = ReadContainerId(variable), Ifname = ReadIfname(variable), Netns = variable("CNI_NETNS") ?? "" };
        if (command == "DEL") return call;
        if (call.Netns.Length == 0) throw new CniFault(CniCode.BadEnvironment, "CNI_NETNS: missing; it must be the path of a network namespace");
        if (call.Netns[0] != '/' || call.Netns.Length > WireTarget.MaxLength || call.Netns.Any(char.IsControl))
            throw new CniFault(CniCode.BadEnvironment, $"CNI_NETNS {CniNode.Shorten(call.Netns)}: must be the whole path of a network namespace, of at most {WireTarget.MaxLength} characters");
        return command == "ADD" ? call.WithArguments(variable("CNI_ARGS") ?? "") : call;
    }

    private static string ReadContainerId(Func<string, string?> variable)
    {
        var id = variable("CNI_CONTAINERID") ?? "";
        if (id.Length == 0) throw new CniFault(CniCode.BadEnvironment, "CNI_CONTAINERID: missing; it must be the container's id");
        return IsContainerId(id) ? id : throw new CniFault(CniCode.BadEnvironment, $"CNI_CONTAINERID {CniNode.Shorten(id)}: must be 1 to {MaxContainerId} of A-Z a-z 0-9 - _ . and begin with a letter or a digit");
    }

    /// <summary>Whether a text may be a container's id.</summary>
    public static bool IsContainerId(string id) => id.Length is > 0 and <= MaxContainerId && char.IsAsciiLetterOrDigit(id[0]) && id.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static string ReadIfname(Func<string, string?> variable)
    {
        var name = variable("CNI_IFNAME") ?? "";
        if (name.Length == 0) throw new CniFault(CniCode.BadEnvironment, "CNI_IFNAME: missing; it must be the name of the interface in the container");
        return IsIfname(name) ? name : throw new CniFault(CniCode.BadEnvironment, $"CNI_IFNAME {CniNode.Shorten(name)}: must be {Cli.Words.LinkNameAllowed}");
    }

    /// <summary>Whether a text may be an interface's name, by the kernel and by the specification.</summary>
    public static bool IsIfname(string name) => LinkInfo.IsValidName(name) && !name.Contains(':', StringComparison.Ordinal) && !name.Any(char.IsControl);

    // K=V;K=V in any order (specification, section "Parameters").
    private CniCall WithArguments(string text)
    {
        var (addresses, mac, pod, unknown, ignores) = (new List<string>(), "", "", "", false);
        var pairs = text.Split(';', StringSplitOptions.RemoveEmptyEntries);
        if (pairs.Length > MaxArguments) throw new CniFault(CniCode.BadEnvironment, $"CNI_ARGS: has {pairs.Length} arguments; at most {MaxArguments} are allowed");
        foreach (var pair in pairs)
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw new CniFault(CniCode.BadEnvironment, $"CNI_ARGS {CniNode.Shorten(pair)}: must be KEY=VALUE, with semicolons between");
            var (key, value) = (pair[..equals], pair[(equals + 1)..]);
            switch (key)
            {
                case "IP":
                    foreach (var address in value.Split(',', StringSplitOptions.RemoveEmptyEntries)) addresses.Add(RequestedAddress.Read(address) ?? throw Wrong(key, address, RequestedAddress.Allowed));
                    break;
                case "MAC":
                    if (!MacAddress.TryParse(value, out var read) || !read.IsValidSource) throw Wrong(key, value, RequestedAddress.MacAllowed);
                    mac = read.ToString();
                    break;
                case "IgnoreUnknown":
                    ignores = value is "1" or "true" or "True" or "TRUE" || (value is "0" or "false" or "False" or "FALSE" ? false : throw Wrong(key, value, "1, true, 0 or false"));
                    break;
                case "K8S_POD_NAME":
                    pod = Names.IsName(value) ? value : "";
                    break;
                case var _ when key.StartsWith("K8S_POD_", StringComparison.Ordinal):
                    break;
                default:
                    unknown = key;
                    break;
            }
        }

        if (unknown.Length > 0 && !ignores) throw new CniFault(CniCode.BadEnvironment, $"CNI_ARGS {CniNode.Shorten(unknown)}: must be one of IP, MAC, K8S_POD_… and IgnoreUnknown; IgnoreUnknown=1 leaves others out");
        return this with { Addresses = addresses, Mac = mac, PodName = pod };
    }

    private static CniFault Wrong(string key, string value, string allowed) => new(CniCode.BadEnvironment, $"CNI_ARGS {key}={CniNode.Shorten(value)}: must be {allowed}");
}

/// <summary>Addresses that somebody asks for: with a prefix length or without, which is the network's business.</summary>
internal static class RequestedAddress
{
    /// <summary>What one must be.</summary>
    public const string Allowed = "an IPv4 or IPv6 unicast address";

    /// <summary>What a MAC must be.</summary>
    public const string MacAllowed = "a unicast MAC such as 02:00:00:00:00:01";

    /// <summary>Reads one; null if it is none.</summary>
    public static string? Read(string text)
    {
        if (text.Contains('/', StringComparison.Ordinal)) return AddressPrefix.TryParse(text, out var prefix) ? Read(prefix.Address) : null;
        return InternetAddress.TryParse(text, out var address) ? Read(address) : null;
    }

    private static string? Read(InternetAddress address) =>
        address is { IsUnspecified: false, IsMulticast: false, IsLoopback: false, IsIPv4Broadcast: false } ? address.ToString() : null;
}
