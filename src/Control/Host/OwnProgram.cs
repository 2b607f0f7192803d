using System.Globalization;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Host;

/// <summary>How to start this program again: the executable itself, or `dotnet` with the assembly.</summary>
internal static class OwnProgram
{
    private const string AgentVerb = "namespace-agent";

    /// <summary>The words that start it, to which a verb is added.</summary>
    /// <exception cref="HostException">/proc is not mounted.</exception>
    public static IReadOnlyList<string> Words
    {
        get
        {
            var file = Environment.ProcessPath ?? throw new HostException("cannot find the file of this program: /proc is not mounted");
            return Path.GetFileNameWithoutExtension(file) == "dotnet" ? [file, Path.Combine(AppContext.BaseDirectory, "sleeve.dll")] : [file];
        }
    }

    /// <summary>The words that start it as a <see cref="NamespaceAgent"/>, but for the last.</summary>
    public static IReadOnlyList<string> AgentWords => [.. Words, AgentVerb];

    /// <summary>Serves as one, if these words say so: nobody's verb, and there before the command line is, since somebody waits for it.</summary>
    /// <returns>False if they do not.</returns>
    public static bool ServesNamespace(string[] words)
    {
        if (words is not [AgentVerb, var number] || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var socket)) return false;
        NamespaceAgent.Serve(socket);
        return true;
    }
}
