namespace Sleeve.Control.Store;

/// <summary>An endpoint that a command attached, or was about to.</summary>
/// <param name="Network">Name of its network.</param>
/// <param name="Id">Its id there.</param>
/// <param name="Json">What is to be known of it after a crash.</param>
internal sealed record StoredEndpoint(string Network, string Id, string Json);

/// <content>The journal of endpoints. Its table is made with the first of them: who has none has the schema of before.</content>
internal sealed partial class StateStore
{
    private const string EndpointTable = "CREATE TABLE IF NOT EXISTS endpoint(network TEXT, id TEXT, json TEXT NOT NULL, PRIMARY KEY(network, id)) WITHOUT ROWID; ";

    /// <summary>The endpoints that were noted.</summary>
    public IReadOnlyList<StoredEndpoint> Endpoints => Read("SELECT 1 FROM sqlite_master WHERE type='table' AND name='endpoint'", static _ => true).Count == 0 ? [] : Read(
        "SELECT network, id, json FROM endpoint ORDER BY network, id", static row => new StoredEndpoint(row.GetString(0), row.GetString(1), row.GetString(2)));

    /// <summary>Notes an endpoint, in place of what was noted of it before.</summary>
    public void SaveEndpoint(StoredEndpoint endpoint) => Write(
        $"{EndpointTable}INSERT OR REPLACE INTO endpoint VALUES($network, $id, $json)", ("$network", endpoint.Network), ("$id", endpoint.Id), ("$json", endpoint.Json));

    /// <summary>Forgets an endpoint.</summary>
    public void RemoveEndpoint(string network, string id) => Write($"{EndpointTable}DELETE FROM endpoint WHERE network=$network AND id=$id", ("$network", network), ("$id", id));
}
