using System.Net.Sockets;
using System.Text.Json;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// FD05: entries that name the underlay interface. D reaches A by two links, and the route says nothing about which.
/// <code>
///     A: one address on both
///     │ u0 (by the switch)   │ u1 (a veth pair)
///     D: 10.0.0.1            10.0.0.11
/// </code>
/// </summary>
public sealed class ViaTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const string Second = "u1";
    private static readonly MacAddress Station = Frames.Mac(0x5A);

    public static TheoryData<AddressFamily> Families() => [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "FD05")]
    public void The_frame_leaves_by_the_interface_that_the_entry_names(AddressFamily family)
    {
        var stage = GivenTwoLinks(family);
        using var first = new Capture(stage.D, Host.UnderlayDevice);
        using var second = new Capture(stage.D, Second);
        foreach (var (verb, name, other) in new[] { ("add", second, first), ("replace", first, second), ("replace", second, first) })
        {
            var device = name == first ? Host.UnderlayDevice : Second;
            stage.Dut.FdbDo(verb, $"{Station} dev {stage.Dut.Device} dst {stage.A.Address} via {device} static");
            Assert.Equal([new FdbEntry($"{Station}", $"{stage.A.Address}", null, null, "static", device)], stage.Dut.ShowFdb().Where(e => e.Mac == $"{Station}"));
            var frame = Frames.Unique(Station, Local);
            stage.Port.Send(frame);
            Assert.Equal(stage.D.Address, stage.A.Expect(frame).Source.Address);
            name.WaitFor(1, p => p.Inner.SequenceEqual(frame));
            Assert.DoesNotContain(other.Vxlan(), p => p.Inner.SequenceEqual(frame));
        }

        stage.Dut.FdbDo("del", $"{Station} dev {stage.Dut.Device}");
        Assert.DoesNotContain(stage.Dut.Fdb(), e => e.Mac == $"{Station}");
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "FD05")]
    public void One_VTEP_by_two_interfaces_is_two_destinations(AddressFamily family)
    {
        var stage = GivenTwoLinks(family);
        using var first = new Capture(stage.D, Host.UnderlayDevice);
        using var second = new Capture(stage.D, Second);
        var destination = $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.A.Address}";
        stage.Dut.FdbDo("append", $"{destination} via {Host.UnderlayDevice}");
        stage.Dut.FdbDo("append", $"{destination} via {Second}");
        stage.Dut.FdbDo("append", $"{destination} via {Second}");
        var both = Frames.Unique(Unknown, Local);
        stage.Port.Send(both);
        stage.A.Expect(both);
        stage.A.Expect(both);
        Assert.Single(first.WaitFor(1, p => p.Inner.SequenceEqual(both)));
        Assert.Single(second.WaitFor(1, p => p.Inner.SequenceEqual(both)));

        // The kernel says that this was done, and does nothing.
        var refused = stage.Dut.TryFdb("del", destination);
        if (stage.Dut.Kind == VtepKind.Sleeve) Assert.NotEqual(0, refused.ExitCode);
        Assert.Equal([Host.UnderlayDevice, Second], stage.Dut.ShowFdb().Where(e => e.Mac == Vtep.Default).Select(e => e.ViaInterface));
        stage.Dut.FdbDo("del", $"{destination} via {Host.UnderlayDevice}");
        Assert.Equal([Second], stage.Dut.ShowFdb().Where(e => e.Mac == Vtep.Default).Select(e => e.ViaInterface));
        var one = Frames.Unique(Unknown, Local);
        stage.Port.Send(one);
        stage.A.Expect(one);
        second.WaitFor(1, p => p.Inner.SequenceEqual(one));
        Assert.DoesNotContain(first.Vxlan(), p => p.Inner.SequenceEqual(one));
    }

    [SkippableFact]
    [Trait("Case", "FD05")]
    public void An_interface_must_be_there()
    {
        var stage = GivenTwoLinks(AddressFamily.InterNetwork);
        foreach (var name in new[] { "nowhere0", "if4711" })
        {
            foreach (var verb in new[] { "add", "append", "replace" })
                Assert.NotEqual(0, stage.Dut.TryFdb(verb, $"{Station} dev {stage.Dut.Device} dst {stage.A.Address} via {name}").ExitCode);
        }

        Assert.Contains("nowhere0", stage.Dut.TryFdb("add", $"{Station} dev {stage.Dut.Device} dst {stage.A.Address} via nowhere0").Error, StringComparison.Ordinal);
        Assert.DoesNotContain(stage.Dut.Fdb(), e => e.Mac == $"{Station}");
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    [Trait("Case", "FD05")]
    public void What_is_for_an_interface_that_is_gone_is_dropped(AddressFamily family)
    {
        DiffersFromKernel();
        var stage = GivenTwoLinks(family);
        var entry = $"{Station} dev {stage.Dut.Device} dst {stage.A.Address}";
        stage.Dut.FdbDo("add", $"{entry} via {Second}");
        var index = stage.D.IndexOf(Second);
        stage.D.Run($"ip link del {Second}");
        for (var i = 0; i < 3; i++) stage.Port.Send(Frames.Unique(Station, Local));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        stage.AssertDropped("NoInterface", atLeast: 3);
        Assert.Equal([$"if{index}"], stage.Dut.ShowFdb().Where(e => e.Mac == $"{Station}").Select(e => e.ViaInterface));
        stage.Dut.FdbDo("del", $"{entry} via if{index}");
        Assert.DoesNotContain(stage.Dut.Fdb(), e => e.Mac == $"{Station}");
    }

    [SkippableFact]
    [Trait("Case", "FD05")]
    public void It_is_shown_as_bridge_shows_it()
    {
        DiffersFromKernel();
        var stage = GivenTwoLinks(AddressFamily.InterNetwork);
        stage.D.Run("ip link add kernel0 type vxlan id 200 dstport 4799");
        var entry = $"{Station} dev {{0}} dst {stage.A.Address} port 4790 vni 300 via {Second} static";
        stage.D.Run($"bridge fdb add {entry.Replace("{0}", "kernel0", StringComparison.Ordinal)}");
        stage.Dut.FdbDo("add", entry.Replace("{0}", stage.Dut.Device, StringComparison.Ordinal));

        var shown = stage.D.Run("bridge fdb show dev kernel0").Split('\n').Single(line => line.StartsWith($"{Station}", StringComparison.Ordinal)).Trim();
        Assert.Equal(shown, SleeveProgram.Run(stage.D, $"fdb show dev {stage.Dut.Device}").Ok().Split('\n').Single(line => line.StartsWith($"{Station}", StringComparison.Ordinal)));
        var kernel = FdbEntry.Read(stage.D.Run("bridge -j fdb show dev kernel0")).Single(e => e.Mac == $"{Station}");
        Assert.Equal(Second, kernel.ViaInterface);
        Assert.Equal(kernel, stage.Dut.ShowFdb().Single(e => e.Mac == $"{Station}"));
    }

    [SkippableTheory]
    [MemberData(nameof(Families))]
    public void The_path_MTU_is_that_of_the_interface(AddressFamily family)
    {
        DiffersFromKernel();
        var stage = GivenTwoLinks(family);
        stage.D.Run($"ip link set {Second} mtu 1400");
        stage.Dut.FdbDo("add", $"{Station} dev {stage.Dut.Device} dst {stage.A.Address} via {Second}");
        stage.Dut.FdbDo("add", $"{Unknown} dev {stage.Dut.Device} dst {stage.A.Address}");
        Wait.Until(() => PathMtuBy(stage.Dut, Second) == 1400, "the path MTU of the second link", TimeSpan.FromSeconds(10));
        Assert.Equal(1500, PathMtuBy(stage.Dut, null));
        Assert.Contains($"via {Second}", SleeveProgram.Run(stage.D, $"stats dev {stage.Dut.Device}").Ok(), StringComparison.Ordinal);
        Assert.Contains($"by {Second} (MTU 1400)", SleeveProgram.Run(stage.D, $"explain {stage.Dut.Device} {Station}").Ok(), StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, "tunnel-gso")]
    [InlineData(AddressFamily.InterNetwork, "udp-gso")]
    [InlineData(AddressFamily.InterNetworkV6, "udp-gso")]
    [InlineData(AddressFamily.InterNetwork, "none")]
    public void Super_frames_and_runs_leave_by_it_too(AddressFamily family, string offload)
    {
        DiffersFromKernel();
        if (offload == "tunnel-gso") Requirements.TunnelOffload();
        var lab = NewLab(family);
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        AddSecondLink(a, b);
        using var first = new Capture(a, Host.UnderlayDevice);
        using var second = new Capture(a, Second);
        var process = SleeveProgram.Up(a, [
            .. Command.Split($"vx100-a --vni 100 --local {a.Address} --nolearning --address {Pair.Overlay1}/24 --mtu 1400 --tx-offload {offload}"),
            "--fdb", $"{Vtep.Default} dst {b.Address} via {Second}",
        ]);
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Mtu = 1400, Addresses = [$"{Pair.Overlay2}/24"] });
        Traffic.TransferByTcp(a, b, Pair.Overlay2, 20_000_000);
        Assert.True(second.Vxlan().Where(p => p.Source.Equals(a.Address)).Sum(p => (long)p.Payload.Length) > 20_000_000);
        Assert.DoesNotContain(first.Vxlan(), p => p.Source.Equals(a.Address));
        process.Signal();
        Assert.True(process.WaitForExit(Wait.Soon));

        var refused = a.Try([.. SleeveProgram.Words, "up", "vx100-a", "--vni", "100", "--local", $"{a.Address}", "--fdb", $"{Vtep.Default} dst {b.Address} via nowhere0"]);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("via nowhere0: there is no such interface", refused.Error, StringComparison.Ordinal);
    }

    private Stage GivenTwoLinks(AddressFamily family)
    {
        var stage = Given(flood: 0, family: family);
        AddSecondLink(stage.D, stage.Lab.Hosts[1]);
        return stage;
    }

    private static void AddSecondLink(Host near, Host far)
    {
        near.Run($"ip link add {Second} type veth peer name {Second} netns {far.Namespace}");
        near.Run($"ip addr add 10.0.0.11/24 dev {Second}");
        near.Run($"ip addr add fd00::b/64 dev {Second} nodad");
        // To ask for a neighbour on behalf of an address of another interface the kernel needs a link-local one.
        near.Run($"ip addr add fe80::b/64 dev {Second} nodad");
        far.Run($"ip addr add {far.Address4}/24 dev {Second}");
        far.Run($"ip addr add {far.Address6}/64 dev {Second} nodad");
        foreach (var host in new[] { near, far })
        {
            foreach (var device in new[] { "all", Host.UnderlayDevice, Second })
                host.InNamespace(() => File.WriteAllText($"/proc/sys/net/ipv4/conf/{device}/rp_filter", "0"));
            host.Run($"ip link set {Second} up");
        }
    }

    private static int PathMtuBy(Vtep vtep, string? device)
    {
        using var document = JsonDocument.Parse(ControlSocket.Get(vtep.Device, "stats"));
        foreach (var remote in document.RootElement.GetProperty("segments")[0].GetProperty("remotes").EnumerateArray())
        {
            var via = remote.TryGetProperty("via", out var name) ? name.GetString() : null;
            if (via == device && remote.TryGetProperty("pmtu", out var mtu)) return mtu.GetInt32();
        }

        return 0;
    }
}
