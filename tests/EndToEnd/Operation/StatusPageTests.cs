using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// The status page in a real browser, of a VTEP that carries traffic.
/// <code>
///     Chromium ─ 127.0.0.1 ─ sleeve web ─ unix socket ─ a: sleeve up, two segments ═══ switch ═══ b, c: kernel's vxlan
/// </code>
/// SLEEVE_SCREENSHOT names a file to save a picture of it to; docs/images/status-page.png was made that way.
/// </summary>
public sealed class StatusPageTests(ITestOutputHelper output) : LabTest(output)
{
    private const string Segments = "[...document.querySelectorAll('#segments tr')]";

    [SkippableFact]
    public void Shows_rates_topology_stations_drops_events_and_offload_and_loads_nothing_from_elsewhere()
    {
        var (blue, web) = Start();
        var address = AddressOf(web);
        using var browser = new Browser(1240, 900);
        browser.Prefer("light");
        browser.Open(address);
        browser.WaitFor("document.documentElement.dataset.ready > 3");

        Assert.Equal($"blue-a,green-a", browser.Evaluate($"{Segments}.map(row => row.cells[0].textContent).join()"));
        browser.WaitFor($"{Segments}.every(row => / kbit| Mbit/.test(row.cells[6].textContent))");
        browser.WaitFor("document.querySelectorAll('#rates path.stroke').length === 2 && document.querySelectorAll('#topology path.link').length >= 4");
        Assert.Contains("10.0.0.2", browser.Evaluate("document.getElementById('topology').textContent"), StringComparison.Ordinal);
        browser.WaitFor("document.getElementById('drops').textContent.includes('unknown_vni')");
        Assert.Contains((string)System.Text.Json.Nodes.JsonNode.Parse(ControlSocket.Get("blue-a", "stats"))!["tx_offload"]!, browser.Evaluate("document.getElementById('offload').textContent"), StringComparison.Ordinal);

        // Live events, and the search, over the same path.
        browser.WaitFor("document.getElementById('events-state').textContent === 'live'");
        foreach (var number in Enumerable.Range(1, 9)) blue.FdbDo("add", $"02:00:00:00:00:0{number} dev {blue.Device} dst 10.0.0.{2 + (number % 2)} static");
        browser.WaitFor("document.getElementById('events').textContent.includes('02:00:00:00:00:07')");
        Search(browser, "02:00:00:00:00:07");
        browser.WaitFor("document.getElementById('fdb').rows.length === 1 && document.getElementById('fdb').textContent.includes('10.0.0.3')");
        Search(browser, "02:00:00");
        browser.WaitFor("document.getElementById('fdb').rows.length === 9");

        Assert.Empty(browser.Complaints);
        Assert.Equal([new Uri(address).Authority], browser.Hosts);
        if (Environment.GetEnvironmentVariable("SLEEVE_SCREENSHOT") is { Length: > 0 } picture)
        {
            browser.WaitFor("document.documentElement.dataset.ready > 40");
            File.WriteAllBytes(picture, browser.Screenshot());
        }
    }

    [SkippableFact]
    public void Fits_a_phone_follows_the_dark_and_says_everything_to_a_screen_reader()
    {
        var (_, web) = Start();
        using var browser = new Browser(390, 844);
        browser.Prefer("dark");
        browser.Open(AddressOf(web));
        browser.WaitFor("document.documentElement.dataset.ready > 1");
        Assert.Equal("true", browser.Evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"));
        Assert.Equal("dark", browser.Evaluate("document.documentElement.dataset.theme"));
        browser.Evaluate("document.getElementById('theme').click()");
        Assert.Equal("light", browser.Evaluate("document.documentElement.dataset.theme"));
        // Everything that can be operated has a name, every section a heading, every picture a text.
        Assert.Equal("0", browser.Evaluate("[...document.querySelectorAll('button,input,select')].filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).length"));
        Assert.Equal("0", browser.Evaluate("[...document.querySelectorAll('section,svg[role=img]')].filter(e => !e.getAttribute('aria-labelledby')?.split(' ').every(id => document.getElementById(id)?.textContent.trim())).length"));
        Assert.Contains("VNI 100", browser.Evaluate("document.getElementById('topology-text').textContent"), StringComparison.Ordinal);
        Assert.Empty(browser.Complaints);
    }

    [SkippableFact]
    public void Only_who_knows_the_address_may_look_and_nobody_may_change()
    {
        var (blue, web) = Start();
        var address = new Uri(AddressOf(web));
        using var http = new HttpClient();
        int StatusOf(HttpMethod method, string path, string? host = null)
        {
            using var request = new HttpRequestMessage(method, new Uri(address, path));
            request.Headers.Host = host;
            using var response = http.Send(request);
            return (int)response.StatusCode;
        }

        Assert.Equal(200, StatusOf(HttpMethod.Get, ""));
        Assert.Equal(200, StatusOf(HttpMethod.Get, "v1/stats"));
        Assert.Equal(404, StatusOf(HttpMethod.Get, "/"));
        Assert.Equal(404, StatusOf(HttpMethod.Get, "/v1/stats"));
        Assert.Equal(404, StatusOf(HttpMethod.Get, $"/{new string('0', 32)}/v1/stats"));
        Assert.Equal(404, StatusOf(HttpMethod.Get, "v1/capture?dev=any"));
        Assert.Equal(404, StatusOf(HttpMethod.Get, "v1/../openapi/v1.json"));
        // A page of another site may have its name lead here.
        Assert.Equal(421, StatusOf(HttpMethod.Get, "", "evil.example"));
        Assert.Equal(403, StatusOf(HttpMethod.Delete, $"v1/segments/{blue.Device}/fdb/00:00:00:00:00:00"));
        Assert.Equal(403, StatusOf(HttpMethod.Post, $"v1/segments/{blue.Device}/fdb/flush?all=true"));
        Assert.Equal(2, blue.Fdb().Count(entry => entry.Mac == Vtep.Default));
        var refused = SleeveProgram.Run(blue.Host, "web --listen 192.0.2.1:80");
        Assert.Equal((2, "sleeve web: --listen 192.0.2.1:80: must be a loopback address and a port, such as 127.0.0.1:8080 (port 0: any that is free)"), (refused.ExitCode, refused.Error.Trim()));
        web.Signal(2);
        Assert.True(web.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, web.ExitCode);
    }

    private static void Search(Browser browser, string text) =>
        browser.Evaluate($"(document.getElementById('device').value = 'blue-a', document.getElementById('match').value = '{text}', document.getElementById('search').requestSubmit())");

    private static string AddressOf(BackgroundProcess web)
    {
        web.WaitForText("Ctrl-C ends it", TimeSpan.FromSeconds(30));
        Wait.Until(() => web.Output.Contains('\n', StringComparison.Ordinal), "the address");
        return web.Output.Trim();
    }

    private (SleeveVtep Blue, BackgroundProcess Web) Start()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no status page");
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
        lab.JoinBySwitch(hosts);
        var a = hosts[0];
        IPAddress[] others = [hosts[1].Address, hosts[2].Address];
        var process = SleeveVtep.StartProcess(a, new VtepOptions { Remotes = others }, ["blue-a:100", "green-a:200"]);
        var blue = lab.Own(new SleeveVtep(a, new VtepOptions { Device = "blue-a", Vni = 100, Remotes = others }, process));
        foreach (var (vni, device) in new[] { (100, "blue-a"), (200, "green-a") })
        {
            a.Run($"ip addr add 10.{vni}.0.1/24 dev {device}");
            foreach (var host in hosts.Skip(1))
            {
                host.Run($"ip link add k{vni} type vxlan id {vni} local {host.Address} remote {a.Address} dstport 4789");
                host.Run($"ip addr add 10.{vni}.0.{host.Number}/24 dev k{vni}");
                host.Run($"ip link set k{vni} up");
                a.Start("ping", "-n", "-q", "-i", "0.02", "-s", $"{vni * 6}", $"10.{vni}.0.{host.Number}");
            }
        }

        // Some of it one way only, now more, now less; nobody listens there.
        a.Start("bash", "-c", "while sleep 0.3; do head -c $((RANDOM * 4)) /dev/zero | split -b 1000 --filter='cat >/dev/udp/10.100.0.2/9'; done");
        hosts[1].Start("bash", "-c", "while sleep 0.2; do head -c $((RANDOM * 2)) /dev/zero | split -b 1000 --filter='cat >/dev/udp/10.200.0.1/9'; done");

        // Somebody sends for a VNI that is not there, so that something is dropped.
        hosts[2].Run($"ip link add k999 type vxlan id 999 local {hosts[2].Address} remote {a.Address} dstport 4789");
        hosts[2].Run("ip addr add 10.9.0.3/24 dev k999");
        hosts[2].Run("ip link set k999 up");
        hosts[2].Start("ping", "-n", "-q", "-i", "0.2", "10.9.0.1");
        // Chromium and what it talks to are outside: a unix socket is in no network namespace.
        return (blue, lab.Own(new BackgroundProcess([.. SleeveProgram.Words, "web", "blue-a"])));
    }
}
