using System.Diagnostics;
using System.Text.Json.Nodes;
using Sleeve.Control.Cni;
using Sleeve.Control.Host;

namespace Sleeve.Control.Tests.Cni;

/// <summary>What <c>sleeve cni install</c> writes, keeps and removes.</summary>
public sealed class InstallerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-install-").FullName;
    private readonly List<string> _said = [];

    private string Plugin => Path.Combine(_folder, "bin", "sleeve");

    [Fact]
    public void Twice_is_as_once_and_undone_is_as_never()
    {
        Of("blue", ["10.1.0.0/16"], 5000).Install();
        Assert.Contains($"wrote {Plugin}", _said);
        Assert.Contains($"wrote {PathOf("blue")}", _said);
        var configuration = JsonNode.Parse(File.ReadAllText(PathOf("blue")))!;
        Assert.Equal("1.0.0", configuration["cniVersion"]!.GetValue<string>());
        var own = configuration["plugins"]![0]!;
        Assert.Equal(("sleeve", "blue", "10.1.0.0/16", 5000), (own["type"]!.GetValue<string>(), own["network"]!.GetValue<string>(), own["subnet"]![0]!.GetValue<string>(), own["vni"]!.GetValue<int>()));
        _said.Clear();
        Of("blue", ["10.1.0.0/16"], 5000).Install();
        Assert.Contains($"unchanged {Plugin}", _said);
        Assert.Contains($"unchanged {PathOf("blue")}", _said);
        Of("blue").Install();
        Assert.Contains($"replaced {PathOf("blue")}", _said);
        Of("green").Install();
        _said.Clear();
        Of("blue").Uninstall();
        Assert.Equal([$"removed {PathOf("blue")}", $"{Plugin} stays for {PathOf("green")}"], _said);
        _said.Clear();
        Of("green").Uninstall();
        Assert.Equal([$"removed {PathOf("green")}", $"removed {Plugin}"], _said);
        Of("green").Uninstall();
        Assert.Empty(Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void What_others_put_there_stays()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Plugin)!);
        File.WriteAllText(Plugin, "#!/bin/sh\necho mine\n");
        Assert.Contains("is not of sleeve cni install's making", Assert.Throws<HostException>(() => Of("blue").Install()).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(PathOf("blue")));
        File.Delete(Plugin);
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf("blue"))!);
        File.WriteAllText(PathOf("blue"), """{"cniVersion":"1.0.0","name":"blue","plugins":[{"type":"bridge"}]}""");
        Assert.Contains("is a configuration of another plugin", Assert.Throws<HostException>(() => Of("blue").Install()).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Plugin));
        Of("blue").Uninstall();
        Assert.True(File.Exists(PathOf("blue")));
    }

    [Fact]
    public async Task The_script_answers_VERSION_itself_and_hands_everything_else_on()
    {
        new CniInstaller(new CniInstallation { Network = "blue", Binaries = Path.Combine(_folder, "bin"), Configurations = Path.Combine(_folder, "conf") }, ["/bin/echo", "it's"], _said.Add).Install();
        Assert.Equal(CniCalls.Serve("VERSION", """{"cniVersion":"1.1.0"}""").Text, await RunAsync("VERSION"));
        Assert.Equal("it's cni\n", await RunAsync("ADD"));
    }

    private async Task<string> RunAsync(string command)
    {
        var start = new ProcessStartInfo(Plugin) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["CNI_COMMAND"] = command;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return output;
    }

    private string PathOf(string network) => Path.Combine(_folder, "conf", $"10-{network}.conflist");

    private CniInstaller Of(string network, string[]? subnets = null, uint? vni = null) => new(
        new CniInstallation { Network = network, Subnets = subnets ?? [], Vni = vni, Binaries = Path.Combine(_folder, "bin"), Configurations = Path.Combine(_folder, "conf") }, ["/usr/bin/sleeve"], _said.Add);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
