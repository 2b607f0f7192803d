using System.Buffers.Binary;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// The classic BPF machine (bpf(4), linux/filter.h), as far as <see cref="FlowSteering"/> uses it: accumulator A, index X, 16 cells of memory M.
/// For explanations, not for the frame path: the kernel runs programs there.
/// </summary>
internal static class ClassicMachine
{
    /// <summary>Runs a program over a packet.</summary>
    /// <returns>What it returns; 0 if it loads beyond the packet, as in the kernel.</returns>
    public static uint Run(ReadOnlySpan<LibC.sock_filter> program, ReadOnlySpan<byte> packet)
    {
        Span<uint> memory = stackalloc uint[16];
        memory.Clear();
        uint a = 0, x = 0;
        for (var at = 0; at < program.Length; at++)
        {
            var (code, k) = (program[at].code, program[at].k);
            switch (code & 0x07)
            {
                case LibC.BPF_LD when (code & 0xE0) == LibC.BPF_MEM: a = memory[(int)k]; break;
                case LibC.BPF_LD:
                    var offset = k + ((code & 0xE0) == LibC.BPF_IND ? (ulong)x : 0);
                    if (!TryLoad(packet, offset, code & 0x18, out a)) return 0;
                    break;
                case LibC.BPF_LDX: x = (code & 0xE0) == LibC.BPF_MEM ? memory[(int)k] : k; break;
                case LibC.BPF_ST: memory[(int)k] = a; break;
                case LibC.BPF_STX: memory[(int)k] = x; break;
                case LibC.BPF_ALU: a = Compute(code & 0xF0, a, (code & LibC.BPF_X) != 0 ? x : k); break;
                case LibC.BPF_JMP when (code & 0xF0) == LibC.BPF_JA: at += (int)k; break;
                case LibC.BPF_JMP: at += ((code & 0xF0) == LibC.BPF_JEQ ? a == k : (a & k) != 0) ? program[at].jt : program[at].jf; break;
                case LibC.BPF_MISC: x = a; break;
                default: return (code & 0x18) == LibC.BPF_A ? a : k;
            }
        }

        return 0;
    }

    private static bool TryLoad(ReadOnlySpan<byte> packet, ulong offset, int size, out uint value)
    {
        value = 0;
        var bytes = size switch { LibC.BPF_B => 1u, LibC.BPF_H => 2u, _ => 4u };
        if (offset + bytes > (ulong)packet.Length) return false;
        var at = packet[(int)offset..];
        value = bytes switch { 1 => at[0], 2 => BinaryPrimitives.ReadUInt16BigEndian(at), _ => BinaryPrimitives.ReadUInt32BigEndian(at) };
        return true;
    }

    private static uint Compute(int operation, uint a, uint operand) => operation switch
    {
        LibC.BPF_ADD => a + operand,
        LibC.BPF_MUL => a * operand,
        LibC.BPF_AND => a & operand,
        LibC.BPF_LSH => a << (int)operand,
        LibC.BPF_RSH => a >> (int)operand,
        LibC.BPF_MOD => operand == 0 ? 0 : a % operand,
        _ => throw new NotSupportedException($"BPF operation {operation:x}"),
    };
}
