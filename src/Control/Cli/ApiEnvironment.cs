using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary>Where the API is if no --socket says so: the environment variable SLEEVE_API, a path or https://HOST:PORT.</summary>
internal sealed class ApiEnvironment : ISettingSource
{
    /// <summary>Its name.</summary>
    public const string Variable = "SLEEVE_API";

    private const string Socket = "--socket";

    /// <inheritdoc/>
    public GivenSetting? Find(Option option) => option.Name == Socket && Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } place
        ? new GivenSetting(Variable, [new GivenWord(place, Variable)], 1)
        : null;

    /// <inheritdoc/>
    public bool? FindFlag(Option<bool> flag) => null;
}
