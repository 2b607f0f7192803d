using System.Globalization;

namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// A user without any privilege on a host of the lab, on whom the machine is made to look like an ordinary one: an entry in /etc/passwd with
/// subordinate ids, $XDG_RUNTIME_DIR, a /run of root's, and /dev/net/tun for everybody. All of that is in a mount namespace of its own, which a
/// process keeps, and is gone with the lab.
/// </summary>
public sealed class OrdinaryUser
{
    // Where several hosts of one test have their users they are different people.
    private const int FirstId = 4242;

    private const string SetUp = """
        set -e
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir -p /run/user/$1 /run/home /run/lock
        mount -t tmpfs -o mode=755 tmpfs /dev/net
        mknod -m "$2" /dev/net/tun c 10 200
        cp /etc/passwd /run/passwd
        echo "$3:x:$1:$1::/run/home:/bin/sh" >> /run/passwd
        mount --bind /run/passwd /etc/passwd
        touch /etc/subuid /etc/subgid
        for file in subuid subgid; do
          echo "$3:$((100000 * ($1 - 4000))):65536" > /run/$file
          mount --bind /run/$file /etc/$file
        done
        chown $1:$1 /run/home /run/user/$1
        chmod 700 /run/user/$1
        # The OCI runtime of a rootless container takes cgroups of one version.
        if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
        mount --make-shared /
        echo set up
        exec sleep infinity
        """;

    private readonly Host _host;
    private readonly BackgroundProcess _keeper;

    /// <summary>Makes the user; skips the test where an ordinary user could not run Sleeve.</summary>
    /// <param name="host">Where.</param>
    /// <param name="tunMode">Mode of /dev/net/tun.</param>
    public OrdinaryUser(Host host, string tunMode = "666")
    {
        Requirements.Programs("unshare", "nsenter", "setpriv");
        _host = host;
        Id = FirstId + host.Number;
        Name = $"sleeve-test{host.Number}";
        _keeper = host.Start("unshare", "--mount", "sh", "-c", SetUp, "sh", $"{Id}", tunMode, Name);
        _keeper.WaitForText("set up", TimeSpan.FromSeconds(20));
        foreach (var file in SleeveProgram.Words.Where(Path.IsPathRooted))
            Skip.If(Try(["test", "-r", file]).ExitCode != 0, $"needs .NET and a build where an ordinary user may read them: {file}");
    }

    /// <summary>User and group id.</summary>
    public int Id { get; }

    /// <summary>The name in /etc/passwd.</summary>
    public string Name { get; }

    /// <summary>The host.</summary>
    public Host Host => _host;

    /// <summary>$XDG_RUNTIME_DIR.</summary>
    public string RuntimeFolder => $"/run/user/{Id}";

    /// <summary>The words that run something as this user; more of setpriv(1) may be said.</summary>
    public IReadOnlyList<string> As(params IReadOnlyList<string> privileges) =>
        [.. Within, "setpriv", "--reuid", $"{Id}", "--regid", $"{Id}", "--clear-groups", .. privileges, "env", $"--chdir={Home}", $"HOME={Home}", $"XDG_RUNTIME_DIR={RuntimeFolder}", "USER=" + Name];

    /// <summary>The words that run something as root where this user is.</summary>
    public IReadOnlyList<string> Within => ["nsenter", "-t", _keeper.Id.ToString(CultureInfo.InvariantCulture), "-m"];

    /// <summary>The home directory.</summary>
    public static string Home => "/run/home";

    /// <summary>Runs a command as this user, whatever comes of it.</summary>
    public CommandResult Try(IReadOnlyList<string> words, TimeSpan? timeout = null) => _host.Try([.. As(), .. words], timeout);

    /// <summary>Runs a command line as this user and returns what it printed.</summary>
    public string Run(string line) => Try(Command.Split(line)).Ok();

    /// <summary>Starts a program as this user that runs until it is stopped, at the latest with the lab.</summary>
    public BackgroundProcess Start(params IReadOnlyList<string> words) => _host.Start([.. As(), .. words]);

    /// <summary>Runs `sleeve` as this user.</summary>
    public CommandResult Sleeve(string line) => Try([.. SleeveProgram.Words, .. Command.Split(line)]);

    /// <summary>Starts `sleeve up …` as this user and waits until it says that frames flow.</summary>
    public BackgroundProcess Up(IReadOnlyList<string> words)
    {
        var process = Start([.. SleeveProgram.Words, "up", .. words]);
        process.WaitForText("ready", TimeSpan.FromSeconds(30));
        return process;
    }

    /// <summary>Makes a user and network namespace, as this user; skips the test where that is not allowed.</summary>
    public UserNamespace NewNamespace()
    {
        var trial = Try(["unshare", "-Urn", "true"]);
        Skip.If(trial.ExitCode != 0, $"needs user namespaces for ordinary users: {trial.Error.Trim()}");
        var process = Start("unshare", "-Urn", "sh", "-c", "ip link set lo up; echo made; exec sleep infinity");
        process.WaitForText("made", TimeSpan.FromSeconds(20));
        return new UserNamespace(this, process.Id);
    }
}

/// <summary>A network namespace inside a user namespace, by a process that is in it.</summary>
/// <param name="User">Whose it is.</param>
/// <param name="Process">The process.</param>
public sealed record UserNamespace(OrdinaryUser User, int Process)
{
    /// <summary>Runs a command line inside as its root, whatever comes of it.</summary>
    public CommandResult Try(string line) =>
        User.Try(["nsenter", "-t", Process.ToString(CultureInfo.InvariantCulture), "-U", "-n", "--preserve-credentials", .. Command.Split(line)]);

    /// <summary>Runs a command line inside as its root and returns what it printed.</summary>
    public string Run(string line) => Try(line).Ok();
}
