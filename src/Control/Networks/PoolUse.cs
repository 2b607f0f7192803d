using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Counts who has what of the pools of a network.</summary>
internal static class PoolUse
{
    /// <summary>One for each subnet.</summary>
    /// <param name="network">A network that there is.</param>
    /// <param name="isDetailed">With each block, and each address that is reserved.</param>
    public static IEnumerable<PoolJson> Of(NetworkView network, bool isDetailed)
    {
        var record = network.Record!.Value;
        foreach (var subnet in record.Subnets)
        {
            var length = AddressPool.BlockLength(record, subnet);
            var blocks = new Dictionary<AddressPrefix, Tally>();
            foreach (var (text, block) in network.Blocks)
                if (AddressPrefix.TryParse(text, out var prefix) && subnet.Contains(prefix)) blocks[prefix] = new Tally(block.Host);
            var leased = blocks.Count;
            var (used, reserved) = (0L, 0L);
            var kept = new List<ReservedAddressJson>();
            foreach (var (text, claim) in network.Addresses)
            {
                if (!InternetAddress.TryParse(text, out var address) || !subnet.Contains(address)) continue;
                var prefix = AddressPool.BlockOf(address, length);
                var tally = blocks.GetValueOrDefault(prefix, new Tally(null));
                var isUsed = claim.Value.Why == AddressRecord.OfEndpoint;
                (used, reserved) = isUsed ? (used + 1, reserved) : (used, reserved + 1);
                blocks[prefix] = isUsed
                    ? tally with { Used = tally.Used + 1, Foreign = tally.Foreign + (tally.Host is not null && tally.Host != claim.Host ? 1 : 0) }
                    : tally with { Reserved = tally.Reserved + 1 };
                if (!isUsed && isDetailed) kept.Add(new ReservedAddressJson(text, claim.Value.Why) { Note = claim.Value.Note.Length == 0 ? null : claim.Value.Note });
            }

            yield return new PoolJson(record.Name, subnet.ToString(), Whole(AddressPool.UsableIn(subnet, subnet)), used, reserved, length, Whole(UInt128.One << (length - subnet.Length)), leased)
            {
                BlockList = !isDetailed ? null : [.. blocks.OrderBy(static each => each.Key.First()).Select(each => new BlockUseJson(each.Key.ToString(), Whole(AddressPool.UsableIn(subnet, each.Key)), each.Value.Used, each.Value.Reserved)
                {
                    Host = each.Value.Host,
                    Foreign = each.Value.Foreign == 0 ? null : each.Value.Foreign,
                })],
                ReservedList = !isDetailed ? null : [.. kept.OrderBy(static each => InternetAddress.TryParse(each.Address, out var address) ? address.ToNumber() : 0)],
            };
        }
    }

    private static long Whole(UInt128 count) => count > long.MaxValue ? long.MaxValue : (long)count;

    private readonly record struct Tally(string? Host)
    {
        public int Used { get; init; }

        public int Reserved { get; init; }

        public int Foreign { get; init; }
    }
}
