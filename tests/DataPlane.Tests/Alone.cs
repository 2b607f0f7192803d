namespace Sleeve.DataPlane.Tests;

/// <summary>Tests that count what the process does and so must not run beside others.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
