using Sleeve.EndToEnd.Rig;

namespace Sleeve.EndToEnd.Packaging;

/// <summary>deploy/install, deploy/uninstall and the Debian package, in a root that is thrown away: what they bring, and that nothing of it stays.</summary>
public sealed class InstallTests : IDisposable
{
    // What is there before and after, without what the package database and the manual's index note of every package; and how two of those differ, without what others on this machine made or removed meanwhile.
    private const string Listing = """
        listing() { find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /dev -o -path /work -o -path /root -o -path /mnt \) -prune -o -print |
            grep -vE '^/var/(lib/dpkg|cache/man|log|lib/systemd|backups)|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|\.cache$' | sort; }
        machine_has() { [ -e "/run/machine$1" ] || [ -L "/run/machine$1" ]; }
        differences() {
            comm -13 "$1" "$2" | while read -r path; do machine_has "$path" || echo "> $path"; done
            comm -23 "$1" "$2" | while read -r path; do if machine_has "$path"; then echo "< $path"; fi; done
        }
        """;

    private readonly string _share = Directory.CreateTempSubdirectory("sleeve-deploy-").FullName;

    public void Dispose() => Directory.Delete(_share, recursive: true);

    [SkippableFact]
    public void Installing_twice_is_as_once_and_uninstalling_leaves_nothing()
    {
        ThrowAwayRoot.Require();
        var output = InRoot($$"""
            {{Listing}}
            listing >/tmp/before
            install="$TREE/deploy/install --from $PROGRAM --service systemd"
            $install
            listing >/tmp/once
            echo "# mine" >>/etc/sleeve/sleeve.yaml
            $install
            listing >/tmp/twice
            differences /tmp/once /tmp/twice >/tmp/differences
            diff /dev/null /tmp/differences
            grep -qx "# mine" /etc/sleeve/sleeve.yaml
            grep -q "^ExecStart=/usr/local/bin/sleeve daemon --config /etc/sleeve/sleeve.yaml " /usr/local/lib/systemd/system/sleeve.service
            sleeve --version
            man -w sleeve sleeve-up sleeve.yaml
            id sleeve
            # A version that brings less takes its surplus away.
            touch /usr/local/lib/sleeve/surplus; echo /usr/local/lib/sleeve/surplus >>/usr/local/lib/sleeve/manifest
            $install | grep "removed /usr/local/lib/sleeve/surplus"
            "$TREE/deploy/uninstall"
            test -e /etc/sleeve/sleeve.yaml
            "$TREE/deploy/uninstall" --purge
            ! id sleeve
            listing >/tmp/after
            differences /tmp/before /tmp/after | grep -vE '^> /usr/local/(share|lib)/[a-z_/0-9.-]*$' && exit 1
            echo clean
            """);
        Assert.EndsWith("clean\n", output, StringComparison.Ordinal);
        Assert.Contains("install: configuration: /etc/sleeve/sleeve.yaml is there and stays as it is", output, StringComparison.Ordinal);
        Assert.Contains("uninstall: /etc/sleeve, /var/lib/sleeve and the user sleeve stay; --purge removes them", output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Without_rights_it_is_refused_before_anything_is_written()
    {
        ThrowAwayRoot.Require();
        var output = InRoot("""
            as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
            chmod -R a+rX "$TREE/deploy"
            as_nobody "$TREE/deploy/install" --from "$PROGRAM" && exit 1
            as_nobody "$TREE/deploy/install" --from "$PROGRAM" --prefix /tmp/mine && exit 1
            "$TREE/deploy/install" --prefix relative && exit 1 || echo "ended with $?"
            "$TREE/deploy/install" --from /tmp && exit 1
            "$TREE/deploy/uninstall" --prefix && exit 1 || echo "ended with $?"
            ! ls -d /usr/local/lib/sleeve /tmp/mine
            """);
        Assert.Contains("install: cannot write /usr/local: run it as root (sudo ", output, StringComparison.Ordinal);
        Assert.Contains("install: only root can make the user sleeve: ", output, StringComparison.Ordinal);
        Assert.Contains("install: --prefix relative: must be an absolute path\nended with 2\n", output, StringComparison.Ordinal);
        Assert.Contains("install: --from /tmp: has no program sleeve; deploy/publish makes such a folder\n", output, StringComparison.Ordinal);
        Assert.Contains("uninstall: --prefix: a value is missing\nended with 2\n", output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void The_Debian_package_installs_removes_and_purges_cleanly()
    {
        ThrowAwayRoot.Require();
        Requirements.Programs("dpkg-deb", "dpkg", "adduser");
        Skip.IfNot(File.Exists("/etc/debian_version"), "needs Debian: the package is tried on this machine's own package database");
        Build();
        var output = InRoot($$"""
            {{Listing}}
            listing >/tmp/before
            dpkg -i /run/share/*.deb
            dpkg -s sleeve | grep '^Status: install ok'
            dpkg -V sleeve
            id sleeve
            sleeve --version
            man -w sleeve sleeve-fdb sleeve.yaml
            test -x /usr/bin/sleeve
            test -e /lib/systemd/system/sleeve.service
            # Bash finds its completion by the name of the command.
            if [ -e /usr/share/bash-completion/bash_completion ]; then bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader sleeve; complete -p sleeve'; fi
            echo "# mine" >>/etc/sleeve/sleeve.yaml
            dpkg --force-confold -i /run/share/*.deb
            grep -qx "# mine" /etc/sleeve/sleeve.yaml
            mkdir -p /var/lib/sleeve; touch /var/lib/sleeve/state
            dpkg -r sleeve
            ! test -e /usr/bin/sleeve
            grep -qx "# mine" /etc/sleeve/sleeve.yaml
            test -e /var/lib/sleeve/state
            dpkg -P sleeve
            ! id sleeve
            listing >/tmp/after
            differences /tmp/before /tmp/after >/tmp/differences
            diff /dev/null /tmp/differences
            echo clean
            """);
        Assert.EndsWith("clean\n", output, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", output, StringComparison.OrdinalIgnoreCase);
    }

    [SkippableFact]
    public void Lintian_has_no_objection_to_the_package()
    {
        Requirements.Programs("dpkg-deb", "lintian");
        Skip.IfNot(File.Exists(Path.Combine(ThrowAwayRoot.Program, "sleeve")), "needs the program: dotnet build");
        var package = Build();
        var judged = Command.Run(["lintian", "--allow-root", "--fail-on", "error,warning", package], timeout: ThrowAwayRoot.Patience);
        Assert.Equal("", judged.Output);
        Assert.Equal(0, judged.ExitCode);
        // The same tree makes the same package.
        var first = File.ReadAllBytes(package);
        Assert.True(first.AsSpan().SequenceEqual(File.ReadAllBytes(Build())), "the package differs when it is built again");
    }

    [SkippableTheory]
    [InlineData("deploy/version")]
    [InlineData("deploy/publish")]
    [InlineData("deploy/install")]
    [InlineData("deploy/uninstall")]
    [InlineData("deploy/startup")]
    [InlineData("deploy/deb/build")]
    [InlineData("deploy/deb/postinst")]
    [InlineData("deploy/deb/prerm")]
    [InlineData("deploy/deb/postrm")]
    [InlineData("deploy/openrc/sleeve")]
    [InlineData("tests/EndToEnd/Packaging/throw-away-root")]
    public void Scripts_are_as_shellcheck_has_them(string path)
    {
        Requirements.Programs("shellcheck");
        var file = Path.Combine(ThrowAwayRoot.Tree, path);
        Assert.Equal("", Command.Run(["shellcheck", file], timeout: ThrowAwayRoot.Patience).Output);
        if (!File.ReadLines(file).First().Contains("bash", StringComparison.Ordinal)) Command.Run(["sh", "-n", file]).Ok();
        Assert.True(File.GetUnixFileMode(file).HasFlag(UnixFileMode.UserExecute), $"{path} cannot be run");
    }

    [Fact]
    public void The_Dockerfile_copies_what_is_there()
    {
        var lines = File.ReadAllLines(Path.Combine(ThrowAwayRoot.Tree, "deploy/docker/Dockerfile"));
        var copied = lines.Where(static line => line.StartsWith("COPY ", StringComparison.Ordinal) && !line.Contains("--from", StringComparison.Ordinal))
            .SelectMany(static line => line.Split(' ')[1..^1]).ToArray();
        Assert.NotEmpty(copied);
        Assert.All(copied, static path => Assert.True(Path.Exists(Path.Combine(ThrowAwayRoot.Tree, path)), path));
        // Every project that the program is made of is restored before the code comes.
        var projects = Directory.GetFiles(Path.Combine(ThrowAwayRoot.Tree, "src"), "*.csproj", SearchOption.AllDirectories).Select(static path => Path.GetRelativePath(ThrowAwayRoot.Tree, path));
        Assert.Empty(projects.Except(copied));
    }

    // Of the program as it was built for the tests, which has no runtime in it; it is to be had here.
    private string Build()
    {
        Command.Run([Path.Combine(ThrowAwayRoot.Tree, "deploy/deb/build"), "--from", ThrowAwayRoot.Program, _share], timeout: ThrowAwayRoot.Patience).Ok();
        return Assert.Single(Directory.GetFiles(_share, "*.deb"));
    }

    private string InRoot(string script)
    {
        var result = ThrowAwayRoot.Run($"TREE={ThrowAwayRoot.Tree}; PROGRAM={ThrowAwayRoot.Program}; {script}", _share);
        Assert.True(result.ExitCode == 0, $"ended with {result.ExitCode}:\n{result.Output}{result.Error}");
        return result.Output;
    }
}
