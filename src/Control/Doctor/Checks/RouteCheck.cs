namespace Sleeve.Control.Doctor.Checks;

/// <summary>The way to the VTEPs: an interface that is up, and an own address that is still there.</summary>
internal sealed class RouteCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "underlay";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            if (vtep.Local is { } local && patient.Host.Route(local, null, 0) is not { IsLocal: true })
            {
                yield return Finding.Error(vtep.Name, $"{local} is no longer an address of this host: nothing can be sent", $"ip address add {local}/… dev …, or start sleeve with another --local");
                continue;
            }

            var links = patient.UnderlayLinks(vtep);
            foreach (var link in links.Where(static link => !link.IsRunning))
                yield return Finding.Error(link.Name, "the underlay interface has no carrier", $"ip link show {link.Name}: plug the cable in, or set the other end up");
            if (links.Count > 0 && links.All(static link => link.IsRunning))
                yield return Finding.Ok(vtep.Name, $"leaves by {string.Join(", ", links.Select(static link => $"{link.Name} (MTU {link.Mtu})"))}");
        }
    }
}
