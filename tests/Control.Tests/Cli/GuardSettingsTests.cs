using Sleeve.Control.Cli;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;

namespace Sleeve.Control.Tests.Cli;

public class GuardSettingsTests
{
    private static IReadOnlyList<string> Read(string line, out SegmentOptions? options)
    {
        var result = CommandLine.Parse(CommandLine.CreateRoot(), $"up vx0 vni 1 local 192.0.2.1 {line}".Split(' ', StringSplitOptions.RemoveEmptyEntries), out var errors);
        options = null;
        if (errors.Count > 0) return errors;
        var refused = UpCommand.TryRead(result, out var up);
        options = up?.Devices[0].Segment;
        return refused;
    }

    [Fact]
    public void Guards_are_on_unless_switched_off()
    {
        Assert.Empty(Read("", out var options));
        Assert.Equal(GuardOptions.Standard, options!.Guards);
        Assert.False(options.Proxy || options.ProxyStrict || options.L2Miss || options.L3Miss || options.DropTagged || options.DropSpanningTree);
        Assert.Empty(Read("flood-limit off flood-limit-segment off request-limit off move-limit off loop-limit off vtep-limit off", out options));
        Assert.Equal(GuardOptions.None, options!.Guards);
    }

    [Fact]
    public void Every_guard_takes_a_number()
    {
        Assert.Empty(Read("--flood-limit 1 --flood-limit-segment 2 --request-limit 3 --move-limit 4 --loop-limit 5 --vtep-limit 6 --stp drop --inner-vlan drop --proxy-strict --l2miss --l3miss", out var options));
        Assert.Equal(new GuardOptions { FloodPerStation = 1, FloodPerSegment = 2, Requests = 3, Moves = 4, Returns = 5, StationsPerVtep = 6 }, options!.Guards);
        Assert.True(options.Proxy && options.ProxyStrict && options.L2Miss && options.L3Miss && options.DropTagged && options.DropSpanningTree);
    }

    [Fact]
    public void Suppression_is_off_unless_asked_for_and_needs_the_proxy()
    {
        Assert.Empty(Read("", out var options));
        Assert.False(options!.SuppressUnknown || options.SuppressResolution);
        Assert.Empty(Read("flood known neigh-suppress admit listed", out options));
        Assert.True(options!.SuppressUnknown && options.SuppressResolution && options.Proxy && !options.ProxyStrict);
        Assert.Equal(Admission.Listed, options.Admission);
        Assert.Empty(Read("flood all noneigh-suppress", out options));
        Assert.False(options!.SuppressUnknown || options.SuppressResolution || options.Proxy);
    }

    [Theory]
    [InlineData("--flood off", "--flood off: must be all or known")]
    [InlineData("--flood-limit 0", "--flood-limit 0: must be 1 to 100000000, or off")]
    [InlineData("--flood-limit-segment 100000001", "--flood-limit-segment 100000001: must be 1 to 100000000, or off")]
    [InlineData("--request-limit none", "--request-limit none: must be 1 to 100000000, or off")]
    [InlineData("--move-limit 1", "--move-limit 1: must be 2 to 1000, or off")]
    [InlineData("--loop-limit -1", "--loop-limit -1: must be 1 to 1000000, or off")]
    [InlineData("--vtep-limit 1048577", "--vtep-limit 1048577: must be 1 to 1048576, or off")]
    [InlineData("--stp off", "--stp off: must be pass or drop")]
    [InlineData("--inner-vlan strip", "--inner-vlan strip: must be pass or drop")]
    [InlineData("--l2miss --nol2miss", "--l2miss --nol2miss: contradict each other; only one is allowed")]
    public void Bad_values_are_refused_with_what_is_allowed(string words, string error) => Assert.Equal([error], Read(words, out _));
}
