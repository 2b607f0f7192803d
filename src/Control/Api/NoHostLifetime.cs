using Microsoft.Extensions.Hosting;

namespace Sleeve.Control.Api;

/// <summary>Leaves signals to the verb that runs a web server: the host would take SIGINT and SIGTERM for itself.</summary>
internal sealed class NoHostLifetime : IHostLifetime
{
    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
