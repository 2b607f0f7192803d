using System.Text;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;

namespace Sleeve.Fuzz;

/// <summary>Configuration files, good ones and bytes of them changed: each is read or refused with lines, and nothing is thrown.</summary>
public sealed class ConfigFuzzTests
{
    private const int Cases = 20_000;

    private static readonly byte[][] Corpus =
    [
        """
        local: 192.0.2.1
        remote: &r [192.0.2.2, '192.0.2.3', "192.0.2.4"]
        proxy: true
        segments:
          - {ifname: vx1, vni: 1, remote: *r, fdb: "02:00:00:00:00:01 dst 192.0.2.9 static"}
          - ifname: vx2
            vni: 2
            mtu: 1400   # a comment
            neigh:
              - 10.0.0.1 lladdr 02:00:00:00:00:02 router
        """u8.ToArray(),
        """
        {"local": "2001:db8::1", "strict": false, "segments": [{"ifname": "a\u0062", "vni": 5, "address": ["fd00::1\/64", null, 1e3]}]}
        """u8.ToArray(),
        "local: |\n  192.0.2.1\nnetns: >-\n  a\n  b\nbridge: \"\\U0001F600\\x41\"\n? vni\n: 5\n"u8.ToArray(),
    ];

    [Fact]
    public void Whatever_the_bytes_a_file_is_read_or_refused()
    {
        var seed = Environment.TickCount;
        var mutator = new Mutator(new Random(seed), Corpus);
        var command = UpCommand.Create();
        var (read, refused) = (0, 0);
        for (var i = 0; i < Cases; i++)
        {
            var text = mutator.Next();
            var errors = new List<string>();
            try
            {
                var file = ConfigFile.Parse("f", text, command, [], errors.Add);
                Assert.True(file is not null || errors.Count > 0, "refused without a word");
                Assert.All(errors, static error => Assert.StartsWith("f:", error, StringComparison.Ordinal));
                if (file is null) refused++;
                else read++;
            }
            catch (Exception failure) when (failure is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, case {i}: {failure.GetType().Name}: {failure.Message}\n{Convert.ToHexString(text)}\n{Encoding.UTF8.GetString(text)}");
            }
        }

        // Both must be met often, or this tests nothing.
        Assert.True(read > Cases / 100 && refused > Cases / 100, $"{read} read, {refused} refused");
    }
}
