using System.CommandLine;
using System.Net;
using Sleeve.Control.Daemon;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Cli;

/// <summary>The settings of a daemon that is one of several hosts.</summary>
internal static class ClusterSettings
{
    private const string Embedded = "embedded";

    private static readonly Setting Name = new("--name", "NAME", "Name of this host among the others. [its host name]", Names.Allowed);
    private static readonly Setting Store = new(
        "--store", "URI", "What hosts share: the embedded store, here or at the host that was joined, or etcd. [embedded]", $"embedded, or {StoreUri.Allowed}");
    private static readonly Setting Authority = new("--store-ca", "FILE", "PEM certificates of who vouches for etcd. [those the host trusts]", "a file");
    private static readonly Setting Certificate = new("--store-cert", "FILE", "PEM certificate that etcd is shown.", "a file");
    private static readonly Setting Key = new("--store-key", "FILE", "PEM key of it.", "a file");
    private static readonly Setting User = new("--store-user", "NAME", "User of etcd.", "a name of 1 to 255 characters");
    private static readonly Setting PasswordFile = new("--store-password-file", "FILE", "File with the password of that user, which nobody else may read.", "a file");
    private static readonly Setting Serve = new(
        "--serve", "ADDRESS:PORT", "Serve the embedded store to other hosts here, by TLS. [--local, TCP 4789, once there is a token]", "an IP address and a port, such as 192.0.2.1:4789 or [2001:db8::1]:4789");
    private static readonly Setting Location = new("--location", "PLACE", "Where this host stands, for address plans: zone/rack. [none]", "at most 8 names with / between them");
    private static readonly Setting ProbeInterval = new Setting("--probe-interval", "MILLISECONDS", "How often the VTEPs of other hosts are probed. [300]", "50 to 60000 (milliseconds)").In("milliseconds");
    private static readonly Setting ProbeMultiplier = new Setting("--probe-multiplier", "N", "Probes without an answer after which a VTEP is down. [3]", "2 to 100").In("probes");
    private static readonly Setting ReclaimAfter = new("--reclaim-after", "SECONDS", "When a host that gives no sign of life loses its addresses. [3600]", "60 to 31536000 (seconds)");
    private static readonly Setting VniRange = new("--vni-range", "MIN-MAX", "VNIs to choose from for networks. [4096-16777215]", "MIN-MAX, each 1 to 16777215, MIN not above MAX");
    private static readonly Option<bool> Dns = Setting.Flag("--dns", "Resolve names of endpoints for the members of their network. [on]");
    private static readonly Option<bool> NoDns = Setting.Flag("--nodns", "Do not.");
    private static readonly Setting Domain = new("--domain", "NAME", "Domain of those names. [sleeve]", NameOptions.DomainAllowed);

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Name, Store, Authority, Certificate, Key, User, PasswordFile, Serve, Location, ProbeInterval, ProbeMultiplier, ReclaimAfter, VniRange, Domain])
            command.Options.Add(setting.Option);
        foreach (var flag in (ReadOnlySpan<Option<bool>>)[Dns, NoDns]) command.Options.Add(flag);
    }

    /// <summary>Reads them.</summary>
    public static ClusterOptions Read(SettingReader reader)
    {
        var store = ReadStore(reader);
        var isEtcd = store is not null;
        foreach (var setting in (ReadOnlySpan<Setting>)[Authority, Certificate, Key, User, PasswordFile])
            if (!isEtcd && reader.IsGiven(setting)) reader.Refuse($"{reader.NameOf(setting)}: needs --store etcd://… or etcds://…");
        foreach (var (one, other) in (ReadOnlySpan<(Setting, Setting)>)[(Certificate, Key), (Key, Certificate), (User, PasswordFile), (PasswordFile, User)])
            if (reader.IsGiven(one) && !reader.IsGiven(other)) reader.Refuse($"{reader.NameOf(one)}: needs {other.Option.Name}");
        if (isEtcd && reader.IsGiven(Serve)) reader.Refuse($"{reader.NameOf(Serve)}: is of the embedded store; etcd serves itself");
        var (vniMin, vniMax) = reader.Read(VniRange, Range, (ClusterOptions.DefaultVniMin, 16777215));
        return new ClusterOptions
        {
            Name = reader.Read(Name, HostName, DefaultName()),
            Store = store,
            StoreAuthority = reader.Read<string?>(Authority, Words.Text!, null),
            StoreCertificate = reader.Read<string?>(Certificate, Words.Text!, null),
            StoreKey = reader.Read<string?>(Key, Words.Text!, null),
            StoreUser = reader.Read<string?>(User, Words.Text!, null),
            StorePasswordFile = reader.Read<string?>(PasswordFile, Words.Text!, null),
            Serve = reader.Read<IPEndPoint?>(Serve, ApiSettings.Endpoint, null),
            Location = reader.Read(Location, Place, ""),
            ProbeMilliseconds = reader.Read(ProbeInterval, Words.Number(50, 60_000), ClusterOptions.DefaultProbeMilliseconds),
            ProbeMultiplier = reader.Read(ProbeMultiplier, Words.Number(2, 100), ClusterOptions.DefaultProbeMultiplier),
            ReclaimSeconds = reader.Read(ReclaimAfter, Words.Number(60, 31_536_000), ClusterOptions.DefaultReclaimSeconds),
            VniMin = vniMin,
            VniMax = vniMax,
            Names = reader.ReadFlag(Dns, NoDns, fallback: true),
            Domain = reader.Read(Domain, DomainName, "sleeve"),
        };
    }

    // What a host calls itself may have characters that names have not.
    private static string DefaultName()
    {
        var name = string.Concat(Environment.MachineName.Select(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-'));
        return name.Length <= Names.MaxLength && Names.IsName(name) ? name : "host";
    }

    private static bool HostName(string text, out string value)
    {
        value = text;
        return Names.IsName(text);
    }

    // Not by way of the reader's own error, which would repeat a password that stands in it.
    private static string? ReadStore(SettingReader reader)
    {
        if (reader.Read(Store, Words.Text, Embedded) is not (not Embedded and var uri)) return null;
        if (StoreUri.Parse(uri, out var fault) is null) reader.Refuse($"{reader.NameOf(Store)}: {fault}");
        return uri;
    }

    private static bool Place(string text, out string value)
    {
        value = text;
        var parts = text.Split('/');
        return parts.Length <= 8 && parts.All(Names.IsName);
    }

    private static bool DomainName(string text, out string value) => NameOptions.IsDomain(value = text);

    private static bool Range(string text, out (int Min, int Max) value)
    {
        value = default;
        if (text.Split('-') is not [var min, var max] || !Words.Number(1, 16777215)(min, out var low) || !Words.Number(1, 16777215)(max, out var high) || low > high) return false;
        value = (low, high);
        return true;
    }
}
