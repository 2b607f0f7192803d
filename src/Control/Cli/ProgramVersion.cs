using System.Reflection;

namespace Sleeve.Control.Cli;

/// <summary>Which build this is.</summary>
internal static class ProgramVersion
{
    /// <summary>As <c>sleeve --version</c> says it: <c>0.1.0+git214.75e6780b1a</c>; what follows the plus is the commit.</summary>
    public static string Full { get; } = typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    /// <summary>The release alone: <c>0.1.0</c>.</summary>
    public static string Release => Full.Split('+')[0];
}
