using Sleeve.Control.Host;

namespace Sleeve.Control.Naming;

/// <summary>
/// /etc/netns/NAME/resolv.conf, which <c>ip netns exec NAME</c> mounts over /etc/resolv.conf (ip-netns(8)). Written only where there is none, with a mark, and removed only if it
/// bears the mark: what an administrator put there stays.
/// </summary>
internal static class NamespaceResolvConf
{
    /// <summary>Where ip-netns(8) looks.</summary>
    public const string DefaultRoot = "/etc/netns";

    private const string FileName = "resolv.conf";
    private const int MaxMark = 256;
    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    /// <summary>Writes the file if there is none, or one of ours of the same wire, or of one that is gone: a left-over of a run that lost its state.</summary>
    /// <param name="namespaceName">Name of the namespace, as in /run/netns.</param>
    /// <param name="wire">The wire that it goes with (<see cref="Remove"/>).</param>
    /// <param name="advice">What it is to say.</param>
    /// <param name="isThere">Whether a wire is there.</param>
    /// <param name="root">Where; another only in tests.</param>
    /// <returns>False if there is another file, which stays.</returns>
    /// <exception cref="HostException">It cannot be written.</exception>
    public static bool Write(string namespaceName, string wire, ResolverAdvice advice, Func<string, bool> isThere, string root = DefaultRoot)
    {
        var path = PathOf(namespaceName, root);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!, FolderMode);
            if (File.Exists(path) && WireOf(path) is var other && other != wire && (other is null || isThere(other))) return false;
            var draft = $"{path}.{Environment.ProcessId}.tmp";
            File.WriteAllText(draft, advice.ToText(wire));
            // Every user of the namespace reads it, whatever this process masks.
            File.SetUnixFileMode(draft, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            // Whole or not at all, whoever reads it meanwhile.
            File.Move(draft, path, overwrite: true);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot write {path}: {failure.Message}");
        }
    }

    /// <summary>
    /// Removes the file that was made for a wire, whichever namespace has it, and its folder if nothing else is in it. Where it is stands in no other place than its mark, so nothing
    /// has to be remembered over a restart, and the namespace may be gone. What is not there is removed.
    /// </summary>
    /// <param name="wire">The wire.</param>
    /// <param name="root">Where; another only in tests.</param>
    /// <exception cref="HostException">It cannot be removed.</exception>
    public static void Remove(string wire, string root = DefaultRoot)
    {
        if (!Directory.Exists(root)) return;
        try
        {
            foreach (var folder in Directory.EnumerateDirectories(root))
            {
                var path = Path.Combine(folder, FileName);
                if (!File.Exists(path) || WireOf(path) != wire) continue;
                File.Delete(path);
                if (!Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
                return;
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot remove the resolv.conf of {wire} in {root}: {failure.Message}");
        }
    }

    // The wire of its mark; null if it was not made here.
    private static string? WireOf(string path)
    {
        try
        {
            using var reader = new StreamReader(path);
            var buffer = new char[MaxMark];
            var text = new string(buffer, 0, reader.ReadBlock(buffer));
            return text.StartsWith(ResolverAdvice.Mark, StringComparison.Ordinal) ? text[ResolverAdvice.Mark.Length..].Split(' ')[0] : null;
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            // Somebody else was faster.
            return null;
        }
    }

    private static string PathOf(string namespaceName, string root) =>
        namespaceName is "" or "." or ".." || namespaceName.Contains('/', StringComparison.Ordinal)
            ? throw new HostException($"'{namespaceName}' cannot name a network namespace: it is no file name in {root}")
            : Path.Combine(root, namespaceName, FileName);
}
