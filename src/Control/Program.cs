using Sleeve.Control.Cli;
using Sleeve.Control.Cni;
using Sleeve.Control.Demo;
using Sleeve.Control.Host;

if (CniProgram.IsCalled(args)) return CniProgram.Run();
JoinCommand.Hide(args);
if (!ChildOfDemo.TieToParent()) return ExitCode.Failed;
if (OwnProgram.ServesNamespace(args)) return ExitCode.Done;
return await CommandLine.RunAsync(args);
