using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Store;

/// <summary>One destination of a static or permanent FDB entry, as it is stored.</summary>
/// <param name="Mac">The station; zero for the default destinations.</param>
/// <param name="Address">Address of the VTEP.</param>
/// <param name="Port">Its UDP port.</param>
/// <param name="Vni">The VNI towards it.</param>
/// <param name="Via">Name of the underlay interface; empty for the one that the route names.</param>
/// <param name="IsPermanent">Permanent, not static.</param>
internal sealed record StoredDestination(MacAddress Mac, InternetAddress Address, ushort Port, uint Vni, string Via, bool IsPermanent);

/// <summary>What a segment had learned at some time.</summary>
/// <param name="TakenAt">When.</param>
/// <param name="Stations">Packed by <see cref="LearnedStations"/>.</param>
internal sealed record StoredLearning(DateTimeOffset TakenAt, byte[] Stations);

/// <summary>A segment that was made by a command.</summary>
/// <param name="Name">Name of its TAP.</param>
/// <param name="Settings">Its settings as they were given, JSON.</param>
internal sealed record StoredSegment(string Name, string Settings);
