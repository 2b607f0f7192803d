namespace Sleeve.Control.Cni;

/// <summary>
/// The commands of a plugin. The work is the daemon's: an attachment is an endpoint of its, whose id is made of the configuration's name, the container and the interface. So a plugin has no state of its own,
/// and every command may be repeated.
/// </summary>
/// <param name="call">What the environment says.</param>
/// <param name="config">What stdin says.</param>
/// <param name="stdin">The same as it came, for IPAM plugins.</param>
internal sealed partial class CniPlugin(CniCall call, CniConfig config, byte[] stdin)
{
    private readonly CniDaemon _daemon = CniDaemon.Of(config);

    // CNI_IFNAME in the id whatever the interface is called: it is what a DEL knows.
    private string Id => CniDaemon.Ids.Of(config.Name, new CniAttachment(call.ContainerId, call.Ifname));

    private string Ifname => config.Ifname.Length > 0 ? config.Ifname : call.Ifname;

    private CniIpam? Ipam => config.Ipam.Length == 0 ? null : new CniIpam(config.Ipam, call.Folders, stdin);

    /// <summary>Does what is asked for.</summary>
    /// <returns>What is answered on stdout; empty for nothing.</returns>
    /// <exception cref="CniFault">It cannot be done.</exception>
    public byte[] Run()
    {
        try
        {
            switch (call.Command)
            {
                case "ADD":
                    return Add().After(config.PrevResult).Write(config.Version);
                case "CHECK":
                    Check();
                    break;
                case "DEL":
                    Delete();
                    break;
                case "GC":
                    Collect();
                    break;
                case "STATUS":
                    Status();
                    break;
            }

            return [];
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new CniFault(CniCode.Io, failure.Message);
        }
    }

    private void Check()
    {
        if (config.PrevResult is not { } before) throw new CniFault(CniCode.BadConfig, "prevResult: missing; it must be what ADD answered");
        using var sandbox = CniSandbox.Open(call.Netns);
        var answer = _daemon.Send("GET", CniDaemon.Endpoint(config.Network, Id));
        if (answer.Status == 404) throw new CniFault(CniCode.UnknownContainer, answer.Reason);
        if (!answer.IsDone) throw CniDaemon.Refused(answer);
        if (answer.Text("state") is { } state && state != "attached") throw Differs($"endpoint {Id} is {state}{(answer.Text("reason") is { } reason ? $": {reason}" : "")}");
        if (sandbox.Compare(Ifname, before, answer.Text("link") ?? "") is { } difference) throw Differs(difference);
        if (sandbox.Find(Ifname) is { } link && answer.Text("mac") is { } mac && link.Mac.ToString() != mac)
            throw Differs($"{Ifname} in {call.Netns} has the MAC {link.Mac}, and other hosts know {mac}: give the plugin that changes it (tuning) no MAC, and this one the capability mac");
        var published = answer.Texts("addresses").Select(static text => text.Split('/')[0]).ToArray();
        foreach (var address in CniSandbox.Own(before, Ifname).Select(static each => each.Prefix.Address.ToString()))
            if (!published.Contains(address)) throw Differs($"endpoint {Id} does not have the address {address}; it has {(published.Length == 0 ? "none" : string.Join(", ", published))}");
        Ipam?.Tell("CHECK");
    }

    private static CniFault Differs(string difference) => new(CniCode.Differs, difference);

    // Addresses are free for others only when the wire is gone; a lease of DHCP is given back by the wire.
    private void Delete()
    {
        CniFault? fault = null;
        if (config.IsDhcp) TellIpam(ref fault);
        try
        {
            // A network that is called so there cannot be: nothing was attached.
            if (Networks.Names.IsName(config.Network)) _daemon.Detach(config.Network, Id);
        }
        catch (CniFault away) when (away.Code == CniCode.TryAgain && CniSandbox.IsGone(call.Netns))
        {
            // The wire went with the namespace, and the daemon withdraws what has none as soon as it runs.
        }

        if (!config.IsDhcp) TellIpam(ref fault);
        if (fault is not null) throw fault;
    }

    private void TellIpam(ref CniFault? fault)
    {
        try
        {
            Ipam?.Tell("DEL");
        }
        catch (CniFault failed)
        {
            fault = failed;
        }
    }

    // Without a list nothing is said about what there shall be. What has no namespace any more the daemon has withdrawn by itself.
    private void Collect()
    {
        if (config.Attachments is { } attachments)
        {
            var valid = attachments.Select(each => CniDaemon.Ids.Of(config.Name, each)).ToHashSet(StringComparer.Ordinal);
            var prefix = CniDaemon.Ids.PrefixOf(config.Name);
            var answer = _daemon.Send("GET", $"endpoints?network={Uri.EscapeDataString(config.Network)}");
            if (!answer.IsDone) throw CniDaemon.Refused(answer);
            foreach (var each in answer.Body.EnumerateArray())
                if (each.GetProperty("id").GetString() is { } id && id.StartsWith(prefix, StringComparison.Ordinal) && !valid.Contains(id)) _daemon.Detach(config.Network, id);
        }

        Ipam?.TellIfKnown("GC");
    }

    private void Status()
    {
        DaemonAnswer answer;
        try
        {
            answer = _daemon.Send("GET", $"networks/{Uri.EscapeDataString(config.Network)}");
        }
        catch (CniFault away) when (away.Code == CniCode.TryAgain)
        {
            // The daemon is the data plane too.
            throw new CniFault(CniCode.LimitedConnectivity, away.Message, away.Details);
        }

        if (answer.Status == 404 && !config.MakesNetwork) throw new CniFault(CniCode.NotAvailable, answer.Reason, $"sleeve net create {config.Network} makes it; with subnet or vni in the configuration ADD does");
        if (answer.Status != 404 && !answer.IsDone) throw new CniFault(CniCode.NotAvailable, answer.Reason);
        if (answer.StoreFault.Length > 0) throw new CniFault(CniCode.NotAvailable, $"the store is away ({answer.StoreFault}): what is attached goes on, nothing new can be");
        Ipam?.TellIfKnown("STATUS");
    }
}
