using System.Buffers.Binary;
using System.Text.Json;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>Virtual machines: a TAP that is attached to a network, opened by its name as qemu does.</summary>
public sealed class MachineTests(ITestOutputHelper output) : ClusterTest(output)
{
    [SkippableFact]
    public void A_machine_behind_a_TAP_is_an_endpoint_like_any_other()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        var pod = Container(daemons[1]);
        Attach(daemons[1], "blue", pod);
        using var attached = JsonDocument.Parse(daemons[0].Run("attach blue tap:vm1 10.1.0.20 --json").Ok());
        Assert.Equal(("vm1", "vm1", "vm1"), (Text("id"), Text("ifname"), Text("link")));
        Assert.True(MacAddress.TryParse(Text("mac"), out var mac));
        Assert.Contains("mtu 1450", daemons[0].Host.Run("ip link show dev vm1"), StringComparison.Ordinal);
        using (new Machine(daemons[0].Host, "vm1", mac, "10.1.0.20")) WaitForPing(pod, "10.1.0.20");

        // It is there whether the machine runs or not, and after the daemon was killed; twice is as once.
        daemons[0].Kill();
        daemons[0].Start();
        daemons[0].Run("attach blue tap:vm1 10.1.0.20").Ok();
        using (new Machine(daemons[0].Host, "vm1", mac, "10.1.0.20")) WaitForPing(pod, "10.1.0.20");
        AuditFindsNothing(daemons[0]);
        Assert.Contains("ifname net0: a TAP has the name that its target says", daemons[0].Run("attach blue tap:vm2 --ifname net0").Error, StringComparison.Ordinal);
        Assert.Contains($"target tap:{Host.UnderlayDevice}: there is an interface of that name", daemons[0].Run($"attach blue tap:{Host.UnderlayDevice}").Error, StringComparison.Ordinal);

        Assert.True(daemons[0].Host.HasDevice(Host.UnderlayDevice), "what is not ours is left alone");
        daemons[0].Run("detach blue tap:vm1").Ok();
        Assert.False(daemons[0].Host.HasDevice("vm1"));
        daemons[1].Run($"detach blue {pod}").Ok();
        AuditFindsNothing(daemons[1]);

        string Text(string key) => attached.RootElement.GetProperty(key).GetString()!;
    }

    /// <summary>Answers who has its address, and pings, as the program of a virtual machine would hand it both.</summary>
    private sealed class Machine : IDisposable
    {
        private readonly TapDevice _tap;
        private readonly Thread _thread;
        private readonly byte[] _mac = new byte[MacAddress.Size];
        private readonly byte[] _address;
        private volatile bool _isEnding;

        public Machine(Host host, string name, MacAddress mac, string address)
        {
            using var where = NetworkNamespace.OpenName(host.Namespace);
            _tap = TapDevice.Open(name, where: where);
            mac.Write(_mac);
            _address = System.Net.IPAddress.Parse(address).GetAddressBytes();
            _thread = new Thread(Run) { IsBackground = true };
            _thread.Start();
        }

        public void Dispose()
        {
            _isEnding = true;
            _thread.Join();
            _tap.Dispose();
        }

        private void Run()
        {
            var buffer = new byte[2048];
            while (!_isEnding)
            {
                var length = _tap.Read(buffer);
                if (length <= 0) Thread.Sleep(2);
                else if (Answer(buffer.AsSpan(VirtioNetHeader.Size, length - VirtioNetHeader.Size))) _tap.Write(buffer.AsSpan(0, length));
            }
        }

        // In place: Ethernet, then ARP (RFC 826) or ICMP (RFC 792) in IPv4.
        private bool Answer(Span<byte> frame)
        {
            if (frame.Length < 42) return false;
            switch (BinaryPrimitives.ReadUInt16BigEndian(frame[12..]))
            {
                case 0x0806 when frame[21] == 1 && frame.Slice(38, 4).SequenceEqual(_address):
                    frame[21] = 2;
                    frame.Slice(22, 10).CopyTo(frame[32..]);
                    _mac.CopyTo(frame[22..]);
                    _address.CopyTo(frame[28..]);
                    break;
                case 0x0800 when frame[23] == 1 && frame[34] == 8 && frame.Slice(30, 4).SequenceEqual(_address):
                    frame.Slice(26, 4).CopyTo(frame[30..]);
                    _address.CopyTo(frame[26..]);
                    frame[34] = 0;
                    var sum = BinaryPrimitives.ReadUInt16BigEndian(frame[36..]) + 0x0800;
                    BinaryPrimitives.WriteUInt16BigEndian(frame[36..], (ushort)(sum + (sum >> 16)));
                    break;
                default:
                    return false;
            }

            frame.Slice(6, 6).CopyTo(frame);
            _mac.CopyTo(frame[6..]);
            return true;
        }
    }
}
