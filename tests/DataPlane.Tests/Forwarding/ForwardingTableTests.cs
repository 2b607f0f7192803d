using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>What iproute2 and the kernel's device do with "bridge fdb", and learning.</summary>
public sealed class ForwardingTableTests
{
    private static readonly MacAddress M = Mac(1);
    private static readonly MacAddress Group = MacAddress.FromValue(0x0100_5E00_0001);

    private static VtepAddress[] To(ForwardingTable fdb, MacAddress mac) => [.. fdb.Lookup(mac).Remotes.Select(remote => remote.Address)];

    private static TableResult Add(ForwardingTable fdb, MacAddress mac, int vtep, EntryKind kind = EntryKind.Permanent) => fdb.Add(mac, Vtep(vtep), OwnVni, kind, 0);

    private static TableResult Append(ForwardingTable fdb, MacAddress mac, int vtep, EntryKind kind = EntryKind.Permanent) => fdb.Append(mac, Vtep(vtep), OwnVni, kind, 0);

    [Fact]
    public void Adding_what_is_there_is_refused_also_for_the_default_destinations()
    {
        var fdb = Make().Fdb;
        Assert.Equal(TableResult.Done, Add(fdb, M, 2));
        Assert.Equal(TableResult.Exists, Add(fdb, M, 3));
        Assert.Equal(TableResult.Done, Add(fdb, MacAddress.Zero, 2));
        Assert.Equal(TableResult.Exists, Add(fdb, MacAddress.Zero, 3));
        Assert.Equal([Vtep(2)], To(fdb, M));
        Assert.Equal([Vtep(2)], To(fdb, Mac(99)));
    }

    [Fact]
    public void Appending_to_a_unicast_address_succeeds_and_does_nothing()
    {
        var fdb = Make().Fdb;
        Assert.Equal(TableResult.Done, Append(fdb, M, 2));
        Assert.Equal(TableResult.Done, Append(fdb, M, 3));
        Assert.Equal([Vtep(2)], To(fdb, M));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Appending_to_a_group_or_the_default_adds_once_and_keeps_the_order(bool isGroup)
    {
        var fdb = Make().Fdb;
        var mac = isGroup ? Group : MacAddress.Zero;
        foreach (var vtep in new[] { 4, 2, 3, 2, 4 }) Assert.Equal(TableResult.Done, Append(fdb, mac, vtep));
        Assert.Equal([Vtep(4), Vtep(2), Vtep(3)], To(fdb, mac));
        Assert.Equal(1, fdb.Count);
    }

    [Fact]
    public void The_same_VTEP_with_another_port_or_VNI_is_another_destination()
    {
        var fdb = Make().Fdb;
        fdb.Append(MacAddress.Zero, Vtep(2), OwnVni, EntryKind.Permanent, 0);
        fdb.Append(MacAddress.Zero, Vtep(2, 4790), OwnVni, EntryKind.Permanent, 0);
        fdb.Append(MacAddress.Zero, Vtep(2), new Vni(300), EntryKind.Permanent, 0);
        Assert.Equal(3, fdb.Default.Remotes.Length);
        Assert.Equal(TableResult.Done, fdb.Delete(MacAddress.Zero, Vtep(2), new Vni(300), 0));
        Assert.Equal(TableResult.NotFound, fdb.Delete(MacAddress.Zero, Vtep(2), new Vni(300), 0));
        Assert.Equal([Vtep(2), Vtep(2, 4790)], To(fdb, M));
    }

    [Fact]
    public void Replacing_moves_a_unicast_entry_or_makes_it_and_is_refused_for_groups_and_the_default()
    {
        var fdb = Make().Fdb;
        Assert.Equal(TableResult.Done, fdb.Replace(M, Vtep(2), OwnVni, EntryKind.Static, 0));
        Assert.Equal(TableResult.Done, fdb.Replace(M, Vtep(3), OwnVni, EntryKind.Permanent, 0));
        Assert.Equal([Vtep(3)], To(fdb, M));
        Assert.Equal(EntryKind.Permanent, Assert.Single(fdb.Snapshot(0)).Kind);
        foreach (var mac in new[] { Group, MacAddress.Broadcast, MacAddress.Zero })
            Assert.Equal(TableResult.NotSupported, fdb.Replace(mac, Vtep(2), OwnVni, EntryKind.Permanent, 0));
    }

    [Fact]
    public void Deleting_takes_the_entry_or_one_destination_and_the_last_one_takes_the_entry()
    {
        var fdb = Make().Fdb;
        Assert.Equal(TableResult.NotFound, fdb.Delete(M, null, OwnVni, 0));
        Assert.Equal(TableResult.NotFound, fdb.Delete(MacAddress.Zero, null, OwnVni, 0));
        Append(fdb, Group, 2);
        Append(fdb, Group, 3);
        Assert.Equal(TableResult.NotFound, fdb.Delete(Group, Vtep(9), OwnVni, 0));
        Assert.Equal(TableResult.Done, fdb.Delete(Group, Vtep(2), OwnVni, 0));
        Assert.Equal([Vtep(3)], To(fdb, Group));
        Assert.Equal(TableResult.Done, fdb.Delete(Group, Vtep(3), OwnVni, 0));
        Assert.Equal(0, fdb.Count);
        Append(fdb, MacAddress.Zero, 2);
        Append(fdb, MacAddress.Zero, 3);
        Assert.Equal(TableResult.Done, fdb.Delete(MacAddress.Zero, null, OwnVni, 0));
        Assert.Empty(fdb.Default.Remotes);
    }

    [Fact]
    public void The_other_address_family_is_refused_and_the_null_address_is_not()
    {
        var v6 = new VtepAddress(Address("2001:db8::1"), Port);
        var fdb = Make().Fdb;
        Assert.Equal(TableResult.WrongFamily, fdb.Add(M, v6, OwnVni, EntryKind.Permanent, 0));
        Assert.Equal(TableResult.WrongFamily, fdb.Append(M, v6, OwnVni, EntryKind.Permanent, 0));
        Assert.Equal(TableResult.WrongFamily, fdb.Replace(M, v6, OwnVni, EntryKind.Permanent, 0));
        Assert.Equal(TableResult.Done, fdb.Add(M, new VtepAddress(InternetAddress.AnyIPv4, Port), OwnVni, EntryKind.Permanent, 0));
        Assert.True(Assert.Single(fdb.Lookup(M).Remotes).IsNull);
        Assert.Equal(TableResult.WrongFamily, Make(self: v6).Fdb.Add(M, Vtep(2), OwnVni, EntryKind.Permanent, 0));
    }

    [Fact]
    public void A_group_entry_goes_before_the_default()
    {
        var fdb = Make().Fdb;
        Append(fdb, MacAddress.Zero, 2);
        Append(fdb, Group, 3);
        Append(fdb, MacAddress.Broadcast, 4);
        Assert.Equal([Vtep(3)], To(fdb, Group));
        Assert.Equal([Vtep(4)], To(fdb, MacAddress.Broadcast));
        Assert.Equal([Vtep(2)], To(fdb, MacAddress.FromValue(0x0100_5E00_0002)));
    }

    [Fact]
    public void The_default_is_told_from_an_entry_with_the_same_destination()
    {
        // The pipeline counts floods by it.
        var fdb = Make().Fdb;
        Add(fdb, MacAddress.Zero, 2);
        Add(fdb, M, 2);
        Assert.NotNull(fdb.Find(M));
        Assert.Null(fdb.Find(Mac(9)));
        Assert.Same(fdb.Default, fdb.Lookup(Mac(9)));
    }

    [Fact]
    public void Learns_at_the_sender_with_the_segments_own_port_and_VNI()
    {
        var fdb = Make().Fdb;
        Assert.Equal(LearnResult.Learned, fdb.Learn(M, Address(2), 0));
        Assert.Equal(LearnResult.Known, fdb.Learn(M, Address(2), 1));
        var remote = Assert.Single(fdb.Lookup(M).Remotes);
        Assert.Equal(Vtep(2), remote.Address);
        Assert.Equal(OwnVni, remote.Vni);
    }

    [Fact]
    public void Learns_with_its_own_port_and_VNI_also_from_a_VTEP_that_an_entry_names_with_others()
    {
        var fdb = Make().Fdb;
        fdb.Add(Mac(7), Vtep(2, 4790), new Vni(300), EntryKind.Dynamic, 0);
        Assert.Equal(LearnResult.Learned, fdb.Learn(M, Address(2), 0));
        var remote = Assert.Single(fdb.Lookup(M).Remotes);
        Assert.Equal(Vtep(2), remote.Address);
        Assert.Equal(OwnVni, remote.Vni);
    }

    [Fact]
    public void A_station_moves_at_once_and_as_easily_back()
    {
        var fdb = Make().Fdb;
        fdb.Learn(M, Address(2), 0);
        Assert.Equal(LearnResult.Moved, fdb.Learn(M, Address(3), 0));
        Assert.Equal([Vtep(3)], To(fdb, M));
        Assert.Equal(LearnResult.Moved, fdb.Learn(M, Address(2), 0));
        Assert.Equal([Vtep(2)], To(fdb, M));
        Assert.Equal(1, fdb.Count);
    }

    [Theory]
    [InlineData(EntryKind.Static)]
    [InlineData(EntryKind.Permanent)]
    public void A_static_entry_neither_moves_nor_ages_and_contradicting_it_is_a_conflict(EntryKind kind)
    {
        var fdb = Make().Fdb;
        Add(fdb, M, 2, kind);
        Assert.Equal(LearnResult.Known, fdb.Learn(M, Address(2), 0));
        Assert.Equal(LearnResult.Conflict, fdb.Learn(M, Address(3), 0));
        Assert.Equal([Vtep(2)], To(fdb, M));
        Assert.Equal(0, fdb.AgeOut(10_000_000));
        Assert.Equal(0, fdb.Flush(all: false, 0));
        Assert.Equal([Vtep(2)], To(fdb, M));
        Assert.Equal(1, fdb.Flush(all: true, 0));
        Assert.Equal(0, fdb.Count);
    }

    [Fact]
    public void A_dynamic_entry_that_an_operator_added_moves_and_ages_as_a_learned_one()
    {
        var fdb = Make().Fdb;
        Add(fdb, M, 2, EntryKind.Dynamic);
        Assert.Equal(LearnResult.Moved, fdb.Learn(M, Address(3), 0));
        Assert.Equal(0, fdb.AgeOut(299_999));
        Assert.Equal(1, fdb.AgeOut(300_000));
        Assert.Equal(0, fdb.Count);
    }

    [Fact]
    public void Dynamic_default_destinations_age_too_and_stay_one_object_each_until_then()
    {
        var fdb = Make().Fdb;
        Append(fdb, MacAddress.Zero, 2, EntryKind.Dynamic);
        Append(fdb, MacAddress.Zero, 3, EntryKind.Dynamic);
        Assert.Equal(0, fdb.AgeOut(299_999));
        fdb.Append(MacAddress.Zero, Vtep(2), OwnVni, EntryKind.Dynamic, 299_999);
        Assert.Equal([Vtep(2), Vtep(3)], To(fdb, M));
        Assert.Equal(1, fdb.AgeOut(700_000));
        Assert.Empty(fdb.Default.Remotes);
    }

    [Fact]
    public void Flushing_keeps_the_default_destinations()
    {
        var fdb = Make().Fdb;
        Append(fdb, MacAddress.Zero, 2);
        fdb.Learn(M, Address(2), 0);
        Add(fdb, Mac(2), 3, EntryKind.Static);
        Assert.Equal(1, fdb.Flush(all: false, 0));
        Assert.Equal(2, fdb.Count);
        Assert.Equal(1, fdb.Flush(all: true, 0));
        Assert.Equal([Vtep(2)], To(fdb, M));
    }

    [Fact]
    public void Reception_keeps_an_entry_young_but_only_every_tenth_of_the_age_is_written_down()
    {
        var fdb = Make(options => options with { AgeingSeconds = 100 }).Fdb;
        fdb.Learn(M, Address(2), 1000);
        fdb.Learn(M, Address(2), 1000 + 9_999);
        Assert.Equal(9_999, Assert.Single(fdb.Snapshot(1000 + 9_999)).IdleMilliseconds);
        fdb.Learn(M, Address(2), 1000 + 10_000);
        Assert.Equal(0, Assert.Single(fdb.Snapshot(1000 + 10_000)).IdleMilliseconds);
        Assert.Equal(0, fdb.AgeOut(11_000 + 99_999));
        Assert.Equal(1, fdb.AgeOut(11_000 + 100_000));
    }

    [Fact]
    public void Sending_to_a_station_does_not_keep_it()
    {
        var fdb = Make(options => options with { AgeingSeconds = 10 }).Fdb;
        fdb.Learn(M, Address(2), 0);
        for (var now = 0; now < 10_000; now += 100) fdb.Lookup(M);
        Assert.Equal(1, fdb.AgeOut(10_000));
    }

    [Fact]
    public void Ageing_of_0_means_300_seconds_as_in_the_kernel()
    {
        var fdb = Make(options => options with { AgeingSeconds = 0 }).Fdb;
        fdb.Learn(M, Address(2), 0);
        Assert.Equal(0, fdb.AgeOut(299_999));
        Assert.Equal(1, fdb.AgeOut(300_000));
    }

    [Fact]
    public void Does_not_learn_when_told_not_to()
    {
        var fdb = Make(options => options with { Learning = false }).Fdb;
        Add(fdb, Mac(2), 2);
        Assert.Equal(LearnResult.Skipped, fdb.Learn(M, Address(2), 0));
        Assert.Equal(LearnResult.Skipped, fdb.Learn(Mac(2), Address(3), 0));
        Assert.Equal(1, fdb.Count);
    }

    [Fact]
    public void The_limit_counts_all_kinds_and_the_default_as_one()
    {
        var fdb = Make(options => options with { MaxAddress = 4 }).Fdb;
        Append(fdb, MacAddress.Zero, 2);
        Append(fdb, MacAddress.Zero, 3);
        Add(fdb, Mac(1), 2);
        Add(fdb, Mac(2), 2, EntryKind.Static);
        Assert.Equal(LearnResult.Learned, fdb.Learn(Mac(3), Address(2), 0));
        Assert.Equal(4, fdb.Count);

        // One past it: learning stops silently, commands are refused, what is there still moves and grows.
        Assert.Equal(LearnResult.Skipped, fdb.Learn(Mac(4), Address(2), 0));
        Assert.Equal(TableResult.Full, Add(fdb, Mac(4), 2));
        Assert.Equal(TableResult.Full, Append(fdb, Mac(4), 2));
        Assert.Equal(TableResult.Full, fdb.Replace(Mac(4), Vtep(2), OwnVni, EntryKind.Permanent, 0));
        Assert.Equal(LearnResult.Moved, fdb.Learn(Mac(3), Address(3), 0));
        Assert.Equal(TableResult.Done, Append(fdb, MacAddress.Zero, 4));
        Assert.Equal(TableResult.Done, fdb.Replace(Mac(1), Vtep(4), OwnVni, EntryKind.Permanent, 0));
        Assert.Equal(4, fdb.Count);

        fdb.Delete(Mac(1), null, OwnVni, 0);
        Assert.Equal(LearnResult.Learned, fdb.Learn(Mac(4), Address(2), 0));
    }

    [Fact]
    public void A_replication_list_takes_4096_remotes_and_not_one_more()
    {
        var fdb = Make().Fdb;
        for (var i = 0; i < ReplicationList.MaxRemotes; i++) Assert.Equal(TableResult.Done, Append(fdb, MacAddress.Zero, 2 + i));
        Assert.Equal(TableResult.Full, Append(fdb, MacAddress.Zero, 2 + ReplicationList.MaxRemotes));
        Assert.Equal(ReplicationList.MaxRemotes, fdb.Default.Remotes.Length);
        Assert.Equal(TableResult.Done, Append(fdb, MacAddress.Zero, 2));
    }

    [Fact]
    public void Stations_are_behind_65535_different_VTEPs_and_not_one_more()
    {
        const int Most = 65_535;
        var fdb = Make().Fdb;
        for (var i = 0; i < Most; i++) Assert.Equal(TableResult.Done, Add(fdb, Mac((ulong)i), 2 + i));
        Assert.Equal(TableResult.Full, Add(fdb, Mac(Most), 2 + Most));
        Assert.Equal(LearnResult.Skipped, fdb.Learn(Mac(Most), Address(2 + Most), 0));
        // Behind one that is known there is room.
        Assert.Equal(TableResult.Done, Add(fdb, Mac(Most), 2));
        Assert.Equal(Vtep(1 + Most), fdb.Lookup(Mac(Most - 1)).Remotes[0].Address);

        Assert.Equal(TableResult.Done, fdb.Delete(Mac(7), null, OwnVni, 0));
        Assert.Equal(TableResult.Done, Add(fdb, Mac(7), 2 + Most));
    }

    [Fact]
    public void A_hundred_thousand_stations_come_and_half_of_them_go()
    {
        const int Stations = 100_000;
        var fdb = Make().Fdb;
        Append(fdb, MacAddress.Zero, 200);
        for (var i = 0; i < Stations; i++) Assert.Equal(LearnResult.Learned, fdb.Learn(Mac((ulong)i), Address(2 + (i % 100)), i % 2 * 300_000));
        Assert.Equal(Stations + 1, fdb.Count);
        for (var i = 0; i < Stations; i++) Assert.Equal(Address(2 + (i % 100)), fdb.Lookup(Mac((ulong)i)).Remotes[0].Address.Address);
        Assert.Equal(Stations / 2, fdb.AgeOut(300_000));
        for (var i = 0; i < Stations; i++) Assert.Equal(Address(i % 2 == 0 ? 200 : 2 + (i % 100)), fdb.Lookup(Mac((ulong)i)).Remotes[0].Address.Address);
        Assert.Equal(Stations / 2, fdb.Flush(all: false, 0));
        Assert.Equal(1, fdb.Count);
    }
}
