using Microsoft.Extensions.Logging;
using Sleeve.Control.Cli;
using Sleeve.Control.Logging;
using Sleeve.Control.Up;

namespace Sleeve.Control.Tests.Cli;

/// <summary>--otlp and --log of a running VTEP.</summary>
public class TelemetrySettingsTests
{
    private static IReadOnlyList<string> Read(string line, out UpOptions? options)
    {
        var result = CommandLine.Parse(CommandLine.CreateRoot(), $"up vx0 vni 1 local 192.0.2.1 {line}".Split(' ', StringSplitOptions.RemoveEmptyEntries), out var errors);
        options = null;
        return errors.Count > 0 ? errors : UpCommand.TryRead(result, out options);
    }

    [Fact]
    public void Nothing_is_pushed_unless_asked_for()
    {
        Assert.Empty(Read("", out var options));
        Assert.Null(options!.Frontend.Otlp);
        Assert.Equal(new LogOptions(LogLevel.Information, LogFormat.Text), options.Frontend.Log);
    }

    [Theory]
    [InlineData("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics")]
    [InlineData("https://collector.example/", "https://collector.example/v1/metrics")]
    [InlineData("http://[2001:db8::1]:4318/own/path", "http://[2001:db8::1]:4318/own/path")]
    [InlineData("http://h/?x=1", "http://h/?x=1")]
    public void A_URL_without_a_path_gets_that_of_the_protocol(string url, string target)
    {
        Assert.Empty(Read($"--otlp {url} --otlp-interval 5 --log-level debug --log-format json", out var options));
        Assert.Equal((target, 5), (options!.Frontend.Otlp!.Target.AbsoluteUri, options.Frontend.Otlp.IntervalSeconds));
        Assert.Equal(new LogOptions(LogLevel.Debug, LogFormat.Json), options.Frontend.Log);
    }

    [Theory]
    [InlineData("--otlp collector:4318", "--otlp collector:4318: must be an http:// or https:// URL of at most 2048 characters")]
    [InlineData("--otlp ftp://x", "--otlp ftp://x: must be an http:// or https:// URL of at most 2048 characters")]
    [InlineData("--otlp /v1", "--otlp /v1: must be an http:// or https:// URL of at most 2048 characters")]
    [InlineData("--otlp http://u:p@x", "--otlp http://u:p@x: must be an http:// or https:// URL of at most 2048 characters")]
    [InlineData("--otlp http://x --otlp-interval 0", "--otlp-interval 0: must be 1 to 3600 (seconds)")]
    [InlineData("--otlp http://x --otlp-interval 3601", "--otlp-interval 3601: must be 1 to 3600 (seconds)")]
    [InlineData("--otlp-interval 10", "--otlp-interval: needs --otlp")]
    [InlineData("--log-level verbose", "--log-level verbose: must be error, warning, info or debug")]
    [InlineData("--log-level INFO", "--log-level INFO: must be error, warning, info or debug")]
    [InlineData("--log-format xml", "--log-format xml: must be text or json")]
    public void Anything_else_is_one_line(string words, string error) => Assert.Equal([error], Read(words, out _));
}
