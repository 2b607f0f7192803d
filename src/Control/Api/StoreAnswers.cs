using Microsoft.AspNetCore.Http;
using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Api;

/// <summary>Answers of what asks the store that hosts share.</summary>
internal static class StoreAnswers
{
    /// <summary>Does it, and says in a problem why it was not done.</summary>
    public static async Task<IResult> TryAsync(Func<Task<IResult>> work)
    {
        try
        {
            return await work();
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
        catch (StoreRefusedException refusal)
        {
            return Problem.Impossible(refusal.Message);
        }
        catch (StoreUnavailableException failure)
        {
            return Problem.StoreAway(failure.Message);
        }
        catch (IOException failure)
        {
            return Problem.Impossible(failure.Message);
        }
    }
}
