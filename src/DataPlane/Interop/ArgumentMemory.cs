using System.Globalization;
using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>The words that this process was started with, where the kernel shows them to everybody (/proc/PID/cmdline, proc(5)).</summary>
public static unsafe class ArgumentMemory
{
    // /proc/self/stat: arg_start and arg_end are fields 48 and 49; the second field, in parentheses, may have spaces in it.
    private const int FieldsBeforeState = 2;
    private const int StartField = 48;

    // As long as all words together may be (ARG_MAX is less).
    private const long MaxLength = 16 << 20;

    /// <summary>Overwrites a text in the words with zero bytes, wherever it stands; what the process has read of them already stays as it is. A secret is seen no longer from here on.</summary>
    /// <param name="text">Must not be empty.</param>
    /// <returns>False if the kernel does not say where they are, or there is no such text in them.</returns>
    public static bool Erase(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        if (Find() is not var (start, length)) return false;
        var memory = new Span<byte>((void*)start, length);
        var bytes = Encoding.UTF8.GetBytes(text);
        var isFound = false;
        while (memory.IndexOf(bytes) is >= 0 and var index)
        {
            memory.Slice(index, bytes.Length).Clear();
            isFound = true;
        }

        return isFound;
    }

    private static (nint Start, int Length)? Find()
    {
        string stat;
        try
        {
            stat = File.ReadAllText("/proc/self/stat");
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }

        var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var index = StartField - FieldsBeforeState - 1;
        if (fields.Length <= index + 1) return null;
        if (!long.TryParse(fields[index], NumberStyles.None, CultureInfo.InvariantCulture, out var start)) return null;
        if (!long.TryParse(fields[index + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var end)) return null;
        // The kernel says 0 to whom it does not want to tell.
        return start > 0 && end > start && end - start <= MaxLength ? ((nint)start, (int)(end - start)) : null;
    }
}
