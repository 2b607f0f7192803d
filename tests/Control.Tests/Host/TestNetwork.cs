using System.Diagnostics;
using System.Text.Json.Nodes;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Tests.Host;

/// <summary>A fresh network namespace with its configuration opened, and iproute2 inside it as the oracle.</summary>
internal sealed class TestNetwork : IDisposable
{
    private TestNetwork(NetworkNamespace space)
    {
        Namespace = space;
        Host = RouteNetlink.Open(space);
    }

    public NetworkNamespace Namespace { get; }

    public RouteNetlink Host { get; }

    /// <summary>Makes one, or skips the test where that is not allowed.</summary>
    public static TestNetwork CreateOrSkip()
    {
        try
        {
            return new TestNetwork(NetworkNamespace.CreateNew());
        }
        catch (NetworkNamespaceException exception) when (exception.Errno == LibC.EPERM)
        {
            Skip.If(true, "needs root; ./test re-executes itself in `unshare -Urnm`");
            throw;
        }
    }

    /// <summary>Skips the test where the kernel has no such devices.</summary>
    public LinkInfo CreateOrSkip(Func<RouteNetlink, LinkInfo> create)
    {
        try
        {
            return create(Host);
        }
        catch (HostException exception) when (exception.Errno == LibC.EOPNOTSUPP)
        {
            Skip.If(true, exception.Message);
            throw;
        }
    }

    /// <summary>Runs `ip` (or `bridge`) inside and reads its JSON.</summary>
    public JsonArray Json(string program, params string[] arguments) => (JsonArray)JsonNode.Parse(Run(program, ["-j", .. arguments]))!;

    /// <summary>Runs `ip -j -d -s link show dev NAME` inside.</summary>
    public JsonNode IpLink(string name) => Assert.Single(Json("ip", "-d", "-s", "link", "show", "dev", name))!;

    /// <summary>Runs a program inside; it must succeed.</summary>
    public string Run(string program, params string[] arguments) => Namespace.Run(() =>
    {
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, $"needs `{program}` (iproute2) as the oracle");
            throw;
        }

        using (process)
        {
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {errors.Result}");
            return output;
        }
    });

    public void Dispose()
    {
        Host.Dispose();
        Namespace.Dispose();
    }
}
