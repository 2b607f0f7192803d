using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>The obvious store is one too, so what others are compared with is right.</summary>
public sealed class MemoryConformance : StoreConformance
{
    private MemoryStore _store = null!;

    private protected override Task<IStore> OpenAsync() => Task.FromResult<IStore>(_store = new MemoryStore());

    private protected override Task CompactAsync(long revision)
    {
        _store.Compact(revision);
        return Task.CompletedTask;
    }

    private protected override Task CloseAsync() => Task.CompletedTask;
}
