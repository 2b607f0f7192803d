using Sleeve.Control.Trust;

namespace Sleeve.Control.Tests.Trust;

/// <summary>The form of tokens.</summary>
public sealed class JoinTokenTests
{
    private static readonly string Hash = new('a', 64);

    [Fact]
    public void Is_read_back_as_it_was_printed()
    {
        var token = JoinToken.New(Hash);
        Assert.Equal(JoinToken.Length, token.Reveal().Length);
        Assert.True(JoinToken.TryParse($" {token.Reveal()}\n", out var read));
        Assert.Equal(token, read);
        Assert.NotEqual(token.Secret, JoinToken.New(Hash).Secret);
        Assert.DoesNotContain(token.Secret, token.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Takes_nothing_else_for_one()
    {
        var good = JoinToken.New(Hash).Reveal();
        Assert.False(JoinToken.TryParse(null, out _));
        Assert.False(JoinToken.TryParse("", out _));
        Assert.False(JoinToken.TryParse(good[..^1], out _));
        Assert.False(JoinToken.TryParse(good + "0", out _));
        Assert.False(JoinToken.TryParse(good.ToUpperInvariant(), out _));
        Assert.False(JoinToken.TryParse(new string('x', 1 << 20), out _));
        for (var i = 0; i < good.Length; i++) Assert.False(JoinToken.TryParse($"{good[..i]}g{good[(i + 1)..]}", out _), $"{i}");
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", 4789, "192.0.2.1:4789")]
    [InlineData("192.0.2.1:80", "192.0.2.1", 80, "192.0.2.1:80")]
    [InlineData("2001:db8::1", "2001:db8::1", 4789, "[2001:db8::1]:4789")]
    [InlineData("[2001:db8::1]", "2001:db8::1", 4789, "[2001:db8::1]:4789")]
    [InlineData("[2001:db8::1]:80", "2001:db8::1", 80, "[2001:db8::1]:80")]
    [InlineData("server.example", "server.example", 4789, "server.example:4789")]
    [InlineData("server:65535", "server", 65535, "server:65535")]
    public void A_place_is_a_host_and_perhaps_a_port(string text, string host, int port, string shown)
    {
        Assert.True(JoinPlace.TryParse(text, out var place));
        Assert.Equal((host, port, shown), (place.Host, place.Port, place.ToString()));
        Assert.Equal((port, "https"), (place.Uri.Port, place.Uri.Scheme));
    }

    [Theory]
    [InlineData("")]
    [InlineData("host:0")]
    [InlineData("host:65536")]
    [InlineData("host:")]
    [InlineData("host:+1")]
    [InlineData("a:b:c")]
    [InlineData("[::1")]
    [InlineData("host/path")]
    [InlineData("user@host")]
    [InlineData("https://host")]
    [InlineData("-")]
    [InlineData("ho st")]
    public void Anything_else_is_no_place(string text) => Assert.False(JoinPlace.TryParse(text, out _));
}
