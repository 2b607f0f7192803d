using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>A user as the host knows it (getpwnam(3)), and the way to become one.</summary>
/// <param name="Name">Login name.</param>
/// <param name="Id">User id.</param>
/// <param name="Group">Id of the user's own group.</param>
public sealed unsafe record UserAccount(string Name, uint Id, uint Group)
{
    private static readonly Lock Looking = new();

    /// <summary>The user that this process works as.</summary>
    public static uint CurrentId => LibC.geteuid();

    /// <summary>Finds a user by name.</summary>
    /// <returns>Null if there is none.</returns>
    public static UserAccount? Find(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        // The answer stands in one place for the whole process.
        lock (Looking) return Read(LibC.getpwnam(name));
    }

    /// <summary>Finds a user by id.</summary>
    /// <returns>Null if there is none.</returns>
    public static UserAccount? Find(uint id)
    {
        lock (Looking) return Read(LibC.getpwuid(id));
    }

    private static UserAccount? Read(LibC.passwd* entry) =>
        entry == null ? null : new UserAccount(Marshal.PtrToStringUTF8((nint)entry->pw_name)!, entry->pw_uid, entry->pw_gid);

    /// <summary>Makes a file or directory this user's, whatever it is: a link is not followed.</summary>
    /// <exception cref="ErrnoException">EPERM: only root may.</exception>
    public void TakeOver(string path)
    {
        if (LibC.lchown(path, Id, Group) < 0) throw ErrnoException.Last(nameof(LibC.lchown), path);
    }

    /// <summary>
    /// Replaces this process by a program that runs as this user, with some capabilities, and no way to get others: the bounding set is empty and
    /// no_new_privs is set (capabilities(7), prctl(2)). A process of several threads cannot change its identity at once by itself, but a new
    /// program begins with that of the thread that started it.
    /// </summary>
    /// <param name="keep">What it keeps, as far as this thread has it.</param>
    /// <param name="program">The program, with the words that it always needs; files among them must be readable for this user.</param>
    /// <param name="arguments">The rest of its words.</param>
    /// <exception cref="ErrnoException">It cannot be done. The process has lost rights meanwhile and should end.</exception>
    public void Run(CapabilitySet keep, IReadOnlyList<string> program, IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(arguments);
        var (effective, permitted) = ThreadCapabilities.Read();
        keep = keep.Within(permitted);
        // In this order: what is inheritable must be in the bounding set when it becomes so; to empty that takes a capability that goes with the user id.
        Require(ThreadCapabilities.TryWrite(effective, permitted, keep), nameof(LibC.capset), keep.ToString());
        for (var number = 0; number < 64 && LibC.prctl(LibC.PR_CAPBSET_DROP, (nuint)number, 0, 0, 0) == 0; number++)
        {
        }

        Require(LibC.prctl(LibC.PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0, nameof(LibC.prctl), "PR_SET_KEEPCAPS");
        Require(LibC.initgroups(Name, Group) == 0, nameof(LibC.initgroups), Name);
        Require(LibC.setresgid(Group, Group, Group) == 0, nameof(LibC.setresgid), Name);
        Require(LibC.setresuid(Id, Id, Id) == 0, nameof(LibC.setresuid), Name);
        Require(ThreadCapabilities.TryWrite(keep, keep, keep), nameof(LibC.capset), keep.ToString());
        for (var number = 0; number < 64; number++)
        {
            if (keep.Has(number)) Require(LibC.prctl(LibC.PR_CAP_AMBIENT, LibC.PR_CAP_AMBIENT_RAISE, (nuint)number, 0, 0) == 0, nameof(LibC.prctl), "PR_CAP_AMBIENT_RAISE");
        }

        Require(LibC.prctl(LibC.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, nameof(LibC.prctl), "PR_SET_NO_NEW_PRIVS");
        foreach (var file in program.Where(Path.IsPathRooted)) Require(HostAccess.MayRead(file), nameof(LibC.open), file);
        _ = LibC.execvp(program[0], [.. program, .. arguments, null]);
        throw ErrnoException.Last(nameof(LibC.execvp), program[0]);
    }

    private static void Require(bool isDone, string call, string subject)
    {
        if (!isDone) throw ErrnoException.Last(call, subject);
    }
}
