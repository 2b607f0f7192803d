namespace Sleeve.Control.Store;

/// <summary>What the hosts that use a <see cref="StoreGateway"/> have taken of what each may. Any thread.</summary>
internal sealed class StoreGuests(StoreGatewayOptions options, TimeProvider time)
{
    private const int MaxGuests = 4096;

    private readonly Lock _access = new();
    private readonly Dictionary<string, Guest> _guests = new(StringComparer.Ordinal);

    /// <summary>Takes one request, and a place for it; null if there is none.</summary>
    public IDisposable? TryBegin(string host) => TryTake(host, isWatch: false);

    /// <summary>Takes a place for a watch; null if there is none.</summary>
    public IDisposable? TryWatch(string host) => TryTake(host, isWatch: true);

    private Place? TryTake(string host, bool isWatch)
    {
        lock (_access)
        {
            if (!_guests.TryGetValue(host, out var guest))
            {
                if (_guests.Count >= MaxGuests) Tidy();
                if (_guests.Count >= MaxGuests) return null;
                _guests[host] = guest = new Guest { Left = options.Burst, Since = time.GetTimestamp() };
            }

            Refill(guest);
            if (isWatch)
            {
                if (guest.Watches >= options.MaxWatches) return null;
                guest.Watches++;
            }
            else
            {
                if (guest.Left < 1 || guest.Running >= options.MaxRunning) return null;
                guest.Left--;
                guest.Running++;
            }

            return new Place(this, guest, isWatch);
        }
    }

    private void Refill(Guest guest)
    {
        var now = time.GetTimestamp();
        guest.Left = Math.Min(options.Burst, guest.Left + (time.GetElapsedTime(guest.Since, now).TotalSeconds * options.RequestsPerSecond));
        guest.Since = now;
    }

    // Those who have nothing and owe nothing need not be remembered.
    private void Tidy()
    {
        foreach (var (host, guest) in _guests.ToArray())
        {
            Refill(guest);
            if (guest is { Watches: 0, Running: 0 } && guest.Left >= options.Burst) _guests.Remove(host);
        }
    }

    private sealed class Guest
    {
        public double Left { get; set; }

        public long Since { get; set; }

        public int Running { get; set; }

        public int Watches { get; set; }
    }

    private sealed class Place(StoreGuests guests, Guest guest, bool isWatch) : IDisposable
    {
        private bool _isLeft;

        public void Dispose()
        {
            lock (guests._access)
            {
                if (_isLeft) return;
                _isLeft = true;
                if (isWatch) guest.Watches--;
                else guest.Running--;
            }
        }
    }
}
