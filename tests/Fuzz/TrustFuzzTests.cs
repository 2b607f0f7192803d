using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sleeve.Control.Trust;

namespace Sleeve.Fuzz;

/// <summary>What comes to the door: tokens, places, and requests to join.</summary>
public sealed partial class TrustFuzzTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-fuzz-").FullName;

    [GeneratedRegex(@"^S10[0-9a-f]{64}::[0-9a-f]{8}:[0-9a-f]{32}\z")]
    private static partial Regex TokenText { get; }

    [Fact]
    public void A_token_is_read_if_and_only_if_it_looks_like_one()
    {
        var random = new Random(1);
        byte[][] seeds = [.. Enumerable.Range(0, 4).Select(static _ => Encoding.ASCII.GetBytes(JoinToken.New(RandomNumberGenerator.GetHexString(64, lowercase: true)).Reveal()))];
        var mutator = new Mutator(random, seeds);
        for (var i = 0; i < 100_000; i++)
        {
            var text = Encoding.Latin1.GetString(mutator.Next());
            Assert.True(JoinToken.TryParse(text, out var token) == TokenText.IsMatch(text.Trim()), text);
            if (token is not null) Assert.Equal(text.Trim(), token.Reveal());
        }
    }

    [Fact]
    public void A_place_that_is_read_can_be_connected_to_by_that_name()
    {
        var random = new Random(2);
        var mutator = new Mutator(random, [.. new[] { "192.0.2.1:4789", "[2001:db8::1]:80", "host.example:1", "2001:db8::1", "a" }.Select(Encoding.ASCII.GetBytes)]);
        for (var i = 0; i < 100_000; i++)
        {
            var text = Encoding.Latin1.GetString(mutator.Next());
            if (!JoinPlace.TryParse(text, out var place)) continue;
            Assert.InRange(place.Port, 1, 65535);
            Assert.Equal(("https", place.Port, "", "/"), (place.Uri.Scheme, place.Uri.Port, place.Uri.UserInfo, place.Uri.PathAndQuery));
            Assert.True(JoinPlace.TryParse(place.ToString(), out var again) && again == place, text);
        }
    }

    [Fact]
    public void A_request_to_join_gets_an_answer_whatever_is_in_it_and_a_certificate_only_with_the_token()
    {
        var random = new Random(3);
        using var trust = TrustStore.Open(_folder);
        var now = DateTimeOffset.UtcNow;
        trust.Serve("a", now);
        var token = trust.Tokens.Make(trust.Authority!.Hash, TimeSpan.FromHours(1), null, now);
        var desk = new JoinDesk(trust, static _ => false);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var good = JsonSerializer.SerializeToUtf8Bytes(new JoinRequestJson(token.Id, token.Secret, "b", Certificates.NewRequest(key, "b")), TrustJson.Default.JoinRequestJson);
        var mutator = new Mutator(random, [good, "{\"id\":null,\"secret\":1}"u8.ToArray(), "[[[[{}]]]]"u8.ToArray()]);
        var (joined, refused) = (0, 0);
        for (var i = 0; i < 5000; i++)
        {
            JoinRequestJson? asked = null;
            try
            {
                asked = JsonSerializer.Deserialize(mutator.Next(), TrustJson.Default.JoinRequestJson);
            }
            catch (JsonException)
            {
                // As the listener has it: no request.
            }

            var (answer, fault) = desk.Join(asked, now);
            Assert.True(answer is null != fault is null);
            if (answer is null)
            {
                refused++;
                Assert.InRange(fault!.Status, 400, 499);
                continue;
            }

            joined++;
            Assert.Equal((token.Id, token.Secret), (asked!.Id, asked.Secret));
        }

        Assert.True(joined > 0 && refused > 1000, $"{joined} joined, {refused} were refused");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
