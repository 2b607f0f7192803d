using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>The embedded store, in the process that has it.</summary>
public sealed class EmbeddedConformance : StoreConformance
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-cluster-").FullName;
    private EmbeddedStore _store = null!;

    private protected override Task<IStore> OpenAsync() => Task.FromResult<IStore>(_store = EmbeddedStore.Open(_folder, TimeProvider.System));

    private protected override Task CompactAsync(long revision) => _store.CompactAsync(revision, Soon);

    private protected override Task CloseAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return Task.CompletedTask;
    }
}
