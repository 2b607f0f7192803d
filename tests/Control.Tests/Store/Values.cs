using System.Globalization;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Store;

/// <summary>Values of the wire, out of what is easy to write.</summary>
internal static class Values
{
    public static InternetAddress Ip(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    public static MacAddress Mac(string text) => MacAddress.TryParse(text, out var mac) ? mac : throw new FormatException(text);

    /// <summary>02:00:00:NN:NN:NN.</summary>
    public static MacAddress Mac(int number) =>
        Mac(string.Create(CultureInfo.InvariantCulture, $"02:00:00:{(number >> 16) & 0xFF:x2}:{(number >> 8) & 0xFF:x2}:{number & 0xFF:x2}"));
}
