namespace Sleeve.Control.Networks;

/// <summary>One at a time of each name; of different names side by side.</summary>
internal sealed class KeyedTurns
{
    private readonly Lock _access = new();
    private readonly Dictionary<string, (SemaphoreSlim Gate, int Waiting)> _gates = [];

    /// <summary>Waits for the turn of a name.</summary>
    /// <returns>Ends the turn when it is disposed.</returns>
    public async Task<IDisposable> EnterAsync(string name, CancellationToken cancellation)
    {
        SemaphoreSlim gate;
        lock (_access)
        {
            var (known, waiting) = _gates.GetValueOrDefault(name);
            gate = known ?? new SemaphoreSlim(1);
            _gates[name] = (gate, waiting + 1);
        }

        try
        {
            await gate.WaitAsync(cancellation);
            return new Turn(this, name);
        }
        catch
        {
            Leave(name);
            throw;
        }
    }

    private void Leave(string name)
    {
        lock (_access)
        {
            var (gate, waiting) = _gates[name];
            if (waiting > 1)
            {
                _gates[name] = (gate, waiting - 1);
                return;
            }

            _gates.Remove(name);
            gate.Dispose();
        }
    }

    private sealed class Turn(KeyedTurns turns, string name) : IDisposable
    {
        private bool _isOver;

        public void Dispose()
        {
            if (_isOver) return;
            _isOver = true;
            lock (turns._access) turns._gates[name].Gate.Release();
            turns.Leave(name);
        }
    }
}
