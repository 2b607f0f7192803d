using Microsoft.Extensions.Logging.Abstractions;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests;

/// <summary>The façade over real sockets on loopback; TAPs are for the end-to-end tests.</summary>
public sealed class VtepTests
{
    // Port 0: whichever is free.
    private static Vtep Open() => new(new VtepOptions { Local = InternetAddress.FromIPv4(0x7F000001), Port = 0 }, NullLogger.Instance);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ends_whether_started_or_not_and_ending_twice_does_no_harm(bool isStarted)
    {
        var vtep = Open();
        if (isStarted) vtep.Start();
        vtep.Dispose();
        // The descriptors it had belong to others by now: a second end must touch neither them nor memory given back.
        using var other = Open();
        vtep.Dispose();
        Assert.Equal(other.Workers.Count, other.SourcePortsOpen);
        Assert.True(other.ReceiveBufferBytes > 0);
    }

    [Fact]
    public void Removing_a_segment_that_is_not_there_is_no_error()
    {
        using var vtep = Open();
        vtep.RemoveSegment(new Vni(5));
        Assert.False(vtep.Failure.IsCompleted);
    }
}
