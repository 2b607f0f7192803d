using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Gives every inner flow to one worker, the same one in both directions: the kernel runs a small program over each frame of a TAP
/// (TUNSETSTEERINGEBPF) and over each datagram of a group of sockets with one port (SO_ATTACH_REUSEPORT_CBPF, socket(7)), which turns the inner
/// addresses and ports into the number of a queue. Left to itself the kernel moves flows between queues while frames wait in them, and so
/// reorders.
/// <para>
/// Sums do not care which of the two is the source, and neighbours that talk in pairs still get different ones, as they would not from exclusive or.
/// The number depends on the two IP addresses and, unless it is a fragment, the two ports of TCP and UDP, in either order; on the two MACs where there is no IP.
/// One 802.1Q or 802.1ad tag is looked behind. What is too short goes to the first queue.
/// </para>
/// </summary>
public sealed unsafe class FlowSteering
{
    private const int VxlanHeaderSize = 8;
    private const ushort IPv4 = 0x0800;
    private const ushort IPv6 = 0x86DD;

    // Positions in an untagged Ethernet frame.
    private const int DestinationMacTail = 2;
    private const int SourceMacTail = 8;
    private const int EtherType = 12;
    private const int Payload = 14;
    private const int TagSize = 4;

    // Cells of M.
    private const int Addresses = 0;
    private const int Ports = 1;

    private readonly int _queues;

    /// <summary>Steers to queues 0 to <paramref name="queues"/> − 1.</summary>
    public FlowSteering(int queues)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(queues, 1);
        _queues = queues;
    }

    /// <summary>Steers the datagrams of the group that the socket belongs to; queues are numbered in the order the sockets were bound.</summary>
    /// <param name="socket">Any of the group (SO_REUSEPORT), all of which are bound.</param>
    /// <returns>False if this kernel does not know the option.</returns>
    public bool TryAttach(UnderlaySocket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        // The program sees a datagram from its payload on.
        var program = Assemble(VxlanHeaderSize);
        fixed (LibC.sock_filter* instructions = program)
        {
            LibC.sock_fprog filter = new() { len = (ushort)program.Length, filter = instructions };
            return LibC.setsockopt(socket.Descriptor, LibC.SOL_SOCKET, LibC.SO_ATTACH_REUSEPORT_CBPF, &filter, (uint)sizeof(LibC.sock_fprog)) == 0;
        }
    }

    /// <summary>Steers the frames that the host sends into a TAP; queues are numbered in the order they were opened.</summary>
    /// <param name="tap">Any queue of it.</param>
    /// <returns>False if the kernel refuses: it may lack BPF, or the process the right to it (CAP_BPF, where kernel.unprivileged_bpf_disabled is set).</returns>
    public bool TryAttach(TapDevice tap)
    {
        ArgumentNullException.ThrowIfNull(tap);
        var program = Translate(Assemble(0));
        ReadOnlySpan<byte> license = "GPL\0"u8;
        fixed (LibC.bpf_insn* instructions = program)
        fixed (byte* licenseText = license)
        {
            ProgramLoad attribute = new()
            {
                Type = LibC.BPF_PROG_TYPE_SOCKET_FILTER,
                InstructionCount = (uint)program.Length,
                Instructions = (ulong)instructions,
                License = (ulong)licenseText,
            };
            using var loaded = new FileDescriptor((int)LibC.syscall(LibC.SYS_bpf, LibC.BPF_PROG_LOAD, &attribute, sizeof(ProgramLoad)));
            if (loaded.IsInvalid) return false;
            // The interface holds the program from here on.
            var descriptor = loaded.Number;
            return LibC.ioctl(tap.Descriptor, LibC.TUNSETSTEERINGEBPF, &descriptor) == 0;
        }
    }

    /// <summary>Which queue the program gives a frame: what the kernel would compute, computed here.</summary>
    /// <param name="frame">An Ethernet frame.</param>
    public int QueueOf(ReadOnlySpan<byte> frame) => (int)ClassicMachine.Run(Assemble(0), frame);

    /// <summary>The program in the classic machine (bpf(4), linux/filter.h): A the accumulator, X an index, M a little memory.</summary>
    /// <param name="start">Where the Ethernet frame starts.</param>
    internal LibC.sock_filter[] Assemble(int start)
    {
        var program = new Assembler();
        program.Add(LibC.BPF_LDX | LibC.BPF_IMM, 0);
        program.Add(LibC.BPF_LD | LibC.BPF_H | LibC.BPF_ABS, start + EtherType);
        program.JumpIfEqual(0x8100, "tagged");
        program.JumpIfEqual(0x88A8, "tagged");
        program.Jump("typed");
        program.Label("tagged");
        program.Add(LibC.BPF_LDX | LibC.BPF_IMM, TagSize);
        program.Add(LibC.BPF_LD | LibC.BPF_H | LibC.BPF_ABS, start + EtherType + TagSize);
        program.Label("typed");
        program.JumpIfEqual(IPv4, "ipv4");
        program.JumpIfEqual(IPv6, "ipv6");

        program.Load(LibC.BPF_W, start + DestinationMacTail, indexed: false);
        program.Add(LibC.BPF_MISC | LibC.BPF_TAX, 0);
        program.Load(LibC.BPF_W, start + SourceMacTail, indexed: false);
        program.Add(LibC.BPF_ALU | LibC.BPF_ADD | LibC.BPF_X, 0);
        program.Jump("mix");

        AddHeaders(program, start);

        program.Label("ports");
        program.Add(LibC.BPF_ST, Ports);
        program.Add(LibC.BPF_ALU | LibC.BPF_RSH | LibC.BPF_K, 16);
        program.Add(LibC.BPF_MISC | LibC.BPF_TAX, 0);
        program.Add(LibC.BPF_LD | LibC.BPF_MEM, Ports);
        program.Add(LibC.BPF_ALU | LibC.BPF_AND | LibC.BPF_K, 0xFFFF);
        program.Add(LibC.BPF_ALU | LibC.BPF_ADD | LibC.BPF_X, 0);
        program.Add(LibC.BPF_LDX | LibC.BPF_MEM, Addresses);
        program.Add(LibC.BPF_ALU | LibC.BPF_ADD | LibC.BPF_X, 0);
        program.Jump("mix");
        program.Label("addresses");
        program.Add(LibC.BPF_LD | LibC.BPF_MEM, Addresses);

        program.Label("mix");
        program.Add(LibC.BPF_ALU | LibC.BPF_MUL | LibC.BPF_K, unchecked((int)0x9E3779B1)); // 2^32 over the golden ratio, a prime
        program.Add(LibC.BPF_ALU | LibC.BPF_RSH | LibC.BPF_K, 16);
        program.Add(LibC.BPF_ALU | LibC.BPF_MOD | LibC.BPF_K, _queues);
        program.Add(LibC.BPF_RET | LibC.BPF_A, 0);
        return program.Finish();
    }

    // Folds the addresses into M[Addresses] and loads both ports, or goes on without them.
    private static void AddHeaders(Assembler program, int start)
    {
        program.Label("ipv4");
        FoldAddresses([12, 16]);
        program.Load(LibC.BPF_H, start + Payload + 6, indexed: true);
        program.JumpIfAnySet(0x3FFF, "addresses"); // a fragment: offset or more to come
        program.Load(LibC.BPF_B, start + Payload + 9, indexed: true);
        program.JumpIfEqual(6, "ipv4-ports");
        program.JumpIfEqual(17, "ipv4-ports");
        program.Jump("addresses");
        program.Label("ipv4-ports");
        program.Load(LibC.BPF_B, start + Payload, indexed: true);
        program.Add(LibC.BPF_ALU | LibC.BPF_AND | LibC.BPF_K, 0xF);
        program.Add(LibC.BPF_ALU | LibC.BPF_LSH | LibC.BPF_K, 2);
        program.Add(LibC.BPF_ALU | LibC.BPF_ADD | LibC.BPF_X, 0);
        program.Add(LibC.BPF_MISC | LibC.BPF_TAX, 0);
        program.Load(LibC.BPF_W, start + Payload, indexed: true);
        program.Jump("ports");

        program.Label("ipv6");
        FoldAddresses([16, 20, 32, 36]); // the interface identifiers: what differs most
        program.Load(LibC.BPF_B, start + Payload + 6, indexed: true);
        program.JumpIfEqual(6, "ipv6-ports");
        program.JumpIfEqual(17, "ipv6-ports");
        program.Jump("addresses");
        program.Label("ipv6-ports");
        program.Load(LibC.BPF_W, start + Payload + 40, indexed: true);

        // The sum of some words of the IP header into M[Addresses]; X stays.
        void FoldAddresses(ReadOnlySpan<int> words)
        {
            program.Add(LibC.BPF_STX, Ports);
            for (var i = 0; i < words.Length; i++)
            {
                program.Load(LibC.BPF_W, start + Payload + words[i], indexed: true);
                if (i > 0)
                {
                    program.Add(LibC.BPF_LDX | LibC.BPF_MEM, Addresses);
                    program.Add(LibC.BPF_ALU | LibC.BPF_ADD | LibC.BPF_X, 0);
                    program.Add(LibC.BPF_LDX | LibC.BPF_MEM, Ports);
                }

                program.Add(LibC.BPF_ST, Addresses);
            }
        }
    }

    /// <summary>The same in the extended machine, which a TAP wants: A is r0, X r7, the memory r8 and r9, and r6 the frame (linux/filter.h).</summary>
    internal static LibC.bpf_insn[] Translate(ReadOnlySpan<LibC.sock_filter> classic)
    {
        const int A = 0, Context = 1, Frame = 6, X = 7, Memory = 8;
        // One for one but for the two at the start and the end of a return, so jumps keep their distance.
        var program = new List<LibC.bpf_insn>(classic.Length + 4)
        {
            Instruction(LibC.BPF_ALU64 | LibC.BPF_MOV | LibC.BPF_X, Frame, Context),
            Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_K, Memory),
            Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_K, Memory + 1),
        };
        foreach (var each in classic)
        {
            var k = (int)each.k;
            program.Add((each.code & 0x07) switch
            {
                LibC.BPF_LD when (each.code & 0xE0) == LibC.BPF_MEM => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_X, A, Memory + k),
                LibC.BPF_LD when (each.code & 0xE0) == LibC.BPF_IND => Instruction(each.code, 0, X, k),
                LibC.BPF_LD => Instruction(each.code, 0, 0, k),
                LibC.BPF_LDX when (each.code & 0xE0) == LibC.BPF_MEM => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_X, X, Memory + k),
                LibC.BPF_LDX => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_K, X, 0, k),
                LibC.BPF_ST => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_X, Memory + k, A),
                LibC.BPF_STX => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_X, Memory + k, X),
                LibC.BPF_ALU when (each.code & LibC.BPF_X) != 0 => Instruction(each.code, A, X),
                LibC.BPF_ALU => Instruction(each.code, A, 0, k),
                LibC.BPF_JMP when (each.code & 0xF0) == LibC.BPF_JA => Instruction(each.code, 0, 0, 0, (short)k),
                LibC.BPF_JMP => Instruction(each.code, A, 0, k, each.jt),
                LibC.BPF_MISC => Instruction(LibC.BPF_ALU | LibC.BPF_MOV | LibC.BPF_X, X, A),
                _ => Instruction(LibC.BPF_JMP | LibC.BPF_EXIT, 0),
            });
        }

        return [.. program];

        static LibC.bpf_insn Instruction(int code, int destination, int source = 0, int immediate = 0, short offset = 0) =>
            new() { code = (byte)code, __registers = (byte)(destination | (source << 4)), off = offset, imm = immediate };
    }

    // union bpf_attr as BPF_PROG_LOAD reads it (linux/bpf.h), the fields that were there from the first.
    [StructLayout(LayoutKind.Sequential)]
    private struct ProgramLoad
    {
        public uint Type;
        public uint InstructionCount;
        public ulong Instructions;
        public ulong License;
        public uint LogLevel;
        public uint LogSize;
        public ulong LogBuffer;
        public uint KernelVersion;
        public uint Flags;
    }

    // Forward jumps by name; a condition that does not hold falls through, which both machines can.
    private sealed class Assembler
    {
        private readonly List<LibC.sock_filter> _instructions = [];
        private readonly List<(int At, string Label)> _jumps = [];
        private readonly Dictionary<string, int> _labels = [];

        internal void Add(int code, int k) => _instructions.Add(new LibC.sock_filter { code = (ushort)code, k = (uint)k });

        internal void Load(int size, int offset, bool indexed) => Add(LibC.BPF_LD | size | (indexed ? LibC.BPF_IND : LibC.BPF_ABS), offset);

        internal void Label(string name) => _labels[name] = _instructions.Count;

        internal void Jump(string label) => Branch(LibC.BPF_JA, 0, label);

        internal void JumpIfEqual(int value, string label) => Branch(LibC.BPF_JEQ, value, label);

        internal void JumpIfAnySet(int bits, string label) => Branch(LibC.BPF_JSET, bits, label);

        internal LibC.sock_filter[] Finish()
        {
            foreach (var (at, label) in _jumps)
            {
                var distance = _labels[label] - at - 1;
                var instruction = _instructions[at];
                if ((instruction.code & 0xF0) == LibC.BPF_JA) instruction.k = (uint)distance;
                else instruction.jt = (byte)distance;
                _instructions[at] = instruction;
            }

            return [.. _instructions];
        }

        private void Branch(int condition, int k, string label)
        {
            _jumps.Add((_instructions.Count, label));
            Add(LibC.BPF_JMP | condition | LibC.BPF_K, k);
        }
    }
}
