using System.Xml.Linq;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Tidy;

/// <summary>Whoever reads the counters is told what each means.</summary>
public sealed class DropReasonTests
{
    private static readonly DropReason[] Reasons = Enum.GetValues<DropReason>();

    [Fact]
    public void Every_reason_has_a_sentence_of_its_own()
    {
        var sentences = Reasons.Select(DropReasons.Describe).ToArray();
        Assert.All(sentences, sentence => Assert.True(sentence.Length >= 10 && sentence.Contains(' ', StringComparison.Ordinal) && sentence.Trim() == sentence, sentence));
        Assert.Equal(sentences.Length, sentences.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.Equal(Reasons.Length, DropReasons.Count);
    }

    [Fact]
    public void Reasons_are_numbered_without_a_gap_because_counters_are_indexed_by_them() =>
        Assert.Equal(Enumerable.Range(0, Reasons.Length), Reasons.Select(reason => (int)reason).Order());

    [Fact]
    public void What_is_no_reason_has_no_sentence() => Assert.Throws<ArgumentOutOfRangeException>(() => DropReasons.Describe((DropReason)Reasons.Length));

    [Theory]
    [InlineData(typeof(DropReason))]
    [InlineData(typeof(Counter))]
    public void Every_member_is_documented(Type type)
    {
        ArgumentNullException.ThrowIfNull(type);
        var documentation = XDocument.Load(Path.ChangeExtension(type.Assembly.Location, ".xml"));
        var summaries = documentation.Descendants("member").ToDictionary(member => member.Attribute("name")!.Value, member => member.Element("summary")?.Value.Trim());
        Assert.All(Enum.GetNames(type), name => Assert.False(string.IsNullOrEmpty(summaries.GetValueOrDefault($"F:{type.FullName}.{name}")), name));
    }

    [Fact]
    public void Every_reason_is_given_somewhere_in_the_pipeline()
    {
        var code = string.Concat(SourceTree.Under("src/DataPlane/Pipeline").Where(file => file.Name != "DropReason.cs").Select(file => file.Code));
        Assert.All(Reasons, reason => Assert.Contains($"DropReason.{reason}", code, StringComparison.Ordinal));
    }
}
