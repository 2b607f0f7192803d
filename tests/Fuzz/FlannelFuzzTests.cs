using System.Text;
using Sleeve.Control.Networks;

namespace Sleeve.Fuzz;

/// <summary>What may stand in the keys of flannel, which anybody writes who reaches its etcd.</summary>
public sealed class FlannelFuzzTests
{
    private const int Rounds = 5_000;
    private const int MaxFaultLength = 300;

    private static readonly string[] Corpus =
    [
        """{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}}""",
        """{"Network":"10.244.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"Port":8472,"DirectRouting":true}}""",
        """{"PublicIP":"192.0.2.7\n","BackendType":"host-gw"}""",
        "[]", "null", "{}", "\"\"", "nope", "",
    ];

    private static readonly string[] Keys = ["subnets/10.244.7.0-24", "subnets/10.244.7.0-24&fd00::-64", "subnets/x", "subnets/", "config"];

    [Fact]
    public void What_stands_in_the_keys_of_flannel_is_read_or_is_a_fault_of_one_line()
    {
        var random = new Random(31);
        var texts = new Mutator(random, [.. Corpus.Select(Encoding.UTF8.GetBytes)]);
        var keys = new Mutator(random, [.. Keys.Select(Encoding.UTF8.GetBytes)]);
        for (var i = 0; i < Rounds; i++)
        {
            var text = Encoding.UTF8.GetString(texts.Next());
            var key = random.Next(3) == 0 ? Encoding.UTF8.GetString(keys.Next()) : Keys[0];
            if (FlannelKeys.TryReadLease(key, text, out var lease, out var fault))
            {
                Assert.True(lease.Mac.IsValidSource && lease.Vtep.IsIPv4 && lease.Subnet == lease.Subnet.Network());
                Assert.Equal(lease, FlannelKeys.TryReadLease(FlannelKeys.Key(lease.Subnet), FlannelKeys.WriteLease(lease, new DataPlane.Wire.Vni(1)), out var again, out _) ? again : null);
            }
            else
            {
                AssertOneLine(fault);
            }

            if (FlannelKeys.TryReadConfig(text, out var config, out fault)) Assert.InRange(config.SubnetLength, config.Network.Length + 1, 30);
            else AssertOneLine(fault);
        }
    }

    private static void AssertOneLine(string? fault)
    {
        Assert.NotNull(fault);
        Assert.InRange(fault.Length, 1, MaxFaultLength);
        Assert.DoesNotContain(fault, char.IsControl);
    }
}
