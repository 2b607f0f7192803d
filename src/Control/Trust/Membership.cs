using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Trust;

/// <summary>What a daemon goes by when hosts join it, or it joins another.</summary>
internal sealed record MembershipOptions
{
    /// <summary>Name of this host; <see cref="Names"/>.</summary>
    public required string Host { get; init; }

    /// <summary>Where others come in.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>What others reach it by, for the command that they are told.</summary>
    public required string Advertise { get; init; }

    /// <summary>Take others in from the start; else from the first token on. Default false.</summary>
    public bool Serves { get; init; }

    /// <summary>Why nobody joins here, where the store is one of its own: etcd. Default null.</summary>
    public string? Refusal { get; init; }
}

/// <summary>
/// Which cluster this host is in, and who joins it: makes tokens, listens, joins, leaves, and renews what ends. One for a daemon; methods from any thread, one after the other.
/// </summary>
internal sealed class Membership : IAsyncDisposable
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromHours(1);
    private static readonly TimeSpan TryAgain = TimeSpan.FromMinutes(5);

    private readonly MembershipOptions _options;
    private readonly Action<string> _say;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _stop = new();
    private ClusterListener? _listener;
    private Task _renewal = Task.CompletedTask;

    /// <summary>Begins; nothing happens before <see cref="StartAsync"/>.</summary>
    /// <param name="options">How.</param>
    /// <param name="trust">What is kept; stays the caller's.</param>
    /// <param name="say">Takes lines for whoever watches; no secret stands in one.</param>
    public Membership(MembershipOptions options, TrustStore trust, Action<string> say)
    {
        _options = options;
        _say = say;
        Trust = trust;
    }

    /// <summary>What is kept.</summary>
    public TrustStore Trust { get; }

    /// <summary>How it goes about it.</summary>
    public MembershipOptions Options => _options;

    /// <summary>Adds what hosts of the cluster may ask for: the store's routes. Set before it starts.</summary>
    public Action<IEndpointRouteBuilder>? MapStore { get; set; }

    /// <summary>Whether a name is that of a host which is alive in another way than by a certificate. Set before it starts.</summary>
    public Func<string, bool> IsElsewhere { get; set; } = static _ => false;

    /// <summary>Told when this host is about to join another; throws if it cannot.</summary>
    public Func<CancellationToken, Task> OnJoining { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Told when this host has joined: its store is to be that of the cluster from here on.</summary>
    public Func<JoinedCluster, CancellationToken, Task> OnJoined { get; set; } = static (_, _) => Task.CompletedTask;

    /// <summary>Told when this host is about to leave: what it has in the store is to go.</summary>
    public Func<CancellationToken, Task> OnLeaving { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Told when it has left: its store is its own from here on.</summary>
    public Func<CancellationToken, Task> OnLeft { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Where others come in; null while nobody does.</summary>
    public IPEndPoint? Listening => _listener?.Endpoint;

    /// <summary>Listens if others are in its cluster, or are to be, and renews certificates from here on.</summary>
    /// <exception cref="HostException">It cannot listen.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        if (_options.Refusal is null && Trust.Joined is null && (_options.Serves || Trust.Authority is not null)) await ServeAsync(cancellation);
        _renewal = KeepRenewedAsync();
    }

    private async Task ServeAsync(CancellationToken cancellation)
    {
        Trust.Serve(_options.Host, DateTimeOffset.UtcNow);
        if (_listener is not null) return;
        _listener = await ClusterListener.StartAsync(_options.Listen, Trust, new JoinDesk(Trust, name => IsElsewhere(name)), MapStore, _say, cancellation);
        _say($"hosts join on {_options.Listen} (TCP, TLS); sleeve token says how");
    }

    /// <summary>Makes a token; this host serves a cluster from the first one on.</summary>
    /// <param name="lifetime">How long it lasts.</param>
    /// <param name="uses">How many may join with it; null for any number.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostException">This host takes in nobody, or it cannot be kept.</exception>
    public async Task<(JoinToken Token, DateTimeOffset Ends)> MakeTokenAsync(TimeSpan lifetime, int? uses, CancellationToken cancellation)
    {
        if (_options.Refusal is { } refusal) throw new HostException(refusal);
        await _turn.WaitAsync(cancellation);
        try
        {
            await ServeAsync(cancellation);
            var now = DateTimeOffset.UtcNow;
            return (Trust.Tokens.Make(Trust.Authority!.Hash, lifetime, uses, now), now + lifetime);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The command that joins with a token, on another host.</summary>
    public string JoinCommand(JoinToken token) => $"sleeve join {Place} --token {token.Reveal()}";

    private string Place
    {
        get
        {
            var isIPv6 = _options.Advertise.Contains(':', StringComparison.Ordinal);
            if (_options.Listen.Port == ClusterListener.DefaultPort) return _options.Advertise;
            return string.Create(CultureInfo.InvariantCulture, $"{(isIPv6 ? $"[{_options.Advertise}]" : _options.Advertise)}:{_options.Listen.Port}");
        }
    }

    /// <summary>Joins the cluster of another host; its store is this one's from then on.</summary>
    /// <param name="place">The host that serves it.</param>
    /// <param name="token">A token of it.</param>
    /// <param name="name">What this host is to be called; null for what it is called.</param>
    /// <param name="step">Told what is done now.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostException">It cannot join; it is in what it was in before.</exception>
    public async Task<JoinedCluster> JoinAsync(JoinPlace place, JoinToken token, string? name, Func<string, Task> step, CancellationToken cancellation)
    {
        if (_options.Refusal is { } refusal) throw new HostException(refusal);
        await _turn.WaitAsync(cancellation);
        try
        {
            await OnJoining(cancellation);
            var joined = await JoinClient.JoinAsync(Trust, place, token, name ?? _options.Host, step, cancellation);
            _say($"joined the cluster that {joined.Server} serves, as {joined.Name}");
            if (_listener is not null) await _listener.DisposeAsync();
            _listener = null;
            await step("changing over to its store");
            await OnJoined(joined, cancellation);
            return joined;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Leaves the cluster that it joined.</summary>
    /// <param name="force">Also if that cluster cannot be told.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostException">It joined none, or the cluster cannot be told; it is still in it then.</exception>
    public async Task LeaveAsync(bool force, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            if (Trust.Joined is not { } joined) throw new HostException("this host has joined no cluster: there is nothing to leave");
            try
            {
                await OnLeaving(cancellation);
                await JoinClient.LeaveAsync(Trust, cancellation);
            }
            catch (IOException failure) when (force)
            {
                _say($"warning: left without a word: {failure.Message}; sleeve peer forget {joined.Name} there removes what is left of it");
            }
            catch (IOException failure)
            {
                throw new HostException($"{failure.Message}; with --force this host leaves without a word, and sleeve peer forget {joined.Name} there removes what is left of it");
            }

            Trust.Leave();
            _say($"left the cluster that {joined.Server} serves");
            await OnLeft(cancellation);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Tells what became of the hosts in the store: one whose record was deleted is forgotten, and its certificate counts no more. Called in the order of changes.</summary>
    public void Follow(ClusterView before, ClusterView after)
    {
        if (before.Peers == after.Peers || Trust.Authority is not { } authority || Trust.Joined is not null) return;
        foreach (var host in before.Peers.Keys)
        {
            if (after.Peers.ContainsKey(host) || host == _options.Host) continue;
            try
            {
                authority.Revoke(host);
            }
            catch (HostException failure)
            {
                _say($"warning: {host} was forgotten, but its certificate still counts: {failure.Message}");
            }
        }
    }

    private async Task KeepRenewedAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            var wait = LookAgain;
            try
            {
                await RenewAsync(DateTimeOffset.UtcNow, _stop.Token);
            }
            catch (IOException failure)
            {
                _say($"warning: the certificate of this host ends {Trust.Certificate?.NotAfter:u} and cannot be renewed: {failure.Message}");
                wait = TryAgain;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(wait, _stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    /// <summary>Renews this host's certificate if a third or less of its time is left.</summary>
    /// <exception cref="HostException">It cannot be; the one there is stays.</exception>
    public async Task RenewAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (Trust.Certificate is not { } own || !TrustStore.IsDue(own, now)) return;
        if (Trust.Joined is null) Trust.Serve(_options.Host, now);
        else await JoinClient.RenewAsync(Trust, cancellation);
        _say($"the certificate of this host was renewed; it ends {Trust.Certificate!.NotAfter:u}");
    }

    /// <summary>Stops to listen and to renew.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _renewal;
        if (_listener is not null) await _listener.DisposeAsync();
        _listener = null;
        _stop.Dispose();
        _turn.Dispose();
    }
}
