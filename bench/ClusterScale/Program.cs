using System.Globalization;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.ClusterScale.Cli;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Bench.ClusterScale.Roles;

try
{
    return args switch
    {
        ["store", var folder, var port] => await StoreRole.RunAsync(folder, Number(port)),
        ["host", var peers, var endpoints, var networks, var uri, var folder] =>
            await HostRole.RunAsync(new ClusterModel(Number(peers), Number(endpoints), Number(networks)), new StorePlace(new Uri(uri)), folder),
        ["watchers", var uri, var count, var from] => await WatcherRole.RunAsync(new StorePlace(new Uri(uri)), Number(count), Number(from)),
        _ => await ScaleCommand.Create().Parse(args).InvokeAsync(),
    };
}
catch (Exception failure) when (failure is BenchFailure or IOException)
{
    Console.Error.WriteLine($"scale: {failure.Message}");
    return 1;
}

static int Number(string word) => int.Parse(word, CultureInfo.InvariantCulture);
