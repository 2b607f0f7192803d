using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>An address that may be claimed.</summary>
/// <param name="Address">The address.</param>
/// <param name="Lease">The block that has to be leased with it; null if it is leased already, or another host's.</param>
internal readonly record struct AddressChoice(InternetAddress Address, AddressPrefix? Lease);

/// <summary>
/// Chooses addresses of one network for one host: from its own blocks, then from a block that nobody has, then singly from other hosts' blocks. What it says is a proposal: only the store says whether an address is
/// free, and what it said is not proposed again. Within a block the next address is taken, round and round, so that one that was released is the last to be given out again. One call at a time.
/// </summary>
/// <param name="host">The host.</param>
internal sealed class AddressChooser(string host)
{
    // So many released addresses are remembered; a container a second takes a quarter of an hour to get through them.
    private const int MaxReleased = 1024;

    // Larger blocks begin at their beginning after a restart.
    private const int MaxBitsToRemember = 8;

    private readonly HashSet<InternetAddress> _pending = [];
    private readonly Dictionary<AddressPrefix, UInt128> _next = [];
    private readonly LinkedList<InternetAddress> _released = [];
    private readonly Dictionary<InternetAddress, LinkedListNode<InternetAddress>> _releasedAt = [];

    /// <summary>Keeps an address from being proposed while it is being claimed.</summary>
    public void Hold(InternetAddress address) => _pending.Add(address);

    /// <summary>Ends <see cref="Hold"/>.</summary>
    public void LetGo(InternetAddress address) => _pending.Remove(address);

    /// <summary>Notes that an address was released: it is the last to be proposed.</summary>
    public void Release(InternetAddress address)
    {
        if (_releasedAt.Remove(address, out var before)) _released.Remove(before);
        _releasedAt[address] = _released.AddLast(address);
        if (_released.Count <= MaxReleased) return;
        _releasedAt.Remove(_released.First!.Value);
        _released.RemoveFirst();
    }

    /// <summary>Proposes an address of a subnet.</summary>
    /// <param name="network">The network.</param>
    /// <param name="subnet">One of its subnets.</param>
    /// <param name="view">Who has what, as far as this host knows.</param>
    /// <param name="known">What the store said since: keys with what stands there, or null.</param>
    /// <param name="location">Where the host stands.</param>
    /// <param name="random">For hosts that want the same: a second attempt looks elsewhere than the others'. Null for the first.</param>
    /// <returns>Null if there is none.</returns>
    public AddressChoice? Choose(
        NetworkRecord network, AddressPrefix subnet, NetworkView view, IReadOnlyDictionary<string, StoreEntry?> known, string location, Random? random)
    {
        var pool = new Pool(network, subnet, view, known);
        foreach (var block in pool.BlocksOf(host))
            if (Next(pool, block) is { } own) return Take(block, own, null);
        if (network.Mode == NetworkMode.Routed && pool.BlocksOf(host).Count > 0) return null;
        if (Lease(pool, location, random) is { } leased) return leased;
        // Whoever has the block goes up from its beginning.
        return network.Mode == NetworkMode.Routed || Steal(pool, random ?? new Random(host.Length)) is not { } address ? null : new AddressChoice(address, null);
    }

    /// <summary>The blocks of a subnet that a host has.</summary>
    public static IReadOnlyList<AddressPrefix> BlocksOf(string host, NetworkRecord network, AddressPrefix subnet, NetworkView view, IReadOnlyDictionary<string, StoreEntry?> known) =>
        new Pool(network, subnet, view, known).BlocksOf(host);

    private AddressChoice? Lease(Pool pool, string location, Random? random)
    {
        foreach (var block in pool.FreeBlocks(location, random))
            if (Next(pool, block) is { } first) return Take(block, first, block);
        return null;
    }

    private AddressChoice Take(AddressPrefix block, InternetAddress address, AddressPrefix? lease)
    {
        _next[block] = address.ToNumber() - block.First() + 1;
        return new AddressChoice(address, lease);
    }

    private InternetAddress? Next(Pool pool, AddressPrefix block)
    {
        var count = (ulong)UInt128.Min(block.Count(), 1UL << NetworkRules.MaxBlockBits);
        if (!_next.TryGetValue(block, out var start)) start = LastGivenOut(pool, block) + 1;
        for (ulong i = 0; i < count; i++)
        {
            var address = PrefixArithmetic.FromNumber(block.First() + ((start + i) % count), block.Address.IsIPv4);
            if (!_releasedAt.ContainsKey(address) && IsFree(pool, block, address)) return address;
        }

        foreach (var address in _released)
            if (block.Contains(address) && IsFree(pool, block, address)) return address;
        return null;
    }

    // The one that was claimed last, so that a restart does not begin with what was just released; before the first if none is.
    private static UInt128 LastGivenOut(Pool pool, AddressPrefix block)
    {
        var (last, version) = (UInt128.MaxValue, 0L);
        if (block.HostBits() > MaxBitsToRemember) return last;
        for (UInt128 i = 0; i < block.Count(); i++)
        {
            var text = PrefixArithmetic.FromNumber(block.First() + i, block.Address.IsIPv4).ToString();
            if (pool.View.Addresses.TryGetValue(text, out var claim) && claim.Version > version && claim.Value.Why == AddressRecord.OfEndpoint) (last, version) = (i, claim.Version);
        }

        return last;
    }

    private bool IsFree(Pool pool, AddressPrefix block, InternetAddress address) => !_pending.Contains(address) && pool.IsUsable(block, address) && pool.IsFree(address);

    // From the block with most room, from its end: its host goes up from the beginning.
    private InternetAddress? Steal(Pool pool, Random random)
    {
        foreach (var block in pool.BlocksByRoom())
        {
            var count = (ulong)UInt128.Min(block.Count(), 1UL << NetworkRules.MaxBlockBits);
            // Hosts that look at the same time would all come upon the same one.
            var skip = (ulong)random.NextInt64((long)count);
            InternetAddress? released = null;
            for (ulong i = 0; i < count; i++)
            {
                var address = PrefixArithmetic.FromNumber(block.Last() - ((skip + i) % count), block.Address.IsIPv4);
                if (!IsFree(pool, block, address)) continue;
                if (!_releasedAt.ContainsKey(address)) return address;
                released ??= address;
            }

            if (released is not null) return released;
        }

        return null;
    }

    // A subnet as the store was last seen to have it.
    private sealed class Pool
    {
        private readonly NetworkRecord _network;
        private readonly AddressPrefix _subnet;
        private readonly IReadOnlyDictionary<string, StoreEntry?> _known;
        private readonly Dictionary<AddressPrefix, string> _blocks = [];
        private readonly AddressPrefix[] _foreign;
        private readonly int _blockLength;
        private readonly AddressPrefix[]? _ranges;

        public Pool(NetworkRecord network, AddressPrefix subnet, NetworkView view, IReadOnlyDictionary<string, StoreEntry?> known)
        {
            (_network, _subnet, View, _known, _blockLength) = (network, subnet, view, known, AddressPool.BlockLength(network, subnet));
            // A subnet that no range is of has none that are chosen.
            if (network.Ranges is { } ranges && ranges.Any(range => range.Address.IsIPv4 == subnet.Address.IsIPv4)) _ranges = [.. ranges.Where(range => subnet.Contains(range))];
            // Whoever claimed it in flannel's keys, or was entered by hand, has it, whatever the store of the cluster says.
            _foreign = [.. view.Foreign.Values.SelectMany(static host => host.Value.Subnets).Where(each => each.Overlaps(subnet))];
            foreach (var (text, block) in view.Blocks)
                if (AddressPrefix.TryParse(text, out var prefix) && subnet.Contains(prefix)) _blocks[prefix] = block.Host;
            foreach (var (key, entry) in known)
            {
                if (!key.StartsWith(ClusterKeys.Blocks, StringComparison.Ordinal) || !AddressPrefix.TryParse(key[(key.LastIndexOf('/') + 1)..].Replace('_', '/'), out var prefix) || !subnet.Contains(prefix)) continue;
                if (entry is null) _blocks.Remove(prefix);
                else _blocks[prefix] = RecordJson.TryRead<BlockRecord>(entry.Value, out var block, out _) ? block.Host : "";
            }
        }

        public NetworkView View { get; }

        public IReadOnlyList<AddressPrefix> BlocksOf(string host) => [.. _blocks.Where(each => each.Value == host && !IsForeign(each.Key)).Select(static each => each.Key).OrderBy(static block => block.First())];

        private bool IsForeign(AddressPrefix block) => _foreign.Any(each => each.Overlaps(block));

        public bool IsFree(InternetAddress address)
        {
            if (_known.TryGetValue(ClusterKeys.Address(_network.Name, address), out var entry)) return entry is null;
            return !View.Addresses.ContainsKey(address.ToString());
        }

        // A host's block of a routed network is a subnet of its own, with a gateway.
        public bool IsUsable(AddressPrefix block, InternetAddress address) =>
            AddressPool.IsUsable(_subnet, address) && (_ranges is null || _ranges.Any(range => range.Contains(address))) && (_network.Mode != NetworkMode.Routed || (AddressPool.IsUsable(block, address) && address != AddressPool.DefaultGateway(block)));

        // Those that nobody has, the part of the plan that the host looks in first at the beginning. Endless for IPv6, as good as.
        public IEnumerable<AddressPrefix> FreeBlocks(string location, Random? random)
        {
            IReadOnlyList<AddressPrefix> parts = _ranges is not null
                ? [.. _ranges.Select(range => range.Length > _blockLength ? AddressPool.BlockOf(range.Address, _blockLength) : range).Distinct()]
                : AddressPlan.TryParse(_network.Plan, out var plan) ? plan.Parts(_subnet, _blockLength, location) : [_subnet];
            foreach (var part in parts)
            {
                var count = (ulong)UInt128.Min(UInt128.One << (_blockLength - part.Length), long.MaxValue);
                var start = random is null ? 0 : (ulong)random.NextInt64((long)count);
                for (ulong i = 0; i < count; i++)
                {
                    var number = part.First() + ((UInt128)((start + i) % count) << (_subnet.Width() - _blockLength));
                    var block = new AddressPrefix(PrefixArithmetic.FromNumber(number, _subnet.Address.IsIPv4), _blockLength);
                    if (!_blocks.ContainsKey(block) && !IsForeign(block)) yield return block;
                }
            }
        }

        public IEnumerable<AddressPrefix> BlocksByRoom()
        {
            var used = new Dictionary<AddressPrefix, int>();
            foreach (var text in View.Addresses.Keys)
            {
                if (!InternetAddress.TryParse(text, out var address) || !_subnet.Contains(address)) continue;
                var block = AddressPool.BlockOf(address, _blockLength);
                used[block] = used.GetValueOrDefault(block) + 1;
            }

            return _blocks.Keys.Where(block => block.Length == _blockLength && (UInt128)used.GetValueOrDefault(block) < AddressPool.UsableIn(_subnet, block)).OrderBy(block => used.GetValueOrDefault(block)).ThenBy(static block => block.First());
        }
    }
}
