using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Sleeve.Control.Cli;

/// <summary>
/// Standard output for whoever writes until somebody stops it. The console's own stream takes a pipe that nobody reads any more for written, so that
/// <c>sleeve capture vx0 | head</c> would never end.
/// </summary>
internal static class OutputPipe
{
    private const int BrokenPipe = 32;
    private const int StandardOutput = 1;

    /// <summary>Standard output as bytes.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public static Stream Open()
    {
        var pipe = new FileStream(new SafeFileHandle(StandardOutput, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        // To a file it would write at places of its own, over what stderr writes to the same one.
        return pipe.CanSeek ? Console.OpenStandardOutput() : pipe;
    }

    /// <summary>Standard output as text, which is written when it is flushed.</summary>
    /// <inheritdoc cref="Open"/>
    public static TextWriter OpenText() => Console.IsOutputRedirected ? new StreamWriter(Open(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) : Console.Out;

    /// <summary>Whether a write failed because nobody reads any more.</summary>
    public static bool IsClosed(IOException failure) => failure.HResult == BrokenPipe;
}
