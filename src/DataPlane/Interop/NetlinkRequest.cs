using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// A netlink request (netlink(7)) while it is being written: the header, one fixed struct, then attributes, all in host byte order and each
/// padded to 4 bytes. Grows as needed; the kernel takes messages of at most 32 KiB, far above anything written here.
/// </summary>
public sealed class NetlinkRequest
{
    private const int Alignment = 4;
    private static readonly int HeaderSize = Unsafe.SizeOf<LibC.nlmsghdr>();
    private static readonly int AttributeHeaderSize = Unsafe.SizeOf<LibC.nlattr>();

    private byte[] _buffer = new byte[512];
    private int _length = HeaderSize;

    /// <summary>Starts a request; NLM_F_REQUEST is set for you.</summary>
    /// <param name="type">One of LibC.RTM_….</param>
    /// <param name="flags">Any of LibC.NLM_F_….</param>
    public NetlinkRequest(ushort type, int flags)
    {
        Type = type;
        Flags = (ushort)(flags | LibC.NLM_F_REQUEST);
    }

    /// <summary>One of LibC.RTM_….</summary>
    public ushort Type { get; }

    /// <summary>Any of LibC.NLM_F_….</summary>
    public ushort Flags { get; }

    /// <summary>Appends the fixed struct that the type calls for, or one inside an attribute.</summary>
    public NetlinkRequest Struct<T>(in T value)
        where T : unmanaged
    {
        MemoryMarshal.Write(Take(Unsafe.SizeOf<T>()), in value);
        return this;
    }

    /// <summary>Appends an attribute of bytes.</summary>
    public NetlinkRequest Add(ushort type, ReadOnlySpan<byte> payload)
    {
        var size = AttributeHeaderSize + payload.Length;
        var place = Take(size);
        var header = new LibC.nlattr { nla_len = checked((ushort)size), nla_type = type };
        MemoryMarshal.Write(place, in header);
        payload.CopyTo(place[AttributeHeaderSize..]);
        return this;
    }

    /// <summary>Appends an attribute of one byte.</summary>
    public NetlinkRequest Add(ushort type, byte value) => Add(type, [value]);

    /// <summary>Appends a truth value as one byte.</summary>
    public NetlinkRequest Add(ushort type, bool value) => Add(type, [value ? (byte)1 : (byte)0]);

    /// <summary>Appends an attribute of 32 bits.</summary>
    public NetlinkRequest Add(ushort type, uint value) => Add(type, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in value)));

    /// <summary>Appends a string with its final zero byte.</summary>
    public NetlinkRequest Add(ushort type, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return Add(type, Encoding.UTF8.GetBytes(value + '\0'));
    }

    /// <summary>Opens an attribute that holds attributes.</summary>
    /// <returns>What <see cref="EndNest"/> takes.</returns>
    public int BeginNest(ushort type)
    {
        var start = _length;
        Add(type, ReadOnlySpan<byte>.Empty);
        return start;
    }

    /// <summary>Closes the attribute that <see cref="BeginNest"/> opened.</summary>
    public void EndNest(int start)
    {
        Debug.Assert(start >= HeaderSize && start < _length, "not a start that BeginNest returned");
        var header = MemoryMarshal.Read<LibC.nlattr>(_buffer.AsSpan(start));
        header.nla_len = checked((ushort)(_length - start));
        MemoryMarshal.Write(_buffer.AsSpan(start), in header);
    }

    /// <summary>Fills in the header and lends the bytes until the next call on this object.</summary>
    internal ReadOnlySpan<byte> Complete(uint sequence, int extraFlags)
    {
        var flags = (ushort)(Flags | extraFlags);
        var header = new LibC.nlmsghdr { nlmsg_len = (uint)_length, nlmsg_type = Type, nlmsg_flags = flags, nlmsg_seq = sequence };
        MemoryMarshal.Write(_buffer, in header);
        return _buffer.AsSpan(0, _length);
    }

    private Span<byte> Take(int size)
    {
        var start = _length;
        _length += (size + Alignment - 1) & -Alignment;
        if (_length > _buffer.Length) Array.Resize(ref _buffer, Math.Max(_length, _buffer.Length * 2));
        return _buffer.AsSpan(start, size);
    }
}
