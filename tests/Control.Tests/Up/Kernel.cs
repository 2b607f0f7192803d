using Sleeve.Control.Tests.Host;
using Xunit.Sdk;

namespace Sleeve.Control.Tests.Up;

/// <summary>The kernel's own vxlan device, the oracle.</summary>
internal static class Kernel
{
    public static void AddVxlanOrSkip(TestNetwork network, string name, params string[] more)
    {
        try
        {
            network.Run("ip", ["link", "add", name, "type", "vxlan", .. more]);
        }
        catch (XunitException failure) when (failure.Message.Contains("not supported", StringComparison.Ordinal) || failure.Message.Contains("Unknown device type", StringComparison.Ordinal))
        {
            Skip.If(true, "needs a kernel with vxlan devices");
        }
    }
}
