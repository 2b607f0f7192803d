using System.Diagnostics;
using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Demo;

/// <summary>The steps of the demo, in the order they are shown. Each measures what it claims and fails if it is not so.</summary>
internal sealed class Demonstration : IAsyncDisposable
{
    private const string Device = "vx0", Underlay = "eth0", Segment = "100";
    private const int PingCount = 4, PingIntervalMilliseconds = 200, Attempts = 4, SettleMilliseconds = 100;
    private static readonly TimeSpan TransferTime = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan LinkTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan NeighbourTimeout = TimeSpan.FromSeconds(3);

    private readonly DemoScreen _screen;
    private readonly CancellationToken _cancellation;
    private readonly List<RunningSleeve> _sleeves = [];
    private readonly List<(string Name, TimeSpan Time)> _times = [];
    private readonly End _left;
    private readonly End _right;
    private bool _isKernelRight;

    private Demonstration(DemoScreen screen, CancellationToken cancellation)
    {
        _screen = screen;
        _cancellation = cancellation;
        _left = new End("left", "192.0.2.1", "10.1.1.1");
        _right = new End("right", "192.0.2.2", "10.1.1.2");
    }

    /// <summary>Shows everything and takes it down again.</summary>
    /// <exception cref="IOException">A step failed; says in one line which and how. Everything is taken down.</exception>
    public static async Task RunAsync(RightVtep right, CancellationToken cancellation)
    {
        await using var demo = new Demonstration(new DemoScreen(), cancellation);
        await demo.ShowAsync(right);
    }

    /// <summary>Takes down what is left: processes first, then the hosts, with which all else vanishes.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var sleeve in _sleeves) await sleeve.DisposeAsync();
        foreach (var end in (ReadOnlySpan<End>)[_left, _right]) end.Dispose();
    }

    private async Task ShowAsync(RightVtep right)
    {
        _screen.Say("Sleeve is a VXLAN tunnel end point that needs no kernel module. Two network namespaces act as hosts; "
            + "the network of this machine is not touched. It takes about ten seconds.");
        var start = Stopwatch.GetTimestamp();
        await StepAsync("set up", () => SetUpAsync(right));
        await StepAsync("ping", PingAsync);
        await StepAsync("FDB", ShowFdbAsync);
        await StepAsync("ARP", ProxyAsync);
        await StepAsync("TCP", TransferAsync);
        await StepAsync("counters", ShowCountersAsync);
        await StepAsync("end", EndAsync);
        var times = string.Join(", ", _times.Select(static step => string.Create(CultureInfo.InvariantCulture, $"{step.Name} {step.Time.TotalSeconds:0.0} s")));
        _screen.Say(string.Create(CultureInfo.InvariantCulture, $"All steps worked, in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s: {times}."));
        WhatNext();
    }

    private async Task StepAsync(string name, Func<Task> step)
    {
        _cancellation.ThrowIfCancellationRequested();
        _screen.Heading(Headings[_times.Count]);
        var start = Stopwatch.GetTimestamp();
        try
        {
            await step();
        }
        catch (IOException failure) when (_sleeves.Select(static sleeve => sleeve.Fault).FirstOrDefault(static fault => fault is not null) is { } fault)
        {
            throw new DemoFailure($"step {_times.Count + 1}, {name}: {failure.Message} ({fault})");
        }
        catch (IOException failure)
        {
            throw new DemoFailure($"step {_times.Count + 1}, {name}: {failure.Message}");
        }

        _times.Add((name, Stopwatch.GetElapsedTime(start)));
    }

    private static readonly string[] Headings =
    [
        "1/6  Two hosts, one Ethernet segment over UDP",
        "2/6  Ping across the overlay",
        "3/6  What Sleeve has learned",
        "4/6  ARP answered on the spot",
        "5/6  TCP, each way",
        "6/6  The counters",
        "Taking it down",
    ];

    private async Task SetUpAsync(RightVtep right)
    {
        _left.Host = DemoHost.Create(_left.Name);
        _right.Host = DemoHost.Create(_right.Name);
        JoinUnderlay();
        _isKernelRight = right != RightVtep.Sleeve && TryMakeKernelVtep(mustWork: right == RightVtep.Kernel);
        _screen.Picture(Picture(_isKernelRight ? "the kernel's vxlan device" : "Sleeve, a user process"));
        if (_isKernelRight)
        {
            _screen.Say("The right host is set up by netlink as these commands would:");
            _screen.Command("right#", $"ip link add {Device} type vxlan id {Segment} local {_right.Vtep} remote {_left.Vtep} dstport 4789 dev {Underlay}");
            _screen.Command("right#", $"ip address add {_right.Station}/24 dev {Device} && ip link set {Device} up");
            _screen.Say("The left host has Sleeve; this is the command that runs, and what it says:");
        }
        else
        {
            _screen.Say($"{(right == RightVtep.Sleeve ? "As asked," : "The kernel has no vxlan, so")} both hosts have Sleeve; these are the commands that run, and what they say:");
            await StartSleeveAsync(_right, _left);
        }

        await StartSleeveAsync(_left, _right);
    }

    private void JoinUnderlay()
    {
        var (left, right) = (_left.Host.Net, _right.Host.Net);
        left.CreateVethPair(Underlay, Underlay, _right.Host.Space);
        foreach (var end in (ReadOnlySpan<End>)[_left, _right])
        {
            end.UnderlayIndex = end.Host.Net.GetLink(Underlay).Index;
            end.Host.Net.AddAddress(end.UnderlayIndex, new AddressPrefix(end.Vtep, 24));
            end.Host.Net.SetUp(end.UnderlayIndex, up: true);
        }

        // The underlay's own ARP would stand among the packets that are counted.
        left.ReplaceNeighbour(_left.UnderlayIndex, _right.Vtep, right.GetLink(Underlay).Mac);
        right.ReplaceNeighbour(_right.UnderlayIndex, _left.Vtep, left.GetLink(Underlay).Mac);
        if (!left.WaitUntilRunning(_left.UnderlayIndex, LinkTimeout)) throw new DemoFailure("the veth pair between the hosts has no carrier");
    }

    private bool TryMakeKernelVtep(bool mustWork)
    {
        var net = _right.Host.Net;
        try
        {
            var link = net.CreateVxlan(Device, new VxlanOptions
            {
                Id = new Vni(uint.Parse(Segment, CultureInfo.InvariantCulture)),
                Local = _right.Vtep,
                Remote = _left.Vtep,
                LowerIndex = _right.UnderlayIndex,
            });
            net.AddAddress(link.Index, new AddressPrefix(_right.Station, 24));
            net.SetUp(link.Index, up: true);
            return true;
        }
        catch (HostException missing) when (missing.Errno == LibC.EOPNOTSUPP && !mustWork)
        {
            return false;
        }
    }

    private async Task StartSleeveAsync(End here, End there)
    {
        var command = $"up {Device} --vni {Segment} --local {here.Vtep} --remote {there.Vtep} --address {here.Station}/24 --proxy";
        _screen.Command($"{here.Name}#", $"sleeve {command}");
        _sleeves.Add(await RunningSleeve.StartAsync(here.Host, command.Split(' '), _screen.Output, _cancellation));
    }

    private async Task PingAsync()
    {
        _screen.Say($"The left host sends ICMP echo requests, as ping does. They enter {Device} on the left, cross as UDP datagrams "
            + $"to port 4789, and leave {Device} on the right; the replies come back the same way.");
        using var echo = new Echo(_left.Host, _right.Station);
        var replies = 0;
        for (ushort sequence = 1; sequence <= PingCount; sequence++)
        {
            var time = echo.Ask(sequence);
            if (time is not null) replies++;
            _screen.Output(time is { } roundTrip
                ? string.Create(CultureInfo.InvariantCulture, $"64 bytes from {_right.Station}: icmp_seq={sequence} time={roundTrip.TotalMilliseconds:0.00} ms")
                : $"no answer for icmp_seq={sequence}");
            await Task.Delay(PingIntervalMilliseconds, _cancellation);
        }

        if (replies != PingCount) throw new DemoFailure($"{replies} of {PingCount} pings were answered");
        _screen.Good($"{PingCount} of {PingCount} answered. The first took longer: it had to ask by ARP, and the code ran for the first time.");
    }

    private async Task ShowFdbAsync()
    {
        _screen.Say("From what came in, Sleeve knows behind which tunnel end point (dst) a station is. The zeros are the default.");
        var mac = StationMac(_right);
        var lines = await RunSleeveAsync($"fdb show dev {Device}");
        if (!lines.Any(line => line.StartsWith($"{mac} dst {_right.Vtep} ", StringComparison.Ordinal)))
            throw new DemoFailure($"the FDB has no entry for {mac}, the station on the right");
        _screen.Good($"{mac} is {Device} of the right host: learned, so frames for it go to {_right.Vtep} alone.");
    }

    private async Task ProxyAsync()
    {
        var mac = StationMac(_right);
        _screen.Say($"The left host forgets who has {_right.Station} and asks again; packets on its {Underlay} are counted.");
        var (_, crossed) = await AskAsync(mac, isEnough: static crossed => crossed > 0);
        if (crossed == 0) throw new DemoFailure($"no packet on {Underlay} was counted though ARP had to cross");
        _screen.Output($"who has {_right.Station}?  {mac}, from the right host: {crossed} packets");
        _screen.Say("Now Sleeve is told the neighbour, as a control plane would; the left host forgets and asks again.");
        await RunSleeveAsync($"neigh add {_right.Station} lladdr {mac} dev {Device}");
        // Whatever else the hosts say to each other just then (the right one checks its own neighbours now and then) is no part of the answer.
        (var time, crossed) = await AskAsync(mac, isEnough: static crossed => crossed == 0);
        if (crossed != 0) throw new DemoFailure($"{crossed} packets crossed {Underlay} though the ARP proxy should have answered");
        _screen.Output(string.Create(CultureInfo.InvariantCulture, $"who has {_right.Station}?  {mac}, from Sleeve in {time.TotalMilliseconds:0.0} ms: 0 packets"));
        _screen.Good("0 packets crossed the underlay: this is how large segments keep broadcast off their network.");
    }

    /// <summary>Forgets the right station's MAC, has the left host ask for it, and counts what crossed; again, if it is not what is looked for.</summary>
    private async Task<(TimeSpan Time, ulong Crossed)> AskAsync(MacAddress expected, Func<ulong, bool> isEnough)
    {
        var net = _left.Host.Net;
        var device = net.GetLink(Device).Index;
        for (var attempt = 1; ; attempt++)
        {
            await Task.Delay(SettleMilliseconds, _cancellation);
            net.RemoveNeighbour(device, _right.Station);
            var before = PacketsOnUnderlay();
            var start = Stopwatch.GetTimestamp();
            net.AskForNeighbour(device, _right.Station);
            MacAddress? answer;
            while ((answer = net.FindNeighbour(device, _right.Station)) is null && Stopwatch.GetElapsedTime(start) < NeighbourTimeout) await Task.Yield();
            var time = Stopwatch.GetElapsedTime(start);
            if (answer is null) throw new DemoFailure($"nobody answered ARP for {_right.Station}");
            if (answer != expected) throw new DemoFailure($"ARP for {_right.Station} was answered with {answer}, not {expected}");
            await Task.Delay(SettleMilliseconds, _cancellation);
            var crossed = PacketsOnUnderlay() - before;
            if (isEnough(crossed) || attempt == Attempts) return (time, crossed);
        }
    }

    private ulong PacketsOnUnderlay()
    {
        var counters = _left.Host.Net.GetLink(Underlay).Statistics;
        return counters.RxPackets + counters.TxPackets;
    }

    private async Task TransferAsync()
    {
        _screen.Say("One connection sends for 1.5 s each way; the receiver compares every byte with what it must be.");
        await TransferAsync(_left, _right);
        await TransferAsync(_right, _left);
        _screen.Good("Every byte arrived, in order and unchanged.");
    }

    private async Task TransferAsync(End from, End to)
    {
        var what = $"{from.Name} -> {to.Name}";
        var (bytes, time) = await Transfer.RunAsync(
            from.Host, to.Host, to.Station, TransferTime, (sofar, elapsed) => _screen.Progress($"{what}  {Rate(sofar, elapsed)} …"), _cancellation);
        _screen.Output($"{what}  {Rate(bytes, time)}");
    }

    private async Task ShowCountersAsync()
    {
        _screen.Say("What the left VTEP counted: TAP and datagrams, then each remote; a drop would stand here with its reason.");
        await RunSleeveAsync($"stats dev {Device}");
    }

    private async Task EndAsync()
    {
        foreach (var sleeve in _sleeves) await sleeve.StopAsync();
        foreach (var end in WithSleeve())
            if (end.Host.Net.FindLink(Device) is not null) throw new DemoFailure($"sleeve up on the {end.Name} left {Device} behind");
        _screen.Say($"Sleeve was told to stop and has removed {Device}. The hosts go with this process.");
    }

    private End[] WithSleeve() => _isKernelRight ? [_left] : [_left, _right];

    /// <summary>Runs a command on the left host; it must succeed.</summary>
    private async Task<IReadOnlyList<string>> RunSleeveAsync(string command)
    {
        _screen.Command("left#", $"sleeve {command}");
        using var process = _left.Host.Start(command.Split(' '));
        try
        {
            var errors = process.StandardError.ReadToEndAsync(_cancellation);
            var output = await process.StandardOutput.ReadToEndAsync(_cancellation);
            await process.WaitForExitAsync(_cancellation);
            if (process.ExitCode != 0) throw new DemoFailure($"sleeve {command} ended with {process.ExitCode}: {(await errors).Trim()}");
            string[] lines = [.. output.Split('\n').Select(static line => line.TrimEnd())];
            foreach (var line in lines.SkipLast(1)) _screen.Output(line);
            return lines;
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private void WhatNext()
    {
        _screen.Heading("What next");
        _screen.Say("On two real hosts, here 192.0.2.1 and 192.0.2.2, with UDP port 4789 open between them, as root:");
        _screen.Command("A#", "sleeve up vx0 --vni 100 --local 192.0.2.1 --remote 192.0.2.2 --address 10.1.1.1/24");
        _screen.Command("B#", "sleeve up vx0 --vni 100 --local 192.0.2.2 --remote 192.0.2.1 --address 10.1.1.2/24");
        _screen.Say("B can be any other VXLAN end point: Linux, Open vSwitch, a switch. All options: sleeve up --help.");
        _screen.Say($"sleeve is {Path.Combine(AppContext.BaseDirectory, "sleeve")}; ./test runs the tests.");
    }

    private static MacAddress StationMac(End end) => end.Host.Net.GetLink(Device).Mac;

    private static string Rate(long bytes, TimeSpan time) => string.Create(
        CultureInfo.InvariantCulture, $"{bytes / 1e6,6:0} MB in {time.TotalSeconds:0.0} s: {bytes * 8 / 1e9 / Math.Max(time.TotalSeconds, 1e-3):0.00} Gbit/s");

    private static string Picture(string rightVtep) => $"""

        host left                                    host right
        +--------------------------+                 +---------------------------+
        | vx0   10.1.1.1           | overlay vni {Segment} | vx0   10.1.1.2            |
        |  |                       |                 |  |                        |
        | Sleeve, a user process   |                 | {rightVtep,-25} |
        |  |                       |                 |  |                        |
        | eth0  192.0.2.1          |=================| eth0  192.0.2.2           |
        +--------------------------+ underlay (UDP)  +---------------------------+

        """;

    /// <summary>One of the two hosts and its addresses.</summary>
    private sealed class End(string name, string vtep, string station) : IDisposable
    {
        private DemoHost? _host;

        public string Name => name;

        /// <summary>Its address on the underlay.</summary>
        public InternetAddress Vtep { get; } = Parse(vtep);

        /// <summary>Its address on the overlay.</summary>
        public InternetAddress Station { get; } = Parse(station);

        public int UnderlayIndex { get; set; }

        public DemoHost Host
        {
            get => _host ?? throw new InvalidOperationException("not made yet");
            set => _host = value;
        }

        public void Dispose() => _host?.Dispose();

        private static InternetAddress Parse(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);
    }
}
