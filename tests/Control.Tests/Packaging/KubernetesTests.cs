using System.Diagnostics;
using System.Text.Json;
using YamlDotNet.RepresentationModel;
using static Sleeve.Control.Tests.Packaging.ManifestSchema;

namespace Sleeve.Control.Tests.Packaging;

/// <summary>deploy/kubernetes/sleeve.yaml by the schema of Kubernetes, and for what no schema says. What its daemon does is tested end to end (Guests/NodeTests).</summary>
public sealed class KubernetesTests : IDisposable
{
    private static readonly string Manifest = File.ReadAllText(Path.Combine(Root(), "deploy/kubernetes/sleeve.yaml"));
    private readonly ManifestSchema _schema = new();

    [Fact]
    public void Every_object_is_as_the_schema_of_Kubernetes_has_it()
    {
        var objects = Read(Manifest);
        Assert.Equal(["ServiceAccount", "ConfigMap", "DaemonSet"], objects.Select(static each => Text(each, "kind")));
        Assert.All(objects, each => Assert.Equal([], _schema.Judge(each)));
    }

    [Theory]
    [InlineData("hostNetwork: true", "hostNetworks: true", "DaemonSet.spec.template.spec.hostNetworks: there is no such field")]
    [InlineData("hostNetwork: true", "hostNetwork: \"true\"", "DaemonSet.spec.template.spec.hostNetwork: must be of type boolean")]
    [InlineData("runAsUser: 0", "runAsUser: root", "DaemonSet.spec.template.spec.securityContext.runAsUser: must be of type integer")]
    [InlineData("drop: [\"ALL\"]", "drop: ALL", "DaemonSet.spec.template.spec.initContainers[0].securityContext.capabilities.drop: must be of type array")]
    [InlineData("apiVersion: apps/v1", "apiVersion: apps/v2", "DaemonSet.apiVersion: must be apps/v1")]
    [InlineData("  selector:\n    matchLabels:\n      app.kubernetes.io/name: sleeve\n", "", "DaemonSet.spec.selector: is missing")]
    [InlineData("kind: DaemonSet", "kind: DemonSet", "kind: DemonSet is not in the schema")]
    public void The_schema_finds_what_is_wrong(string right, string wrong, string fault)
    {
        var faults = Read(Manifest.Replace(right, wrong, StringComparison.Ordinal)).SelectMany(_schema.Judge).ToArray();
        Assert.Equal(fault, faults.FirstOrDefault() ?? "");
    }

    [Fact]
    public void What_is_mounted_is_there_and_the_labels_agree()
    {
        var daemons = Read(Manifest).Single(static each => Text(each, "kind") == "DaemonSet");
        var pod = At(daemons, "spec", "template", "spec")!;
        var volumes = ListAt(pod, "volumes").Select(static each => Text(each, "name")!).ToHashSet();
        var containers = ListAt(pod, "initContainers").Concat(ListAt(pod, "containers")).ToArray();
        var mounted = containers.SelectMany(static each => ListAt(each, "volumeMounts")).Select(static each => Text(each, "name")!).ToHashSet();
        Assert.Equal(volumes.Order(), mounted.Order());
        Assert.Equal(Text(daemons, "spec", "selector", "matchLabels", "app.kubernetes.io/name"), Text(daemons, "spec", "template", "metadata", "labels", "app.kubernetes.io/name"));
        Assert.Single(containers.Select(static each => Text(each, "image")).Distinct());
        // The plugin has the same path for the node as for the container that installs it; so has the socket.
        Assert.All(
            ListAt(pod, "volumes").Where(static each => At(each, "hostPath") is not null),
            volume => Assert.All(
                containers.SelectMany(static each => ListAt(each, "volumeMounts")).Where(mount => Text(mount, "name") == Text(volume, "name")),
                mount => Assert.Equal(Text(volume, "hostPath", "path"), Text(mount, "mountPath"))));
    }

    [Fact]
    public void No_container_has_more_rights_than_it_says()
    {
        var pod = At(Read(Manifest).Single(static each => Text(each, "kind") == "DaemonSet"), "spec", "template", "spec")!;
        foreach (var container in ListAt(pod, "initContainers").Concat(ListAt(pod, "containers")))
        {
            var context = At(container, "securityContext")!;
            Assert.Null(At(context, "privileged"));
            Assert.Equal("false", Text(context, "allowPrivilegeEscalation"));
            Assert.Equal("true", Text(context, "readOnlyRootFilesystem"));
            Assert.Equal("ALL", ((YamlScalarNode)Assert.Single(ListAt(context, "capabilities", "drop"))).Value);
        }

        Assert.Equal("false", Text(pod, "automountServiceAccountToken"));
    }

    [SkippableFact]
    public void Kubectl_reads_every_field()
    {
        // Changed without a cluster, an object is read into the types of Kubernetes and written again: a field that those do not have is lost on the way.
        var start = new ProcessStartInfo("kubectl", ["set", "image", "--local", "-o", "json", "-f", "-", "sleeve=other:1"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        Process running;
        try
        {
            running = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, "needs the program kubectl, 1.20 or newer");
            return;
        }

        using (running)
        {
            var daemons = Read(Manifest).Single(static each => Text(each, "kind") == "DaemonSet");
            var errors = running.StandardError.ReadToEndAsync();
            new YamlStream(new YamlDocument(daemons)).Save(running.StandardInput, assignAnchors: false);
            running.StandardInput.Close();
            var output = running.StandardOutput.ReadToEnd();
            running.WaitForExit();
            Assert.True(running.ExitCode == 0, errors.Result);
            using var document = JsonDocument.Parse(output);
            Assert.Equal([], Lost(daemons, document.RootElement, "DaemonSet"));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _schema.Dispose();

    private static IEnumerable<string> Lost(YamlNode before, JsonElement after, string path) => (before, after.ValueKind) switch
    {
        (YamlMappingNode mapping, JsonValueKind.Object) => mapping.Children.SelectMany(pair =>
            after.TryGetProperty(((YamlScalarNode)pair.Key).Value!, out var member) ? Lost(pair.Value, member, $"{path}.{pair.Key}") : IsEmpty(pair.Value) ? [] : [$"{path}.{pair.Key}"]),
        (YamlSequenceNode list, JsonValueKind.Array) when list.Children.Count == after.GetArrayLength() => list.Children.Zip(after.EnumerateArray()).SelectMany(pair => Lost(pair.First, pair.Second, $"{path}[]")),
        (YamlScalarNode, not (JsonValueKind.Object or JsonValueKind.Array)) => [],
        _ => [path],
    };

    // Which is written as nothing.
    private static bool IsEmpty(YamlNode node) => node is YamlScalarNode { Value: "false" or "0" or "" };
}
