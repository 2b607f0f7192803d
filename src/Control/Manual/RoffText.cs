using System.Globalization;
using System.Text;

namespace Sleeve.Control.Manual;

/// <summary>Writes a page in the macros of man(7). Any text may be given: what roff would take for its own is escaped, and the file is ASCII.</summary>
internal sealed class RoffText
{
    // Longer lines are legal; mandoc's lint asks for these.
    private const int MaxLine = 80;

    private readonly StringBuilder _text = new();

    /// <summary>Begins a page.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="section">Of the manual: 1 commands, 5 files.</param>
    /// <param name="date">When it was made, as YYYY-MM-DD.</param>
    /// <param name="source">What it belongs to, with its version.</param>
    public RoffText(string name, int section, string date, string source) =>
        Line(@".\"" Written by sleeve manual out of the command definitions; changes belong there.")
            .Line($".TH {Quoted(name.ToUpperInvariant())} {section} {date} {Quoted(source)} {Quoted("Sleeve Manual")}");

    /// <summary>A heading.</summary>
    public RoffText Section(string title) => Line($".SH {Quoted(title.ToUpperInvariant())}");

    /// <summary>A heading below a heading.</summary>
    public RoffText Subsection(string title) => Line($".SS {Quoted(title)}");

    /// <summary>A paragraph.</summary>
    public RoffText Paragraph(string text) => Line(".PP").Prose(text);

    /// <summary>Text that goes on in the same paragraph; where its lines end makes no difference to a reader.</summary>
    public RoffText Prose(string text)
    {
        var line = new StringBuilder();
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Escape))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > MaxLine)
            {
                Line(line.ToString());
                line.Clear();
            }

            line.Append(line.Length > 0 ? " " : "").Append(word);
        }

        return Line(line.ToString());
    }

    /// <summary>A paragraph with a tag: <c>--mtu BYTES</c> and what it means.</summary>
    /// <param name="tag">Made by <see cref="Bold"/> and <see cref="Italic"/>.</param>
    /// <param name="text">What it means.</param>
    public RoffText Tagged(string tag, string text) => Line(".TP").Line(tag).Prose(text);

    /// <summary>Lines as they are.</summary>
    public RoffText Verbatim(IEnumerable<string> lines)
    {
        Line(".EX");
        foreach (var line in lines) Line(Escape(line));
        return Line(".EE");
    }

    /// <summary>A line that is roff already.</summary>
    public RoffText Line(string roff)
    {
        _text.Append(roff).Append('\n');
        return this;
    }

    /// <summary>Text to be typed as it is.</summary>
    public static string Bold(string text) => $@"\fB{Escape(text)}\fR";

    /// <summary>A name that stands for something else.</summary>
    public static string Italic(string text) => $@"\fI{Escape(text)}\fR";

    /// <summary>Text with everything that roff would interpret escaped.</summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length + 16);
        // A line that begins like a request would be one.
        if (text is ['.' or '\'', ..]) escaped.Append(@"\&");
        foreach (var rune in text.EnumerateRunes())
        {
            escaped.Append(rune.Value switch
            {
                '\\' => @"\e",
                '-' => @"\-",
                '\'' => @"\(aq",
                '"' => @"\(dq",
                '`' => @"\(ga",
                '^' => @"\(ha",
                '~' => @"\(ti",
                > 0x7E => string.Create(CultureInfo.InvariantCulture, $@"\[u{rune.Value:X4}]"),
                < 0x20 => " ",
                _ => ((char)rune.Value).ToString(),
            });
        }

        return escaped.ToString();
    }

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    private static string Quoted(string text) => $"\"{Escape(text)}\"";
}
