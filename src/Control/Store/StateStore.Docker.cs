namespace Sleeve.Control.Store;

/// <content>The networks of this host's Docker, which tells its driver of each but once. Their table is made with the first of them.</content>
internal sealed partial class StateStore
{
    private const string DockerTable = "CREATE TABLE IF NOT EXISTS docker(id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID; ";

    /// <summary>The networks that were noted: Docker's id and what is to be known of each.</summary>
    public IReadOnlyList<(string Id, string Json)> DockerNetworks => Read("SELECT 1 FROM sqlite_master WHERE type='table' AND name='docker'", static _ => true).Count == 0 ? [] : Read(
        "SELECT id, json FROM docker ORDER BY id", static row => (row.GetString(0), row.GetString(1)));

    /// <summary>Notes a network, in place of what was noted of it before.</summary>
    public void SaveDockerNetwork(string id, string json) => Write($"{DockerTable}INSERT OR REPLACE INTO docker VALUES($id, $json)", ("$id", id), ("$json", json));

    /// <summary>Forgets a network.</summary>
    public void RemoveDockerNetwork(string id) => Write($"{DockerTable}DELETE FROM docker WHERE id=$id", ("$id", id));
}
