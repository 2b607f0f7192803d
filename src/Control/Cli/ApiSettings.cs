using System.CommandLine;
using System.Net;
using Sleeve.Control.Api;

namespace Sleeve.Control.Cli;

/// <summary>The options of whatever serves the API: who may use its sockets, and whether it is served over TCP.</summary>
internal static class ApiSettings
{
    private const string ModeAllowed = "three octal digits of read and write bits, such as 0660";

    private static readonly Setting Mode = new("--socket-mode", "MODE", "Who may connect to the socket, as of chmod(1). [0600]", ModeAllowed);
    private static readonly Setting Group = new("--socket-group", "GROUP", "Group of the socket; needs a --socket-mode that lets it in. [ours]", "the name or number of a group");
    private static readonly Option<bool> ReadOnly = Setting.Flag("--socket-ro", "Serve a read-only socket too: DEV-ro.sock beside DEV.sock. [off]");
    private static readonly Setting ReadOnlyMode = new("--socket-ro-mode", "MODE", "Who may connect to that. [0666]", ModeAllowed);
    private static readonly Setting Address = new(
        "--api", "ADDRESS:PORT", "Serve the API over TCP too, with TLS that asks clients for a certificate. [off]", "an IP address and a port, such as 192.0.2.1:4433 or [2001:db8::1]:4433");
    private static readonly Setting Certificate = new("--api-cert", "FILE", "PEM certificate to show there, and those that vouch for it.", "a file");
    private static readonly Setting Key = new("--api-key", "FILE", "PEM key of it.", "a file");
    private static readonly Setting Authority = new("--api-client-ca", "FILE", "PEM certificates of who vouches for clients.", "a file");
    private static readonly Option<bool> StatusPage = Setting.Flag("--status-page", "Serve the status page over TCP too. [off]");

    /// <summary>Adds them to the command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Mode, Group, ReadOnlyMode, Address, Certificate, Key, Authority]) command.Options.Add(setting.Option);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[ReadOnly, StatusPage]) command.Options.Add(flag);
    }

    /// <summary>What was asked for; the sockets are whoever serves'.</summary>
    public static ApiOptions Read(SettingReader reader)
    {
        var isReadOnly = reader.ReadFlag(ReadOnly);
        if (!isReadOnly && reader.IsGiven(ReadOnlyMode)) reader.Refuse($"{reader.NameOf(ReadOnlyMode)}: needs --socket-ro");
        return new ApiOptions
        {
            Sockets = [],
            SocketMode = reader.Read(Mode, FileMode, ApiOptions.OwnerOnly),
            SocketGroup = reader.Read<string?>(Group, Words.Text!, null),
            ReadOnlySockets = isReadOnly,
            ReadOnlyMode = reader.Read(ReadOnlyMode, FileMode, ApiOptions.Everybody),
            Network = ReadNetwork(reader),
        };
    }

    private static ApiNetworkOptions? ReadNetwork(SettingReader reader)
    {
        var hasPage = reader.ReadFlag(StatusPage);
        Setting[] all = [Address, Certificate, Key, Authority];
        var given = all.FirstOrDefault(reader.IsGiven);
        if (given is null)
        {
            if (hasPage) reader.Refuse("--status-page: needs --api; on the unix sockets it is there anyway");
            return null;
        }

        foreach (var missing in all.Where(setting => !reader.IsGiven(setting)))
            reader.Refuse($"{missing.Option.Name}: missing; it must be {missing.Allowed}: --api, --api-cert, --api-key and --api-client-ca go together, given is {reader.NameOf(given)}");
        var address = reader.Read<IPEndPoint?>(Address, Endpoint, null);
        var (certificate, key, authority) = (reader.Read<string>(Certificate, Words.Text, ""), reader.Read<string>(Key, Words.Text, ""), reader.Read<string>(Authority, Words.Text, ""));
        return address is null ? null : new ApiNetworkOptions(address, certificate, key, authority, hasPage);
    }

    /// <summary>Reads an address with a port.</summary>
    public static bool Endpoint(string text, out IPEndPoint? value)
    {
        // Without a port, or with one behind an IPv6 address without brackets, the port would be 0.
        var isRead = IPEndPoint.TryParse(text, out value) && value.Port != 0;
        if (!isRead) value = null;
        return isRead;
    }

    private static bool FileMode(string text, out UnixFileMode value)
    {
        value = default;
        if (text.Length is not (3 or 4) || (text.Length == 4 && text[0] != '0') || text.Any(static c => c is < '0' or > '7')) return false;
        value = (UnixFileMode)Convert.ToInt32(text, 8);
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return (value & Execute) == 0 && value.HasFlag(ApiOptions.OwnerOnly);
    }
}
