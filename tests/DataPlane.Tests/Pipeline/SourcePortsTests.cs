using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>The sending sockets, on the loopback interface.</summary>
public sealed class SourcePortsTests
{
    private static VtepOptions Options(int min, int max) =>
        new() { Local = InternetAddress.FromIPv4(0x7F000001), SourcePortMin = (ushort)min, SourcePortMax = (ushort)max };

    /// <summary>Sockets of somebody else on <paramref name="count"/> ports in a row, with <paramref name="free"/> free ones behind them.</summary>
    private static (Socket[] Taken, int First) Occupy(int count, int free)
    {
        // Below the range the kernel gives out by itself, so that other tests do not interfere; several tries, should a port be taken.
        for (var first = 20_000 + Random.Shared.Next(8000); ; first++)
        {
            var sockets = new List<Socket>();
            try
            {
                for (var i = 0; i < count + free; i++)
                {
                    var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                    sockets.Add(socket);
                    socket.Bind(new IPEndPoint(IPAddress.Loopback, first + i));
                }

                foreach (var socket in sockets[count..]) socket.Dispose();
                return ([.. sockets[..count]], first);
            }
            catch (SocketException)
            {
                foreach (var socket in sockets) socket.Dispose();
            }
        }
    }

    private static void Release(Socket[] sockets)
    {
        foreach (var socket in sockets) socket.Dispose();
    }

    [Fact]
    public void A_hash_always_gives_the_same_socket_and_the_whole_range_is_used()
    {
        var (_, first) = Occupy(0, 4);
        using var ports = new SourcePorts(Options(first, first + 3));
        Assert.Equal(4, ports.Limit);
        Assert.Equal(1, ports.OpenCount);
        Assert.Equal([0, 0, 1, 1, 2, 2, 3, 3], new[] { 0u, 0x3FFF_FFFFu, 0x4000_0000u, 0x7FFF_FFFFu, 0x8000_0000u, 0xBFFF_FFFFu, 0xC000_0000u, uint.MaxValue }.Select(ports.IndexOf));
        var sockets = Enumerable.Range(0, 4).Select(ports.Get).ToArray();
        Assert.Equal(4, sockets.Distinct().Count());
        Assert.Equal(4, ports.OpenCount);
        Assert.Same(sockets[2], ports.Get(2));
    }

    [Fact]
    public void No_more_than_512_sockets_serve_a_wide_range()
    {
        var (_, first) = Occupy(0, 1);
        using var ports = new SourcePorts(Options(first, first + 9999));
        Assert.Equal(SourcePorts.MaxSockets, ports.Limit);
        Assert.Equal(SourcePorts.MaxSockets - 1, ports.IndexOf(uint.MaxValue));
    }

    [Fact]
    public void A_taken_port_is_stepped_over_also_if_it_is_the_first_of_a_small_range()
    {
        var (taken, first) = Occupy(2, 2);
        try
        {
            using var ports = new SourcePorts(Options(first, first + 3));
            Assert.Equal(1, ports.OpenCount);
            // The flows of the taken ports share a free one.
            Assert.NotNull(ports.Get(0));
            Assert.NotNull(ports.Get(1));
            Assert.NotSame(ports.Get(2), ports.Get(3));
            Assert.Equal(2, ports.OpenCount);
        }
        finally
        {
            Release(taken);
        }
    }

    [Fact]
    public void A_range_without_a_free_port_is_an_error_that_says_which()
    {
        var (taken, first) = Occupy(2, 0);
        try
        {
            var failure = Assert.Throws<ErrnoException>(() => new SourcePorts(Options(first, first + 1)));
            Assert.Equal(LibC.EADDRINUSE, failure.Errno);
            Assert.Contains("127.0.0.1 port", failure.Message, StringComparison.Ordinal);
        }
        finally
        {
            Release(taken);
        }
    }

    [Fact]
    public void An_address_that_is_not_this_hosts_is_an_error_at_once()
    {
        var options = Options(30_000, 30_100) with { Local = InternetAddress.FromIPv4(0xC000_0201) };
        Assert.Equal(LibC.EADDRNOTAVAIL, Assert.Throws<ErrnoException>(() => new SourcePorts(options)).Errno);
    }
}
