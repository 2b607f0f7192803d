using System.Net.Sockets;
using Xunit.Abstractions;

[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Sleeve.EndToEnd.Rig;

/// <summary>A test class whose every test has a lab of its own.</summary>
public abstract class LabTest(ITestOutputHelper output) : IDisposable
{
    private readonly List<Lab> _labs = [];

    /// <summary>Where a test may say more.</summary>
    protected ITestOutputHelper Output => output;

    /// <summary>The lab that was made last.</summary>
    protected Lab NewestLab => _labs[^1];

    /// <summary>Makes the lab of this test; skips it where namespaces cannot be made.</summary>
    protected Lab NewLab(AddressFamily family = AddressFamily.InterNetwork)
    {
        var lab = new Lab(output, family);
        _labs.Add(lab);
        return lab;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the labs.</summary>
    protected virtual void Dispose(bool disposing)
    {
        foreach (var lab in _labs) lab.Dispose();
    }
}
