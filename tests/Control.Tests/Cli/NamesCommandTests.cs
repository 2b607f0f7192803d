using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Naming;
using Sleeve.Control.Tests.Api;
using static Sleeve.Control.Tests.Naming.Messages;

namespace Sleeve.Control.Tests.Cli;

/// <summary><c>sleeve names</c> and its routes, against a server with two networks.</summary>
[Collection(ConsoleTests.Name)]
public sealed class NamesCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-names").FullName;

    private string Socket => Path.Combine(_folder, "s.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<WebApplication> ServeAsync(bool hasCluster = true)
    {
        var prod = Network("prod", "10.1.0.0/16 fd00:1::/64", ("one", "web www", "10.1.0.2 fd00:1::2"), ("two", "www", "10.1.0.3"));
        var empty = Network("empty", "");
        var place = new NamePlace("prod", "br-prod", [.. Addresses("10.1.0.1")]);
        var desk = new NameDesk(
            new NameOptions(), name => name switch { "prod" => prod, "empty" => empty, _ => null }, static host => host == "one",
            name => name == "prod" ? new NameServerState(place, true, null, new NameTally()) : null);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(Socket));
        builder.Services.AddRoutingCore();
        var application = builder.Build();
        application.UseRouting();
        NameRoutes.Map(application, () => hasCluster ? desk : null);
        await application.StartAsync();
        return application;
    }

    private Outcome Run(string words) => Outcome.Of($"{words} --socket {Socket}");

    [Fact]
    public async Task Names_are_listed_with_whose_they_are()
    {
        await using var server = await ServeAsync();
        var json = JsonNode.Parse(Run("names prod --json").Output)!;
        Assert.Equal(("prod", "sleeve", true), ((string)json["network"]!, (string)json["domain"]!, (bool)json["server"]!["serving"]!));
        Assert.Equal(["web", "www"], json["names"]!.AsArray().Select(static name => (string)name!["name"]!));
        Assert.Equal(["10.1.0.2 one True", "10.1.0.3 two False", "fd00:1::2 one True"],
            json["names"]![1]!["addresses"]!.AsArray().Select(static each => $"{each!["address"]} {each["host"]} {(bool)each["up"]!}"));
        Assert.StartsWith("served on 10.1.0.1 of br-prod: 0 questions", Run("names prod").Output, StringComparison.Ordinal);
        Assert.Equal("no names; endpoints get theirs when they are attached\n", Run("names empty").Output);
    }

    [Theory]
    [InlineData("names prod WEB", 0, "10.1.0.2\nfd00:1::2\n", "")]
    [InlineData("names prod www.prod.sleeve.", 0, "10.1.0.2\nfd00:1::2\n", "")]
    [InlineData("names prod fd00:1::2", 0, "web.prod.sleeve\n", "")]
    [InlineData("names prod 10.1.0.3", 1, "", "sleeve names: 10.1.0.3: the name is known, but has no address here now (sleeve names prod shows whose it is)\n")]
    [InlineData("names prod nobody", 1, "", "sleeve names: nobody: there is no such name in network prod (sleeve names prod lists them)\n")]
    [InlineData("names prod example.com", 1, "", "sleeve names: example.com: none of network prod; its members have it from the host's resolvers\n")]
    [InlineData("names other", 1, "", "sleeve names: network other: there is none (sleeve net ls)\n")]
    [InlineData("names other web", 1, "", "sleeve names: network other: there is none (sleeve net ls)\n")]
    public async Task A_name_is_looked_up_as_for_a_member(string words, int code, string output, string errors)
    {
        await using var server = await ServeAsync();
        Assert.Equal(new Outcome(code, output, errors), Run(words));
    }

    [Fact]
    public async Task Where_nothing_is_shared_there_are_no_names()
    {
        await using var server = await ServeAsync(hasCluster: false);
        Assert.Equal(
            new Outcome(ExitCode.Failed, "", "sleeve names: names: this VTEP shares no networks with other hosts; sleeve daemon with a store does\n"), Run("names prod"));
        using var api = new ApiCaller(Socket);
        Assert.Equal("urn:sleeve:problem:not-supported", (await api.SendAsync("GET v1/networks/prod/names/web")).Problem);
    }

    [Fact]
    public async Task A_name_that_is_too_long_is_refused()
    {
        await using var server = await ServeAsync();
        using var api = new ApiCaller(Socket);
        Assert.Equal(400, (await api.SendAsync($"GET v1/networks/prod/names/{new string('x', 254)}")).Status);
        Assert.Equal(200, (await api.SendAsync($"GET v1/networks/prod/names/{new string('x', 253)}")).Status);
        Assert.Equal($"sleeve names: NAME {new string('x', 254)}: must be a name of 1 to 253 characters, or an address\n", Run($"names prod {new string('x', 254)}").Errors);
    }
}
