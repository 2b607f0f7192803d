namespace Sleeve.Control.Cni;

/// <summary>Versions of the CNI specification.</summary>
internal static class CniVersions
{
    /// <summary>What is supported, the oldest first.</summary>
    public static readonly string[] All = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

    /// <summary>The newest.</summary>
    public static string Latest => All[^1];

    /// <summary>Whether a version is supported.</summary>
    public static bool IsSupported(string version) => Array.IndexOf(All, version) >= 0;

    /// <summary>Whether a supported version is another supported one, or newer.</summary>
    public static bool IsAtLeast(string version, string other) => Array.IndexOf(All, version) >= Array.IndexOf(All, other);
}
