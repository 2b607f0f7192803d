using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>Where a cluster's etcd is, as people write it.</summary>
public sealed class StoreUriTests
{
    [Theory]
    [InlineData("etcd://10.0.0.1", "http://10.0.0.1:2379/", "/sleeve/1/")]
    [InlineData("etcd://10.0.0.1:4001/", "http://10.0.0.1:4001/", "/sleeve/1/")]
    [InlineData("etcds://a.example,b.example:1234/x/y", "https://a.example:2379/ https://b.example:1234/", "/x/y/")]
    [InlineData("etcds://[2001:db8::1]:2380,[2001:db8::2]/x/", "https://[2001:db8::1]:2380/ https://[2001:db8::2]:2379/", "/x/")]
    [InlineData("etcd://a,a:2379,b", "http://a:2379/ http://b:2379/", "/sleeve/1/")]
    public void Is_read(string text, string endpoints, string root)
    {
        var uri = StoreUri.Parse(text, out var fault);
        Assert.Null(fault);
        Assert.Equal(endpoints, string.Join(' ', uri!.Endpoints));
        Assert.Equal(root, uri.Root);
        Assert.Equal(text.StartsWith("etcds", StringComparison.Ordinal), uri.IsTls);
    }

    [Theory]
    [InlineData("", "must be etcd://")]
    [InlineData("http://a", "must be etcd://")]
    [InlineData("ETCD://a", "must be etcd://")]
    [InlineData("etcd://", "is no host and port")]
    [InlineData("etcd://a,,b", "is no host and port")]
    [InlineData("etcd://a:0", "is no host and port")]
    [InlineData("etcd://a:65536", "is no host and port")]
    [InlineData("etcd://a:x", "is no host and port")]
    [InlineData("etcd://a:", "is no host and port")]
    [InlineData("etcd://2001:db8::1", "is no host and port")]
    [InlineData("etcd://[10.0.0.1]", "is no host and port")]
    [InlineData("etcd://a b", "is no host and port")]
    [InlineData("etcd://a?x", "is no host and port")]
    [InlineData("etcd://a/x?y", "the prefix")]
    [InlineData("etcd://a/x\ny", "the prefix")]
    public void Is_refused_with_what_is_allowed(string text, string why)
    {
        Assert.Null(StoreUri.Parse(text, out var fault));
        Assert.Contains(why, fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault!);
    }

    [Theory]
    [InlineData("etcd://root:secret@a")]
    [InlineData("etcds://a,root:secret@b/x")]
    public void A_password_is_refused_and_not_repeated(string text)
    {
        Assert.Null(StoreUri.Parse(text, out var fault));
        Assert.Contains("--store-password-file", fault, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Has_limits()
    {
        Assert.NotNull(StoreUri.Parse($"etcd://{string.Join(',', Enumerable.Range(1, 16).Select(static i => $"h{i}"))}", out _));
        Assert.Null(StoreUri.Parse($"etcd://{string.Join(',', Enumerable.Range(1, 17).Select(static i => $"h{i}"))}", out _));
        Assert.NotNull(StoreUri.Parse($"etcd://a/{new string('p', 256)}", out _));
        Assert.Null(StoreUri.Parse($"etcd://a/{new string('p', 257)}", out _));
    }
}
