using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve fdb audit</c>: whether the tables of networks' segments are what hosts publish.</summary>
internal static class FdbAudit
{
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var audit = new Command("audit", "Compare the tables of a network's segment, or of all, with what hosts publish.");
        Device.AddTo(audit, isRead: true);
        audit.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var isOne = reader.IsGiven(Device.Device);
            var path = isOne ? Device.Require(reader).Path : reader.Read<string?>(Device.Socket, Words.Place!, null) ?? SocketFile.Of(SocketFile.DaemonName);
            var device = isOne ? Device.Require(reader).Device : null;
            return () => RunAsync(path, device, result.GetValue(Device.Json));
        }));
        return audit;
    }

    private static async Task RunAsync(string path, string? device, bool json)
    {
        using var client = new ApiClient(path);
        string[] devices = device is not null ? [device]
            : [.. (await client.GetAsync("segments", ApiJson.Default.IReadOnlyListSegmentJson)).Where(static segment => segment is { Origin: "network", State: "running" }).Select(static segment => segment.Ifname)];
        var audits = new List<TableAuditJson>();
        foreach (var each in devices) audits.Add(await client.GetAsync($"segments/{ApiClient.Escape(each)}/fdb/audit", ApiJson.Default.TableAuditJson));
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(audits, ApiJson.Default.IReadOnlyListTableAuditJson));
        else Print(audits);
        if (audits.Sum(static audit => audit.Differences.Count) is > 0 and var count)
            throw new HostException($"{count} differences; what is missing or surplus is mended within a minute, entries made by hand stay (sleeve fdb del)");
    }

    private static void Print(List<TableAuditJson> audits)
    {
        if (audits.Count == 0) Console.Out.WriteLine("no network is used on this host");
        foreach (var audit in audits)
        {
            if (audit.Differences.Count == 0) Console.Out.WriteLine($"{audit.Ifname} (network {audit.Network}): as published");
            foreach (var each in audit.Differences)
            {
                var what = each.What switch
                {
                    "missing" => $"missing, is {each.Wanted} says {each.By}",
                    "surplus" => $"surplus, leads to {each.Found} ({each.By})",
                    _ => $"different, leads to {each.Found}, is {each.Wanted} says {each.By}",
                };
                Console.Out.WriteLine($"{audit.Ifname} (network {audit.Network}): {each.Table} {each.Key}: {what}");
            }

            foreach (var conflict in audit.Conflicts) Console.Out.WriteLine($"{audit.Ifname} (network {audit.Network}): conflict: {conflict}");
        }
    }
}
