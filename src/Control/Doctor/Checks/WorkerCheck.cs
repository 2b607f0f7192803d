namespace Sleeve.Control.Doctor.Checks;

/// <summary>The threads that move frames: that they move, and that a flow keeps its worker.</summary>
internal sealed class WorkerCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "workers";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var stuck = vtep.Details?.Workers.Where(static worker => !worker.Moves).ToArray() ?? [];
            foreach (var worker in stuck)
            {
                yield return Finding.Error(vtep.Name, $"worker {worker.Worker} has not moved for half a second although it was woken: it is stopped, starved, or stuck",
                    $"top -H -p {vtep.Now!.Pid}; cat /proc/{vtep.Now.Pid}/task/*/stack; if it stays so, start sleeve again");
            }

            var count = vtep.Now!.Workers.Count;
            if (vtep.Now.Steering == "kernel")
                yield return Finding.Warning(vtep.Name, "the kernel spreads flows over the workers by a rule of its own, and may reorder one that it moves", "give it CAP_BPF (or CAP_SYS_ADMIN), or --workers 1");
            else if (stuck.Length == 0) yield return Finding.Ok(vtep.Name, count == 1 ? "1 worker, which moves" : $"{count} workers, which all move");
        }
    }
}
