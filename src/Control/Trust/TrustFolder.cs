using Sleeve.Control.Host;

namespace Sleeve.Control.Trust;

/// <summary>The files of what is trusted: in a folder of their own below the state, which only its owner may read. A file is replaced as a whole or not at all.</summary>
internal sealed class TrustFolder
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const long MaxBytes = 4 << 20;

    private readonly string _path;

    /// <summary>Makes the folder if need be.</summary>
    /// <exception cref="HostException">It cannot be made.</exception>
    public TrustFolder(string stateFolder)
    {
        _path = Path.Combine(stateFolder, "trust");
        try
        {
            Directory.CreateDirectory(_path, OwnerOnly | UnixFileMode.UserExecute);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{_path}: cannot be made: {failure.Message}");
        }
    }

    /// <summary>Removes what is trusted below a state folder; what is not there is no error.</summary>
    public static void RemoveAll(string stateFolder)
    {
        var path = Path.Combine(stateFolder, "trust");
        if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
    }

    /// <summary>Where a file is.</summary>
    public string PathOf(string name) => Path.Combine(_path, name);

    /// <summary>Reads a file; null if there is none.</summary>
    /// <exception cref="HostException">It cannot be read.</exception>
    public string? Read(string name)
    {
        var path = PathOf(name);
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists) return null;
            return file.Length <= MaxBytes ? File.ReadAllText(path) : throw new HostException($"{path}: must be at most {MaxBytes} bytes");
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException and not HostException)
        {
            throw new HostException($"{path}: cannot be read: {failure.Message}");
        }
    }

    /// <summary>Writes a file; it is on the disk when this returns.</summary>
    /// <exception cref="HostException">It cannot be written, and is as before.</exception>
    public void Write(string name, string text)
    {
        var path = PathOf(name);
        var draft = path + ".new";
        try
        {
            File.Delete(draft);
            using (var stream = new FileStream(draft, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                writer.Write(text);
                writer.Flush();
                stream.Flush(flushToDisk: true);
            }

            File.Move(draft, path, overwrite: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{path}: cannot be written: {failure.Message}");
        }
    }

    /// <summary>Removes a file; one that is not there is no error.</summary>
    /// <exception cref="HostException">It cannot be removed.</exception>
    public void Remove(string name)
    {
        try
        {
            File.Delete(PathOf(name));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{PathOf(name)}: cannot be removed: {failure.Message}");
        }
    }
}
