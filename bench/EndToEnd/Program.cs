using Sleeve.Bench.EndToEnd.Cli;
using Sleeve.Bench.EndToEnd.Load;
using Sleeve.Bench.EndToEnd.Rig;

// A generator starts in the middle of a measurement: nothing is loaded that it does not need.
if (args is [var verb, ..] && LoadWords.Verbs.TryGetValue(verb, out var load))
{
    try
    {
        return load(new LoadWords(args[1..]));
    }
    catch (Exception failure) when (failure is InvalidOperationException or Sleeve.DataPlane.Interop.ErrnoException or IOException)
    {
        Console.Error.WriteLine($"{verb}: {failure.Message}");
        return 1;
    }
}

try
{
    return BenchCommand.Create().Parse(args).Invoke();
}
catch (BenchFailure failure)
{
    Console.Error.WriteLine($"bench: {failure.Message}");
    return 1;
}
