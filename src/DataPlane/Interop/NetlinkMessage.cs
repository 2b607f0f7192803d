using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>One message that the kernel sent: its type and what follows the header. Borrowed; valid during the call that hands it over.</summary>
public readonly ref struct NetlinkMessage
{
    internal NetlinkMessage(LibC.nlmsghdr header, ReadOnlySpan<byte> payload)
    {
        Type = header.nlmsg_type;
        Flags = header.nlmsg_flags;
        Sequence = header.nlmsg_seq;
        Payload = payload;
    }

    /// <summary>One of LibC.RTM_… or LibC.NLMSG_….</summary>
    public ushort Type { get; }

    /// <summary>Any of LibC.NLM_F_….</summary>
    public ushort Flags { get; }

    /// <summary>The number of the request that this answers; 0 for a notification.</summary>
    public uint Sequence { get; }

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Reads the fixed struct at the start and the attributes after it.</summary>
    /// <returns>False if the message is too short for it.</returns>
    public bool TryRead<T>(out T value, out NetlinkAttributes attributes)
        where T : unmanaged
    {
        var size = (Unsafe.SizeOf<T>() + 3) & -4;
        if (Payload.Length < size)
        {
            value = default;
            attributes = default;
            return false;
        }

        value = MemoryMarshal.Read<T>(Payload);
        attributes = new NetlinkAttributes(Payload[size..]);
        return true;
    }
}

/// <summary>The messages of one datagram, in order; ends at the first that is cut short.</summary>
public ref struct NetlinkMessages
{
    private ReadOnlySpan<byte> _rest;
    private NetlinkMessage _current;

    internal NetlinkMessages(ReadOnlySpan<byte> datagram) => _rest = datagram;

    /// <summary>The message that <see cref="MoveNext"/> came to.</summary>
    public readonly NetlinkMessage Current => _current;

    /// <summary>For foreach.</summary>
    public readonly NetlinkMessages GetEnumerator() => this;

    /// <summary>Goes to the next message.</summary>
    public bool MoveNext()
    {
        var headerSize = Unsafe.SizeOf<LibC.nlmsghdr>();
        if (_rest.Length < headerSize) return false;
        var header = MemoryMarshal.Read<LibC.nlmsghdr>(_rest);
        if (header.nlmsg_len < headerSize || header.nlmsg_len > _rest.Length) return false;
        var length = (int)header.nlmsg_len;
        _current = new NetlinkMessage(header, _rest[headerSize..length]);
        _rest = _rest[Math.Min((length + 3) & -4, _rest.Length)..];
        return true;
    }
}

/// <summary>The attributes of a message or of a nest, in order; ends at the first that is cut short.</summary>
public ref struct NetlinkAttributes
{
    private ReadOnlySpan<byte> _rest;
    private NetlinkAttribute _current;

    internal NetlinkAttributes(ReadOnlySpan<byte> bytes) => _rest = bytes;

    /// <summary>The attribute that <see cref="MoveNext"/> came to.</summary>
    public readonly NetlinkAttribute Current => _current;

    /// <summary>For foreach.</summary>
    public readonly NetlinkAttributes GetEnumerator() => this;

    /// <summary>Goes to the next attribute.</summary>
    public bool MoveNext()
    {
        var headerSize = Unsafe.SizeOf<LibC.nlattr>();
        if (_rest.Length < headerSize) return false;
        var header = MemoryMarshal.Read<LibC.nlattr>(_rest);
        if (header.nla_len < headerSize || header.nla_len > _rest.Length) return false;
        var type = (ushort)(header.nla_type & ~(LibC.NLA_F_NESTED | LibC.NLA_F_NET_BYTEORDER));
        _current = new NetlinkAttribute(type, _rest[headerSize..header.nla_len]);
        _rest = _rest[Math.Min((header.nla_len + 3) & -4, _rest.Length)..];
        return true;
    }
}

/// <summary>One attribute: a type with a meaning in its message or nest, and bytes. A number of which there are too few bytes is 0.</summary>
public readonly ref struct NetlinkAttribute
{
    internal NetlinkAttribute(ushort type, ReadOnlySpan<byte> payload)
    {
        Type = type;
        Payload = payload;
    }

    /// <summary>The type, without its flag bits.</summary>
    public ushort Type { get; }

    /// <summary>The bytes, without padding.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>The first byte.</summary>
    public byte Byte => Read<byte>();

    /// <summary>32 bits in host order.</summary>
    public uint UInt32 => Read<uint>();

    /// <summary>32 bits in host order, as the kernel keeps interface indices and sizes.</summary>
    public int Int32 => Read<int>();

    /// <summary>16 bits in network order, as the kernel keeps ports.</summary>
    public ushort UInt16BigEndian => Payload.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(Payload) : (ushort)0;

    /// <summary>The text up to its zero byte.</summary>
    public string Text
    {
        get
        {
            var end = Payload.IndexOf((byte)0);
            return Encoding.UTF8.GetString(end < 0 ? Payload : Payload[..end]);
        }
    }

    /// <summary>The attributes inside.</summary>
    public NetlinkAttributes Nested => new(Payload);

    /// <summary>Reads a kernel struct; what a shorter one does not have is 0.</summary>
    public T Read<T>()
        where T : unmanaged
    {
        T value = default;
        var bytes = MemoryMarshal.AsBytes(new Span<T>(ref value));
        if (Payload.Length < bytes.Length && bytes.Length <= sizeof(uint)) return default;
        Payload[..Math.Min(bytes.Length, Payload.Length)].CopyTo(bytes);
        return value;
    }
}
