using Sleeve.Control.Cli;
using Sleeve.Control.Demo;
using Sleeve.Control.Host;

if (!ChildOfDemo.TieToParent()) return ExitCode.Failed;
if (OwnProgram.ServesNamespace(args)) return ExitCode.Done;
return await CommandLine.RunAsync(args);
