using System.Buffers.Binary;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Store;

/// <summary>
/// What a segment learned, packed: a station takes 6 bytes of MAC, 4 of idle seconds, and the number of its VTEP; an address that was heard 16 bytes of address, 6
/// of MAC, 1 of flags, 4 of idle seconds. Big-endian. A million stations are 14 MB.
/// </summary>
internal static class LearnedStations
{
    private const byte Version = 1;
    private const int StationSize = 6 + 4 + 4;
    private const int VtepSize = AddressSize + 2 + 4 + 4;
    private const int HeardSize = AddressSize + 6 + 1 + 4;
    private const int AddressSize = 16;
    private const byte LocalFlag = 1;
    private const byte RouterFlag = 2;

    /// <summary>Packs what a segment knows now.</summary>
    /// <returns>Null if it learned nothing.</returns>
    public static byte[]? Pack(Segment segment, long nowMilliseconds)
    {
        var stations = segment.Fdb.Snapshot(nowMilliseconds).Where(static entry => entry is { Kind: EntryKind.Dynamic, Mac.IsZero: false } && !entry.Destinations.Remotes.IsEmpty).ToArray();
        var heard = segment.Neighbours.Snooped?.Snapshot(nowMilliseconds).Where(static each => !each.IsDuplicate).ToArray() ?? [];
        if (stations.Length == 0 && heard.Length == 0) return null;
        var numbers = new Dictionary<Remote, int>();
        foreach (var station in stations) numbers.TryAdd(station.Destinations.Remotes[0], numbers.Count);

        var packed = new byte[1 + 12 + (numbers.Count * VtepSize) + (stations.Length * StationSize) + (heard.Length * HeardSize)];
        var at = packed.AsSpan();
        at[0] = Version;
        at = at[1..];
        foreach (var count in (ReadOnlySpan<int>)[numbers.Count, stations.Length, heard.Length]) Put(ref at, count);
        foreach (var remote in numbers.Keys)
        {
            Put(ref at, remote.Address.Address);
            BinaryPrimitives.WriteUInt16BigEndian(at, remote.Address.Port);
            at = at[2..];
            Put(ref at, (int)remote.Vni.Value);
            Put(ref at, remote.InterfaceIndex);
        }

        foreach (var station in stations)
        {
            Put(ref at, station.Mac);
            Put(ref at, (int)Math.Min(station.IdleMilliseconds / 1000, int.MaxValue));
            Put(ref at, numbers[station.Destinations.Remotes[0]]);
        }

        foreach (var each in heard)
        {
            Put(ref at, each.Address);
            Put(ref at, each.Mac);
            at[0] = (byte)((each.IsLocal ? LocalFlag : 0) | (each.IsRouter ? RouterFlag : 0));
            at = at[1..];
            Put(ref at, (int)Math.Min(each.IdleMilliseconds / 1000, int.MaxValue));
        }

        return packed;
    }

    /// <summary>Puts back what was packed, each as old as it is by now; what is too old, or not what was packed, is left out.</summary>
    /// <param name="segment">Where to.</param>
    /// <param name="packed">As <see cref="Pack"/> gave it; anything else does no harm.</param>
    /// <param name="age">Since it was packed; a clock that was put back makes it 0.</param>
    /// <param name="nowMilliseconds">The clock of the tables.</param>
    /// <returns>Stations that were put back.</returns>
    public static int Restore(Segment segment, ReadOnlySpan<byte> packed, TimeSpan age, long nowMilliseconds)
    {
        if (packed.Length < 13 || packed[0] != Version) return 0;
        var at = packed[1..];
        var (vteps, stations, heard) = (Take(ref at), Take(ref at), Take(ref at));
        if (vteps < 0 || stations < 0 || heard < 0 || at.Length != ((long)vteps * VtepSize) + ((long)stations * StationSize) + ((long)heard * HeardSize)) return 0;
        var since = Math.Max(0, (long)age.TotalMilliseconds);
        var limit = (segment.Options.AgeingSeconds == 0 ? SegmentOptions.DefaultAgeingSeconds : segment.Options.AgeingSeconds) * 1000L;
        var destinations = new (VtepAddress Address, Vni Vni, int InterfaceIndex)[vteps];
        foreach (ref var to in destinations.AsSpan())
        {
            var address = TakeAddress(ref at);
            var port = BinaryPrimitives.ReadUInt16BigEndian(at);
            at = at[2..];
            to = (new VtepAddress(address, port), new Vni((uint)Take(ref at) & Vni.MaxValue), Take(ref at));
        }

        var restored = 0;
        for (var i = 0; i < stations; i++)
        {
            var mac = TakeMac(ref at);
            var idle = (Math.Max(0, Take(ref at)) * 1000L) + since;
            var number = Take(ref at);
            if (idle >= limit || number < 0 || number >= vteps || !mac.IsValidSource || !segment.Options.Learning) continue;
            var (address, vni, via) = destinations[number];
            if (segment.Fdb.Add(mac, address, vni, EntryKind.Dynamic, nowMilliseconds - idle, via) == TableResult.Done) restored++;
        }

        for (var i = 0; i < heard; i++)
        {
            var address = TakeAddress(ref at);
            var mac = TakeMac(ref at);
            var flags = at[0];
            at = at[1..];
            var idle = (Math.Max(0, Take(ref at)) * 1000L) + since;
            if (idle < limit && mac.IsValidSource)
                segment.Neighbours.Snooped?.Note(new AddressClaim(address, mac, (flags & RouterFlag) != 0), (flags & LocalFlag) != 0, nowMilliseconds - idle);
        }

        return restored;
    }

    private static void Put(ref Span<byte> at, int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(at, value);
        at = at[4..];
    }

    private static void Put(ref Span<byte> at, MacAddress mac)
    {
        mac.Write(at);
        at = at[MacAddress.Size..];
    }

    private static void Put(ref Span<byte> at, InternetAddress address)
    {
        address.WriteMapped(at);
        at = at[AddressSize..];
    }

    private static int Take(ref ReadOnlySpan<byte> at)
    {
        var value = BinaryPrimitives.ReadInt32BigEndian(at);
        at = at[4..];
        return value;
    }

    private static MacAddress TakeMac(ref ReadOnlySpan<byte> at)
    {
        var mac = MacAddress.Read(at);
        at = at[MacAddress.Size..];
        return mac;
    }

    private static InternetAddress TakeAddress(ref ReadOnlySpan<byte> at)
    {
        var address = InternetAddress.ReadIPv6(at);
        at = at[AddressSize..];
        return address;
    }
}
