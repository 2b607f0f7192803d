namespace Sleeve.Control.Doctor.Checks;

/// <summary>FDB entries that name an underlay interface which is gone.</summary>
internal sealed class ViaCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "via";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var named = vtep.Fdb.Where(static entry => entry.ViaIf is not null).ToArray();
            var gone = named.Where(entry => patient.Host.Links.All(link => link.Name != entry.ViaIf)).ToArray();
            foreach (var entry in gone.Take(16))
            {
                yield return Finding.Error($"{entry.Ifname} {entry.Mac}", $"the entry says via {entry.ViaIf}, an interface that is gone: its frames are dropped",
                    $"sleeve fdb del {entry.Mac} dev {entry.Ifname} dst {entry.Dst} via {entry.ViaIf}, then add it again with an interface that there is");
            }

            if (gone.Length > 16) yield return Finding.Error(vtep.Name, $"and {gone.Length - 16} more such entries", "sleeve fdb show");
            if (named.Length > 0 && gone.Length == 0) yield return Finding.Ok(vtep.Name, $"{named.Length} entries name an interface, and it is there");
            if (vtep.Details?.Dev is { } dev && patient.Host.Links.All(link => link.Name != dev))
                yield return Finding.Error(vtep.Name, $"it sends by --dev {dev}, which is gone: a new one of that name is another interface", "start it again");
        }
    }
}
