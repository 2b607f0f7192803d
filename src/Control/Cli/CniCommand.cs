using System.CommandLine;
using Sleeve.Control.Cni;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve cni</c>: the plugin for container runtimes, which call it with CNI_COMMAND in the environment (<see cref="CniProgram"/>), and what installs it.</summary>
internal static class CniCommand
{
    private static readonly Setting Network = new("--network", "NETWORK", "The network, after which the configuration is called. [sleeve]", Names.Allowed);
    private static readonly Setting Subnet = new("--subnet", "PREFIX", "ADD makes the network with it if there is none. Repeatable. [ADD makes none]", "an IPv4 or IPv6 prefix such as 10.1.0.0/16", repeatable: true);
    private static readonly Setting VniOption = new("--vni", "VNI", "ADD makes the network with it if there is none. [chosen]", "1 to 16777215");
    private static readonly Setting Binaries = new("--bin-dir", "DIR", "Where the runtime looks for plugins. [/opt/cni/bin]", "the whole path of a folder");
    private static readonly Setting Configurations = new("--conf-dir", "DIR", "Where it looks for configurations. [/etc/cni/net.d]", "the whole path of a folder");
    private static readonly Setting Socket = new("--socket", "PATH", "Unix socket of the daemon. [/run/sleeve/sleeve.sock]", "the whole path of a socket");
    private static readonly Option<bool> Undo = Setting.Flag("--uninstall", "Remove the configuration of the network, and the plugin with the last of them.");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var install = new Command("install", "Put the plugin and a configuration where podman, containerd and CRI-O find them.");
        foreach (var setting in (ReadOnlySpan<Setting>)[Network, Subnet, VniOption, Binaries, Configurations, Socket]) install.Options.Add(setting.Option);
        install.Options.Add(Undo);
        install.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var wanted = new CniInstallation
            {
                Network = reader.Read<string>(Network, ReadName, "sleeve"),
                Subnets = reader.IsGiven(Subnet) ? reader.ReadAll<string>(Subnet, ReadSubnet) : [],
                Vni = reader.IsGiven(VniOption) ? reader.Read<uint>(VniOption, ReadVni, 0) : null,
                Binaries = reader.Read<string>(Binaries, ReadPath, CniInstallation.DefaultBinaries),
                Configurations = reader.Read<string>(Configurations, ReadPath, CniInstallation.DefaultConfigurations),
                Socket = reader.Read<string?>(Socket, ReadPath!, null),
            };
            var isUndone = result.GetValue(Undo);
            return () => Task.Run(() =>
            {
                var installer = new CniInstaller(wanted, OwnProgram.Words, Console.Out.WriteLine);
                if (isUndone) installer.Uninstall();
                else installer.Install();
            });
        }));
        var cni = new Command("cni", "Be the CNI plugin of container runtimes; install it for them.") { install };
        cni.WithExamples("""
            A runtime calls it with CNI_COMMAND in the environment and a configuration on standard input.

            Examples:
              sleeve cni install --network blue
              sleeve cni install --network blue --subnet 10.1.0.0/16     the first container makes the network
              sleeve cni install --network blue --uninstall
              podman run --network blue alpine ping -c1 web
            """);
        return cni;
    }

    private static bool ReadName(string text, out string value) => Names.IsName(value = text);

    private static bool ReadPath(string text, out string value) => (value = text).StartsWith('/') && !text.Contains('\0', StringComparison.Ordinal);

    private static bool ReadSubnet(string text, out string value)
    {
        var isPrefix = AddressPrefix.TryParse(text, out var prefix) && text.Contains('/', StringComparison.Ordinal);
        value = isPrefix ? prefix.ToString() : text;
        return isPrefix;
    }

    private static bool ReadVni(string text, out uint value) => uint.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out value) && value is > 0 and <= Vni.MaxValue;
}
