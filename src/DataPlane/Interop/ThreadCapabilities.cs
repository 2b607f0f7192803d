namespace Sleeve.DataPlane.Interop;

/// <summary>
/// The capabilities of the calling thread: the kernel counts them by thread, not by process (capabilities(7)). A thread that works on what others sent gives
/// up all but the few that it will need again, and has even those switched off but for the calls that take them.
/// </summary>
public static unsafe class ThreadCapabilities
{
    // What Restrict left to this thread; of one that never called it nothing is switched.
    [ThreadStatic]
    private static CapabilitySet _kept;

    /// <summary>What the thread may use now.</summary>
    public static CapabilitySet Effective => Read().Effective;

    /// <summary>What the thread may switch on.</summary>
    public static CapabilitySet Permitted => Read().Permitted;

    /// <summary>
    /// Gives up, for good, every capability of the calling thread but some, and switches those off until <see cref="Raise"/>. Root without the right
    /// to read the program's own files, which belong to somebody else, keeps that right: .NET loads code when it is first used.
    /// </summary>
    /// <param name="keep">What <see cref="Raise"/> is to bring back, as far as the thread has it.</param>
    public static void Restrict(CapabilitySet keep)
    {
        var permitted = Read().Permitted;
        var kept = permitted.Within(keep);
        if (!TryWrite(default, permitted, default)) return;
        var reading = ReadsOwnFiles() ? default : permitted.Within(CapabilitySet.Of(LibC.CAP_DAC_READ_SEARCH));
        if (TryWrite(reading, kept.With(reading), default)) _kept = kept;
    }

    /// <summary>Switches on what <see cref="Restrict"/> left; to be disposed by the same thread, soon. Two short system calls, none if nothing was left.</summary>
    public static Raised Raise() => new(_kept);

    /// <summary>The time during which they are switched on.</summary>
    public readonly ref struct Raised
    {
        private readonly CapabilitySet _before;
        private readonly bool _isRaised;

        internal Raised(CapabilitySet kept)
        {
            if (kept.IsEmpty) return;
            var (effective, permitted) = Read();
            _before = effective;
            _isRaised = TryWrite(effective.With(kept), permitted, default);
        }

        /// <summary>Switches them off.</summary>
        public void Dispose()
        {
            if (_isRaised) _ = TryWrite(_before, Read().Permitted, default);
        }
    }

    private static bool ReadsOwnFiles() =>
        HostAccess.MayRead(AppContext.BaseDirectory) && HostAccess.MayRead(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory());

    internal static (CapabilitySet Effective, CapabilitySet Permitted) Read()
    {
        var header = new LibC.__user_cap_header_struct { version = LibC._LINUX_CAPABILITY_VERSION_3 };
        var data = stackalloc LibC.__user_cap_data_struct[2];
        return LibC.capget(&header, data) == 0
            ? (new(data[0].effective | (ulong)data[1].effective << 32), new(data[0].permitted | (ulong)data[1].permitted << 32))
            : default;
    }

    internal static bool TryWrite(CapabilitySet effective, CapabilitySet permitted, CapabilitySet inheritable)
    {
        var header = new LibC.__user_cap_header_struct { version = LibC._LINUX_CAPABILITY_VERSION_3 };
        var data = stackalloc LibC.__user_cap_data_struct[2];
        for (var half = 0; half < 2; half++)
        {
            data[half] = new LibC.__user_cap_data_struct
            {
                effective = (uint)(effective.Bits >> (32 * half)), permitted = (uint)(permitted.Bits >> (32 * half)), inheritable = (uint)(inheritable.Bits >> (32 * half)),
            };
        }

        return LibC.capset(&header, data) == 0;
    }
}
