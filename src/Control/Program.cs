using Sleeve.Control.Cli;
using Sleeve.Control.Demo;

if (!ChildOfDemo.TieToParent()) return ExitCode.Failed;
return await CommandLine.RunAsync(args);
