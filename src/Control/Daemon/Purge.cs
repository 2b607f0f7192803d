using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Trust;
using Sleeve.Control.Up;

namespace Sleeve.Control.Daemon;

/// <summary>Takes away what a stopped daemon left for its next run.</summary>
internal static class Purge
{
    /// <summary>Removes the TAPs, in every network namespace that the state tells of, then the state.</summary>
    /// <param name="folder">Where the state is; need not be there.</param>
    /// <param name="keepsState">Whether to leave the state.</param>
    /// <param name="say">Told what goes.</param>
    /// <exception cref="HostException">A daemon uses the state, or something cannot be removed.</exception>
    public static void Run(string folder, bool keepsState, Action<string> say)
    {
        var places = new HashSet<string> { "" };
        if (Directory.Exists(folder))
        {
            using var store = StateStore.Open(folder, say);
            foreach (var name in NamespacesOf(store)) places.Add(name);
        }

        foreach (var name in places) RemoveTaps(name, say);
        if (SocketLinks.RemoveLeftOvers()) say($"sockets in {SocketFile.Folder} removed");
        if (keepsState || !Directory.Exists(folder)) return;
        StateStore.Remove(folder);
        EmbeddedStore.Remove(folder);
        ReplicaCache.Remove(folder);
        TrustFolder.RemoveAll(folder);
        say($"state in {folder} removed");
    }

    private static IEnumerable<string> NamespacesOf(StateStore store)
    {
        var maps = new List<ConfigMap>();
        foreach (var settings in store.Segments.Select(static segment => segment.Settings).Append(store.Configuration ?? "{}"))
        {
            try
            {
                maps.Add(Configuration.Parse(settings));
            }
            catch (ConfigSyntaxException)
            {
                // Damaged: it tells of no namespace.
            }
        }

        var ofFile = maps.SelectMany(static map => map.Find(ConfigFile.SegmentsKey)?.Value is ConfigList list ? list.Items.OfType<ConfigMap>() : []);
        return maps.Concat(ofFile).SelectMany(static map => SegmentSettings.NamespaceKeys.Select(key => (map.Find(key)?.Value as ConfigScalar)?.Text)).OfType<string>();
    }

    private static void RemoveTaps(string name, Action<string> say)
    {
        try
        {
            using var place = TapPlace.Open(name == "" ? null : name);
            // Those over TAPs go with them; those over the underlay (direct) would lead on.
            foreach (var route in place.Host.ListOwnRoutes())
                if (place.Host.RemoveOwnRoute(route)) say($"the route to {route.Destination}{(name == "" ? "" : $" in {name}")} removed");
            // What wires containers to networks too: bridges, and the ends of wires that are here, with which the other ends go.
            foreach (var link in place.Host.ListLinks().Where(static link => MachineTap.IsOne(link) || (link is { Alias: OverlayDevice.OwnAlias } && (link is { Tun.IsTap: true } || link.Kind is "bridge" or "veth"))))
                if (place.Host.DeleteLink(link.Index)) say($"{link.Name}{(name == "" ? "" : $" in {name}")} removed");
        }
        catch (IOException failure) when (name != "")
        {
            // With its namespace the TAP went too.
            say($"{failure.Message}; nothing is removed there");
        }
    }
}
