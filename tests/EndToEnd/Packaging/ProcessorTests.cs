using System.Reflection.PortableExecutable;

namespace Sleeve.EndToEnd.Packaging;

/// <summary>What is built without naming a processor runs on any: the same folder on x64 and arm64.</summary>
public sealed class ProcessorTests
{
    [Fact]
    public void No_assembly_is_of_one_processor_alone()
    {
        var assemblies = Directory.GetFiles(ThrowAwayRoot.Program, "*.dll");
        Assert.Contains(assemblies, static path => Path.GetFileName(path) == "sleeve.dll");
        Assert.All(assemblies, static path =>
        {
            using var image = new PEReader(File.OpenRead(path));
            var header = image.PEHeaders.CorHeader;
            Assert.True(header is not null, $"{path} is native");
            Assert.True(header.Flags.HasFlag(CorFlags.ILOnly) && !header.Flags.HasFlag(CorFlags.Requires32Bit), $"{path}: {header.Flags}");
            Assert.True(image.PEHeaders.CoffHeader.Machine is Machine.I386 or Machine.Unknown, $"{path}: {image.PEHeaders.CoffHeader.Machine}");
        });
    }

    [Fact]
    public void Native_libraries_come_for_arm64_wherever_they_come_for_x64()
    {
        var runtimes = Path.Combine(ThrowAwayRoot.Program, "runtimes");
        if (!Directory.Exists(runtimes)) return;
        var x64 = LibrariesOf("linux-x64");
        Assert.NotEmpty(x64);
        Assert.Equal(x64, LibrariesOf("linux-arm64"));
        // An ELF file says what it is for in e_machine: 183 is AArch64 (elf(5)).
        Assert.All(Directory.GetFiles(Path.Combine(runtimes, "linux-arm64", "native")), static path =>
        {
            var head = new byte[20];
            using var file = File.OpenRead(path);
            file.ReadExactly(head);
            Assert.Equal(183, BitConverter.ToUInt16(head, 18));
        });

        string[] LibrariesOf(string processor) =>
            [.. Directory.GetFiles(Path.Combine(runtimes, processor), "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Path.Combine(runtimes, processor), path)).Order(StringComparer.Ordinal)];
    }
}
