using System.Globalization;

namespace Sleeve.Control.Api;

/// <summary>How many files this process may have open: what the API takes is missing where frames are sent.</summary>
internal static class DescriptorLimit
{
    private const int Usual = 1024;

    /// <summary>The limit (RLIMIT_NOFILE), which the runtime has raised to the hard one.</summary>
    public static int Read()
    {
        try
        {
            foreach (var line in File.ReadLines("/proc/self/limits"))
                if (line.StartsWith("Max open files", StringComparison.Ordinal))
                    return int.TryParse(line[14..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? limit : int.MaxValue;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Without /proc there is still a limit.
        }

        return Usual;
    }
}
