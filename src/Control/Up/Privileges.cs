using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Up;

/// <summary>What a VTEP needs of root, and how it gives up the rest (docs/privileges.md).</summary>
internal static class Privileges
{
    private const string UnprivilegedPortStart = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    private const int DefaultUnprivilegedPortStart = 1024;

    /// <summary>The capabilities that a user needs for a VTEP.</summary>
    /// <param name="user">Who is to run it.</param>
    /// <param name="vtep">What its segments share.</param>
    /// <param name="segments">Its segments, for the namespaces of their TAPs.</param>
    /// <param name="pathMtu">How path MTUs are kept.</param>
    /// <exception cref="IOException">A namespace cannot be opened.</exception>
    public static CapabilitySet Needed(UserAccount user, VtepOptions vtep, IEnumerable<UpSegment> segments, PathMtuOptions pathMtu)
    {
        // TAPs and their links; the buffers of the sockets.
        var needed = CapabilitySet.Of(LibC.CAP_NET_ADMIN);
        // The packet socket that watches whether super-frames leave, and ICMP probes.
        if (vtep.TransmitOffload is null or TransmitOffload.TunnelGso || pathMtu.ProbeSeconds > 0) needed = needed.With(CapabilitySet.Of(LibC.CAP_NET_RAW));
        // The program that gives a flow its worker.
        if (vtep.Workers > 1) needed = needed.With(CapabilitySet.Of(LibC.CAP_BPF));
        if (Math.Min(vtep.Port, vtep.SourcePortMin) < LeastUnprivilegedPort()) needed = needed.With(CapabilitySet.Of(LibC.CAP_NET_BIND_SERVICE));
        foreach (var name in segments.Select(static segment => segment.NetworkNamespace).OfType<string>().Distinct()) needed = needed.With(NeededToEnter(user, name));
        return needed;
    }

    // The user's own are entered by way of their user namespace, which takes nothing.
    private static CapabilitySet NeededToEnter(UserAccount user, string name)
    {
        using var opened = NetworkNamespace.Open(name);
        if (opened.OwnerId == user.Id) return default;
        // To find it by a process of somebody else's takes the right to look into that.
        return NetworkNamespace.IsProcess(name) ? CapabilitySet.Of(LibC.CAP_SYS_ADMIN, LibC.CAP_SYS_PTRACE) : CapabilitySet.Of(LibC.CAP_SYS_ADMIN);
    }

    private static int LeastUnprivilegedPort()
    {
        try
        {
            return int.Parse(File.ReadAllText(UnprivilegedPortStart), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException)
        {
            return DefaultUnprivilegedPortStart;
        }
    }

    /// <summary>Starts this process anew as a user, with what is needed and no way to get more; returns only if it is the user's already.</summary>
    /// <param name="name">An ordinary user.</param>
    /// <param name="needed">Says which capabilities that user needs.</param>
    /// <param name="state">A folder for its state that need not be the usual one: made if it is not there, and otherwise left as it is. Null for none.</param>
    /// <exception cref="IOException">It cannot be done, with the reason in one line.</exception>
    public static void Become(string name, Func<UserAccount, CapabilitySet> needed, string? state = null)
    {
        var user = UserAccount.Find(name) ?? throw new HostException($"--user {name}: there is no such user (getent passwd)");
        if (UserAccount.CurrentId == user.Id) return;
        if (UserAccount.CurrentId != 0) throw new HostException($"--user {name}: only root can start as another user; this is {NameOf(UserAccount.CurrentId)}");
        var keep = needed(user);
        try
        {
            foreach (var folder in HostFolders.OfSystem) Prepare(folder, user);
            if (state is not null && !Directory.Exists(state)) Prepare(state, user);
            RemoveDiagnosticPorts();
            user.Run(keep, OwnProgram.Words, Environment.GetCommandLineArgs()[1..]);
        }
        catch (UnauthorizedAccessException failure)
        {
            throw new HostException($"--user {name}: {failure.Message}");
        }
        catch (ErrnoException failure)
        {
            throw new HostException(failure.Call == nameof(LibC.open)
                ? $"--user {name}: {name} may not read {failure.Message[(nameof(LibC.open).Length + 1)..]}; install it where everybody may, such as /usr/local"
                : $"--user {name}: {failure.Message}");
        }
    }

    // What is in a folder of root's was made by root. In one that the user could write to already nothing is touched: who knows what it is.
    private static void Prepare(string folder, UserAccount user)
    {
        try
        {
            Directory.CreateDirectory(folder);
            if (!HostAccess.IsOwnedBy(folder, 0)) return;
            foreach (var entry in Directory.EnumerateFileSystemEntries(folder)) user.TakeOver(entry);
            user.TakeOver(folder);
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException and not ErrnoException)
        {
            throw new HostException($"cannot prepare {folder} for {user.Name}: {failure.Message}");
        }
    }

    // .NET would remove them at its end, which exec does not let it come to; the next program of the same process id makes its own.
    private static void RemoveDiagnosticPorts()
    {
        foreach (var kind in (ReadOnlySpan<string>)["dotnet-diagnostic", "clr-debug-pipe"])
            foreach (var left in Directory.EnumerateFileSystemEntries(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"{kind}-{Environment.ProcessId}-*"))) File.Delete(left);
    }

    /// <summary>Who runs it and what that user may do, in one line; null for root.</summary>
    public static string? Describe() =>
        UserAccount.CurrentId == 0 ? null : $"runs as {NameOf(UserAccount.CurrentId)} with {ThreadCapabilities.Effective}";

    private static string NameOf(uint id) => string.Create(CultureInfo.InvariantCulture, $"{UserAccount.Find(id)?.Name ?? "a user without a name"} (uid {id})");
}
