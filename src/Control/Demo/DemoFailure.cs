namespace Sleeve.Control.Demo;

/// <summary>A step did not show what it should; the message says in one line which and how.</summary>
internal sealed class DemoFailure(string message) : IOException(message);
