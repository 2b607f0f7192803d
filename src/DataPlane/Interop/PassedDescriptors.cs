using System.Globalization;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Open descriptors that one run of the program leaves for the next, each with a name: over execve(2) in an environment variable of our own, or by way of the service manager
/// (sd_listen_fds(3)). What the kernel has queued in them is not lost. Take them once, early, on one thread.
/// </summary>
public sealed class PassedDescriptors : IDisposable
{
    private const string OwnVariable = "SLEEVE_DESCRIPTORS";
    private const string ManagersCount = "LISTEN_FDS";
    private const string ManagersNames = "LISTEN_FDNAMES";
    private const string ManagersPid = "LISTEN_PID";
    private const int FirstOfManager = 3;

    // execve(2): a string of the environment has 128 KiB at most.
    private const int MaxLength = 120_000;

    private readonly Dictionary<string, FileDescriptor> _unclaimed = [];

    private PassedDescriptors()
    {
    }

    /// <summary>How many nobody has claimed yet.</summary>
    public int Count => _unclaimed.Count;

    /// <summary>Takes what was passed, if anything was; children of this process inherit none of it.</summary>
    public static PassedDescriptors Take()
    {
        var passed = new PassedDescriptors();
        foreach (var part in TakeVariable(OwnVariable).Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Split(':', 2) is [var number, var name] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var fd)) passed.Add(name, fd);
        }

        var (pid, count, names) = (TakeVariable(ManagersPid), TakeVariable(ManagersCount), TakeVariable(ManagersNames).Split(':'));
        if (pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture) || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var listed)) return passed;
        for (var i = 0; i < Math.Min(listed, names.Length); i++) passed.Add(names[i], FirstOfManager + i);
        return passed;
    }

    private static string TakeVariable(string name)
    {
        var value = Environment.GetEnvironmentVariable(name) ?? "";
        Environment.SetEnvironmentVariable(name, null);
        _ = LibC.unsetenv(name);
        return value;
    }

    // What is not open, or comes twice, is nothing to rely on.
    private void Add(string name, int fd)
    {
        if (fd < FirstOfManager || LibC.fcntl(fd, LibC.F_SETFD, LibC.FD_CLOEXEC) < 0 || _unclaimed.ContainsKey(name)) return;
        _unclaimed.Add(name, new FileDescriptor(fd));
    }

    /// <summary>Gives a descriptor to the caller, who closes it.</summary>
    public FileDescriptor? TryTake(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _unclaimed.Remove(name, out var descriptor) ? descriptor : null;
    }

    /// <summary>
    /// Leaves descriptors to what <see cref="Execute"/> starts, in this order as far as there is room (some 5,000); the others close. Nothing may start a process any more, which would
    /// inherit them too.
    /// </summary>
    /// <returns>How many are left.</returns>
    public static int Leave(IEnumerable<(string Name, int Descriptor)> descriptors)
    {
        ArgumentNullException.ThrowIfNull(descriptors);
        var list = new System.Text.StringBuilder();
        var left = 0;
        foreach (var (name, fd) in descriptors)
        {
            var part = string.Create(CultureInfo.InvariantCulture, $"{fd}:{name}/");
            if (list.Length + part.Length > MaxLength) break;
            if (LibC.fcntl(fd, LibC.F_SETFD, 0) < 0) continue;
            list.Append(part);
            left++;
        }

        _ = LibC.setenv(OwnVariable, list.ToString(), 1);
        return left;
    }

    /// <summary>Puts a program in the place of this one (execvp(3)): same process, other threads end at once. Returns only if that fails.</summary>
    /// <returns>The errno.</returns>
    public static int Execute(IReadOnlyList<string> words)
    {
        ArgumentNullException.ThrowIfNull(words);
        _ = LibC.execvp(words[0], [.. words, null]);
        return System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
    }

    /// <summary>Sets a variable for what <see cref="Execute"/> starts.</summary>
    public static void SetVariable(string name, string value) => _ = LibC.setenv(name, value, 1);

    /// <summary>Closes what nobody claimed.</summary>
    public void Dispose()
    {
        foreach (var descriptor in _unclaimed.Values) descriptor.Dispose();
        _unclaimed.Clear();
    }
}
