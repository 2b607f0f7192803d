using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>A real etcd.</summary>
public sealed class EtcdConformance : StoreConformance, IClassFixture<OneEtcd>
{
    private readonly OneEtcd _etcd;

    public EtcdConformance(OneEtcd etcd) => _etcd = etcd;

    private protected override Task<IStore> OpenAsync() => Task.FromResult<IStore>(_etcd.Store());

    private protected override Task CompactAsync(long revision) => _etcd.Etcd!.CompactAsync(revision);

    private protected override Task CloseAsync() => Task.CompletedTask;
}

/// <summary>One member that the tests of a class share; each has a root of its own.</summary>
public sealed class OneEtcd : IAsyncLifetime
{
    private int _roots;

    internal RealEtcd? Etcd { get; private set; }

    public async Task InitializeAsync()
    {
        if (RealEtcd.IsHere) Etcd = await RealEtcd.StartAsync(1);
    }

    internal EtcdStore Store(Func<EtcdStoreOptions, EtcdStoreOptions>? change = null)
    {
        RealEtcd.Require();
        var options = new EtcdStoreOptions(Etcd!.Endpoints) { Root = $"/test/{Interlocked.Increment(ref _roots)}/" };
        return new EtcdStore(change?.Invoke(options) ?? options);
    }

    public async Task DisposeAsync()
    {
        if (Etcd is not null) await Etcd.DisposeAsync();
    }
}
