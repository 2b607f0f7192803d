namespace Sleeve.Control.Doctor.Checks;

/// <summary>Whether the VTEPs answer on their sockets.</summary>
internal sealed class ProcessCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "vteps";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        if (patient.Vteps.Count == 0) yield return Finding.Ok("", "no VTEP is running; the rest is about whether one could");
        foreach (var vtep in patient.Vteps)
        {
            if (vtep.Unknown is { } unknown) yield return unknown;
            else yield return Finding.Ok(vtep.Name, $"pid {vtep.Now!.Pid}, {vtep.Now.Segments.Count} {(vtep.Now.Segments.Count == 1 ? "segment" : "segments")}");
        }
    }
}
