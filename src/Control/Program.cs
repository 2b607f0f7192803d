return await Sleeve.Control.Cli.CommandLine.RunAsync(args);
