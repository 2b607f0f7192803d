using System.Globalization;

namespace Sleeve.Control.Api;

/// <summary>How many files this process may have open: what the API takes is missing where frames are sent.</summary>
internal static class DescriptorLimit
{
    /// <summary>With fewer the runtime itself may not find its parts, of which it keeps each open: some 200.</summary>
    public const int Least = 512;

    /// <summary>Descriptors that no segment takes: parts of the runtime that are loaded when they are needed, source ports and commands take some.</summary>
    public const int Reserve = 192;

    private const int Usual = 1024;

    /// <summary>Whether no more than <see cref="Reserve"/> are left.</summary>
    public static bool IsNearlyReached()
    {
        try
        {
            // The kernel gives out the lowest number that is free.
            using var lowest = File.OpenHandle("/dev/null");
            return lowest.DangerousGetHandle() >= Read() - Reserve;
        }
        catch (IOException)
        {
            return true;
        }
    }

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
