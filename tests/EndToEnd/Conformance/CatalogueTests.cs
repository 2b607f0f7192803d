using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>Every case has a test, every test a case, and docs/conformance.md is made of both: SLEEVE_WRITE_DOCS=1 writes it.</summary>
public sealed class CatalogueTests
{
    private static readonly ILookup<string, string> TestsOf = typeof(CatalogueTests).Assembly.GetTypes()
        .SelectMany(static type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
        .SelectMany(static method => method.GetCustomAttributesData()
            .Where(static attribute => attribute.AttributeType == typeof(TraitAttribute) && (string?)attribute.ConstructorArguments[0].Value == "Case")
            .Select(attribute => (Id: (string)attribute.ConstructorArguments[1].Value!, Test: $"{method.DeclaringType!.Name}.{method.Name}")))
        .ToLookup(static pair => pair.Id, static pair => pair.Test);

    [Fact]
    public void Every_case_has_a_test_and_every_test_a_case()
    {
        var cases = Catalogue.Chapters.SelectMany(static chapter => chapter.Cases).Select(static each => each.Id).ToArray();
        Assert.Equal(cases.Distinct(), cases);
        Assert.Empty(cases.Except(TestsOf.Select(static each => each.Key)));
        Assert.Empty(TestsOf.Select(static each => each.Key).Except(cases));
    }

    [Fact]
    public void The_document_is_up_to_date()
    {
        var path = Path.Combine(Root(), "docs", "conformance.md");
        var document = Document();
        if (Environment.GetEnvironmentVariable("SLEEVE_WRITE_DOCS") == "1") File.WriteAllText(path, document);
        Assert.True(File.ReadAllText(path) == document, "docs/conformance.md is old: run this test with SLEEVE_WRITE_DOCS=1 and commit what it writes");
    }

    private static string Document()
    {
        var text = new StringBuilder("""
            # Conformance

            Each case is an automated test under its ID (`dotnet test tests/EndToEnd --filter Case=RX01`), run with raw frames and datagrams in network namespaces, with the
            kernel's vxlan device as the peer or, with `SLEEVE_E2E_DUT=kernel`, in Sleeve's place: then exactly the cases that differ here are skipped or fail. "The same" is
            what Sleeve does unless its column says otherwise. This file is written by `tests/EndToEnd/Conformance/CatalogueTests.cs`.

            """);
        foreach (var (title, cases) in Catalogue.Chapters)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n| ID | given | when | the kernel's device | Sleeve | why it differs | tests |\n|---|---|---|---|---|---|---|\n");
            foreach (var each in cases)
                text.Append(CultureInfo.InvariantCulture, $"| {each.Id} | {each.Given} | {each.When} | {each.Kernel} | {each.Sleeve ?? "the same"} | {each.Why} | {string.Join("<br>", TestsOf[each.Id].Select(static test => $"`{test}`"))} |\n");
        }

        return text.ToString();
    }

    private static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
