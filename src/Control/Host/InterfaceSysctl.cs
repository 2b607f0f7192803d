using System.Globalization;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>
/// The per-interface settings under /proc/sys/net (Documentation/networking/ip-sysctl.rst), in the calling thread's network namespace. Those of
/// an interface go with it.
/// </summary>
internal static class InterfaceSysctl
{
    /// <summary>The pseudo-interface whose value is combined with each interface's own.</summary>
    public const string All = "all";

    /// <summary>The pseudo-interface whose values new interfaces begin with.</summary>
    public const string Default = "default";

    /// <summary>Reads a number; null if the kernel does not have it.</summary>
    /// <param name="family">ipv4 or ipv6.</param>
    /// <param name="name">Interface.</param>
    /// <param name="key">Setting.</param>
    public static int? Read(string family, string name, string key)
    {
        try
        {
            return int.Parse(File.ReadAllText(PathOf(family, name, key)), CultureInfo.InvariantCulture);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes a number.</summary>
    /// <exception cref="HostException">There is no such setting in this kernel, or it may not be written (/proc/sys is read-only in most containers).</exception>
    public static void Write(string family, string name, string key, int value)
    {
        var path = PathOf(family, name, key);
        try
        {
            File.WriteAllText(path, value.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot write {path}: {(File.Exists(path) ? failure.Message : "this kernel does not have it")}", LibC.EACCES);
        }
    }

    private static string PathOf(string family, string name, string key) => $"/proc/sys/net/{family}/conf/{name}/{key}";
}
