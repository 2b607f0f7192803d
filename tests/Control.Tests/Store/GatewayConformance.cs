using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>The embedded store of another host, through its gateway.</summary>
public sealed class GatewayConformance : StoreConformance
{
    private ServedStore _served = null!;

    private protected override async Task<IStore> OpenAsync() => (_served = await ServedStore.StartAsync(ServedStore.Lawless)).ClientOf("a");

    private protected override Task CompactAsync(long revision) => _served.Store.CompactAsync(revision, Soon);

    private protected override Task CloseAsync() => _served is null ? Task.CompletedTask : _served.DisposeAsync().AsTask();
}
