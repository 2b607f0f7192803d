namespace Sleeve.Tidy;

/// <summary>The compiler is the fence: one assembly may be unsafe, and nothing else tries.</summary>
public sealed class UnsafeTests
{
    private const string Interop = "src/DataPlane/Interop/";

    [Fact]
    public void Only_the_interop_assembly_and_its_test_allow_unsafe_blocks()
    {
        var projects = SourceTree.Files(SourceTree.Root)
            .Where(path => path.EndsWith(".csproj", StringComparison.Ordinal) || path.EndsWith(".props", StringComparison.Ordinal) || path.EndsWith(".targets", StringComparison.Ordinal))
            .Where(path => File.ReadAllText(Path.Combine(SourceTree.Root, path)).Contains("<AllowUnsafeBlocks>true", StringComparison.OrdinalIgnoreCase))
            .Order(StringComparer.Ordinal);
        Assert.Equal([Interop + "Interop.csproj", "tests/Interop.Tests/Interop.Tests.csproj"], projects);
        Assert.Contains("<AllowUnsafeBlocks>false</AllowUnsafeBlocks>", File.ReadAllText(Path.Combine(SourceTree.Root, "Directory.Build.props")), StringComparison.Ordinal);
    }

    [Fact]
    public void No_unsafe_code_outside_interop() => LayeringTests.AssertNone(
        SourceTree.Under("src").Where(file => !file.Path.StartsWith(Interop, StringComparison.Ordinal)), @"\bunsafe\b|\bUnsafe\.|\bfixed\s*\(|\bMarshal\.(Alloc|Copy|Ptr|Read|Write|StructureTo)|\bNativeMemory\b|\bGCHandle\b");

    [Fact]
    public void Native_functions_are_declared_in_interop_only() => LayeringTests.AssertNone(
        SourceTree.Under("src").Where(file => !file.Path.StartsWith(Interop, StringComparison.Ordinal)), @"\bDllImport\b|\bLibraryImport\b|\bNativeLibrary\b");
}
