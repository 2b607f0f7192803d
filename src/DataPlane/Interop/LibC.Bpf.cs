using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// linux/bpf_common.h, linux/filter.h, linux/bpf.h, sys/syscall.h
public static unsafe partial class LibC
{
    public const ushort BPF_LD = 0x00;
    public const ushort BPF_LDX = 0x01;
    public const ushort BPF_ST = 0x02;
    public const ushort BPF_STX = 0x03;
    public const ushort BPF_ALU = 0x04;
    public const ushort BPF_JMP = 0x05;
    public const ushort BPF_RET = 0x06;
    public const ushort BPF_MISC = 0x07;

    public const ushort BPF_W = 0x00;
    public const ushort BPF_H = 0x08;
    public const ushort BPF_B = 0x10;
    public const ushort BPF_IMM = 0x00;
    public const ushort BPF_ABS = 0x20;
    public const ushort BPF_IND = 0x40;
    public const ushort BPF_MEM = 0x60;
    public const ushort BPF_MUL = 0x20;
    public const ushort BPF_AND = 0x50;
    public const ushort BPF_LSH = 0x60;
    public const ushort BPF_RSH = 0x70;
    public const ushort BPF_MOD = 0x90;
    public const ushort BPF_ADD = 0x00;
    public const ushort BPF_JA = 0x00;
    public const ushort BPF_JEQ = 0x10;
    public const ushort BPF_JSET = 0x40;
    public const ushort BPF_K = 0x00;
    public const ushort BPF_X = 0x08;
    public const ushort BPF_A = 0x10;
    public const ushort BPF_TAX = 0x00;
    public const ushort BPF_TXA = 0x80;

    public const ushort BPF_ALU64 = 0x07;
    public const ushort BPF_MOV = 0xB0;
    public const ushort BPF_EXIT = 0x90;

    public const int BPF_PROG_LOAD = 5;
    public const uint BPF_PROG_TYPE_SOCKET_FILTER = 1;

    /// <summary>asm/unistd.h of this machine.</summary>
    public static readonly nint SYS_bpf = NumberOfBpf(RuntimeInformation.ProcessArchitecture);

    /// <summary>asm/unistd.h: 321 on x86-64, 280 where the generic table is used (arm64, riscv64, loongarch64).</summary>
    public static nint NumberOfBpf(Architecture architecture) => architecture == Architecture.X64 ? 321 : 280;

    /// <summary>The kernel's own entry; variadic in C, which on the 64-bit Linux ABIs passes integers as a fixed signature does.</summary>
    [LibraryImport(libc, SetLastError = true)]
    public static partial nint syscall(nint number, nint command, void* argument, nint size);

    /// <summary>An instruction of the extended machine.</summary>
    public struct bpf_insn
    {
        public byte code;
        public byte __registers; // dst_reg in the low four bits, src_reg above them (little-endian hosts)
        public short off;
        public int imm;
    }
}
