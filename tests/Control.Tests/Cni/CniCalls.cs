using System.Text;
using System.Text.Json;
using Sleeve.Control.Cni;

namespace Sleeve.Control.Tests.Cni;

/// <summary>Calls the plugin in this process, with an environment of its own, and a daemon that is away.</summary>
internal static class CniCalls
{
    /// <summary>Where no daemon listens.</summary>
    public const string NoSocket = "/sleeve-none/sleeve.sock";

    /// <summary>A configuration with nothing special.</summary>
    public static string Plain(string more = "", string version = "1.0.0") => $$"""{"cniVersion":"{{version}}","name":"blue","type":"sleeve","socket":"{{NoSocket}}"{{(more == "" ? "" : ",")}}{{more}}}""";

    /// <summary>Calls it.</summary>
    public static (int Code, string Text) Serve(string command, string input, params (string Key, string Value)[] environment) => Serve(command, Encoding.UTF8.GetBytes(input), environment);

    /// <summary>Calls it with what may be no text.</summary>
    public static (int Code, string Text) Serve(string command, byte[] input, params (string Key, string Value)[] environment)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["CNI_COMMAND"] = command, ["CNI_CONTAINERID"] = "c1", ["CNI_NETNS"] = "/proc/self/ns/net", ["CNI_IFNAME"] = "eth0", ["CNI_PATH"] = "/none", ["CNI_ARGS"] = "",
        };
        foreach (var (key, value) in environment) variables[key] = value;
        using var stdin = new MemoryStream(input);
        var (code, answer) = CniProgram.Serve(variables.GetValueOrDefault, stdin);
        return (code, Encoding.UTF8.GetString(answer));
    }

    /// <summary>The code of an error, checked to be one as the specification has it.</summary>
    public static int CodeOf((int Code, string Text) answer)
    {
        Assert.Equal(1, answer.Code);
        using var error = JsonDocument.Parse(answer.Text);
        Assert.True(CniVersions.IsSupported(error.RootElement.GetProperty("cniVersion").GetString()!));
        Assert.NotEqual("", error.RootElement.GetProperty("msg").GetString());
        return error.RootElement.GetProperty("code").GetInt32();
    }

    /// <summary>The line of an error.</summary>
    public static string MessageOf((int Code, string Text) answer)
    {
        using var error = JsonDocument.Parse(answer.Text);
        return error.RootElement.GetProperty("msg").GetString()!;
    }
}
