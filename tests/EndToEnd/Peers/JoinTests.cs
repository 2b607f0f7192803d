using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Peers;

/// <summary>
/// Hosts that join by a token, with the programs as they are.
/// <code>
///     a: sleeve daemon, serves ═══ switch ═══ b, c: sleeve daemons that join
/// </code>
/// </summary>
public sealed class JoinTests(ITestOutputHelper output) : LabTest(output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [SkippableFact]
    public void Two_words_on_two_hosts_make_a_cluster_that_outlives_restarts()
    {
        var (a, b, _) = GivenMembers();
        var command = a.Run("token --ttl 10m").Ok().Trim();
        Assert.Matches($@"^sleeve join {a.Host.Address} --token S10\w{{64}}::\w{{8}}:\w{{32}}$", command);
        Assert.Equal($"joined {a.Host.Address}:4789 as b\n", b.Run(command["sleeve ".Length..]).Ok());
        AwaitPeers(a, "a", "b");
        AwaitPeers(b, "a", "b");
        var token = command.Split(' ')[^1];
        foreach (var daemon in new[] { a, b }) Assert.DoesNotContain(token.Split(':')[^1], daemon.Process.Error, StringComparison.Ordinal);

        var starts = Peer(b, "b").GetProperty("generation").GetInt64();
        b.Stop();
        b.Start();
        AwaitPeers(b, "a", "b");
        Wait.Until(() => Peer(b, "b").GetProperty("generation").GetInt64() == starts + 1, "the start was counted", Patience);
        a.Kill();
        a.Start();
        AwaitPeers(b, "a", "b");
        Assert.Contains("already", b.Run(command["sleeve ".Length..]).Error, StringComparison.Ordinal);

        b.Run("leave").Ok();
        AwaitPeers(a, "a");
        Assert.Contains("nothing to leave", b.Run("leave").Error, StringComparison.Ordinal);
        Assert.Equal($"joined {a.Host.Address}:4789 as bee\n", b.Run($"{command["sleeve ".Length..]} --name bee").Ok());
        AwaitPeers(a, "a", "bee");
    }

    [SkippableFact]
    public void A_token_that_is_wrong_ended_used_up_or_removed_lets_nobody_in()
    {
        var (a, b, c) = GivenMembers();
        var token = TokenOf(a, "--uses 1");
        var wrong = token[..^1] + (token[^1] == '0' ? '1' : '0');
        Assert.Contains("the token is not one of this host's", Refused(b, wrong), StringComparison.Ordinal);
        Assert.Contains("is not the host that made the token", Refused(b, $"S10{new string('0', 64)}{token[67..]}"), StringComparison.Ordinal);
        var ended = TokenOf(a, "--ttl 1s");
        Thread.Sleep(1500);
        Assert.Contains("the token has ended", Refused(b, ended), StringComparison.Ordinal);
        var removed = TokenOf(a, "");
        a.Run($"token rm {removed[69..77]}").Ok();
        Assert.Contains("the token is not one of this host's", Refused(b, removed), StringComparison.Ordinal);
        Join(b, a, token);
        Assert.Contains("used as often as it may be", Refused(c, token), StringComparison.Ordinal);
        Assert.Contains("name b: another host has it", Refused(c, TokenOf(a, ""), "--name b"), StringComparison.Ordinal);
        var bad = c.Run($"join {a.Host.Address} --token secret-that-was-typed-wrong");
        Assert.Equal(2, bad.ExitCode);
        Assert.DoesNotContain("secret-that-was-typed-wrong", bad.Error, StringComparison.Ordinal);

        string Refused(SleeveDaemon daemon, string with, string more = "")
        {
            var result = daemon.Run($"join {a.Host.Address} --token {with} {more}".TrimEnd());
            Assert.Equal(1, result.ExitCode);
            return result.Error;
        }
    }

    [SkippableFact]
    public void The_token_is_not_to_be_seen_in_the_list_of_processes()
    {
        var (a, b, _) = GivenMembers();
        var token = TokenOf(a, "");
        // The other end takes the connection and says nothing, so that the command stays for a while to be looked at.
        using var silent = a.Host.InNamespace(() => new TcpListener(a.Host.Address, 4790));
        silent.Start();
        var place = $"{a.Host.Address}:4790";
        foreach (var words in new[] { $"join {place} --token {token}", $"join {place} --token={token}", $"join {place} token {token}" })
        {
            using var process = new BackgroundProcess(["ip", "netns", "exec", b.Host.Namespace, "env", $"SLEEVE_API={b.SocketPath}", .. SleeveProgram.Words, .. Command.Split(words)]);
            var seen = "";
            Wait.Until(() =>
            {
                seen = CommandLines();
                return process.HasExited || (seen.Contains(place, StringComparison.Ordinal) && !seen.Contains(token.Split(':')[^1], StringComparison.Ordinal));
            }, "the token is gone", Patience);
            Assert.False(process.HasExited, process.Error);
            Assert.DoesNotContain(token.Split(':')[^1], CommandLines(), StringComparison.Ordinal);
        }

        static string CommandLines() => string.Join('\n', Directory.GetDirectories("/proc").Where(static path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out _)).Select(static path =>
        {
            try
            {
                return File.ReadAllText(Path.Combine(path, "cmdline")).Replace('\0', ' ');
            }
            catch (IOException)
            {
                return "";
            }
        }));
    }

    [SkippableFact]
    public void A_token_comes_by_file_or_by_standard_input_too()
    {
        var (a, b, c) = GivenMembers();
        var token = TokenOf(a, "");
        var file = Path.Combine(Path.GetDirectoryName(b.ConfigPath)!, "token");
        File.WriteAllText(file, token + "\n");
        Assert.Equal($"joined {a.Host.Address}:4789 as b\n", b.Run($"join {a.Host.Address} --token-file {file}").Ok());
        Assert.Equal($"joined {a.Host.Address}:4789 as c\n",
            c.Host.Try(["sh", "-c", $"echo {token} | SLEEVE_API={c.SocketPath} {string.Join(' ', SleeveProgram.Words)} join {a.Host.Address} --token -"]).Ok());
        AwaitPeers(a, "a", "b", "c");
    }

    [SkippableFact]
    public void A_host_that_is_forgotten_is_out_at_once_and_one_that_drains_takes_nothing_new()
    {
        var (a, b, c) = GivenMembers();
        var token = TokenOf(a, "");
        Join(b, a, token);
        Join(c, a, token);
        AwaitPeers(a, "a", "b", "c");
        b.Run("peer drain b").Ok();
        Wait.Until(() => Peer(c, "b").GetProperty("draining").GetBoolean(), "b drains", Patience);
        b.Run("peer drain b --off").Ok();
        Wait.Until(() => !Peer(c, "b").GetProperty("draining").GetBoolean(), "b does not drain", Patience);
        Assert.Contains("only that host, or the one that serves the cluster", c.Run("peer drain b").Error, StringComparison.Ordinal);
        Assert.Contains("is alive", a.Run("peer forget b").Error, StringComparison.Ordinal);
        Assert.Contains("only that host, or the one that serves the cluster", c.Run("peer forget b --force").Error, StringComparison.Ordinal);
        c.Kill();
        Wait.Until(() => !Peer(a, "c").GetProperty("alive").GetBoolean(), "c gives no sign of life", Patience);
        b.Run("peer forget c").Ok();
        AwaitPeers(a, "a", "b");
        c.Launch();
        c.WaitForText("c is no host of this cluster any more");
        AwaitPeers(a, "a", "b");
        a.Run("peer forget b --force").Ok();
        AwaitPeers(a, "a");
        Thread.Sleep(5000);
        AwaitPeers(a, "a");
    }

    private (SleeveDaemon A, SleeveDaemon B, SleeveDaemon C) GivenMembers()
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
        lab.JoinBySwitch(hosts);
        var daemons = hosts.Select(static host => SleeveDaemon.MakeMember(host)).ToArray();
        foreach (var daemon in daemons) daemon.Start();
        return (daemons[0], daemons[1], daemons[2]);
    }

    private static string TokenOf(SleeveDaemon daemon, string more)
    {
        using var made = JsonDocument.Parse(daemon.Run($"token create --json {more}".TrimEnd()).Ok());
        return made.RootElement.GetProperty("token").GetString()!;
    }

    private static void Join(SleeveDaemon daemon, SleeveDaemon to, string token) => daemon.Run($"join {to.Host.Address} --token {token}").Ok();

    private static JsonElement Peer(SleeveDaemon daemon, string name) => daemon.Get("peers").EnumerateArray().Single(peer => peer.GetProperty("name").GetString() == name);

    private static void AwaitPeers(SleeveDaemon daemon, params string[] names)
    {
        IReadOnlyList<string> seen = [];
        Wait.Until(() =>
        {
            seen = [.. daemon.Get("peers").EnumerateArray().Where(static peer => peer.GetProperty("alive").GetBoolean()).Select(static peer => peer.GetProperty("name").GetString()!)];
            return seen.SequenceEqual(names);
        }, $"{daemon.Host.Name} sees {string.Join(' ', names)}", Patience);
    }
}
