namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>One colour a system, the same in every plot.</summary>
internal static class Palette
{
    /// <summary>Colour of a system.</summary>
    public static string Of(string system) => system switch
    {
        "veth" => "#b4bcc8",
        "kernel" => "#3f4a5a",
        "sleeve" => "#1d5fd1",
        "sleeve-tunnel-gso" => "#4f86e0",
        "sleeve-udp-gso" => "#7aa5ea",
        "sleeve-none" => "#a9c5f3",
        "sleeve-workers-1" => "#c9dbf8",
        "sleeve-kernel" => "#0f8f83",
        "kernel-sleeve" => "#4fb8ad",
        "ovs" => "#d9822b",
        "tinc" => "#a05cc7",
        _ => "#888888",
    };
}
