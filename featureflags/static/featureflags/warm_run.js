/* Renews what the page says of a warming while one looks at it, and loads it anew when it has ended.
   Without scripts the page shows how far the warming was when it was asked for. */
"use strict";

{
    const EVERY_MILLISECONDS = 2000;
    const LIVE = ["warm-run", "warm-unfinished"];

    const look = async () => {
        try {
            const response = await fetch(location.href, { credentials: "same-origin" });
            if (response.ok && !response.redirected) {
                const page = new DOMParser().parseFromString(await response.text(), "text/html");
                if (page.getElementById("warm-run").dataset.ended === "true") {
                    location.reload();
                    return;
                }
                for (const id of LIVE) {
                    document.getElementById(id).replaceWith(page.getElementById(id));
                }
            }
        } catch {
            // The server is away for a moment: what is shown stays, and is asked for again.
        }
        setTimeout(look, EVERY_MILLISECONDS);
    };

    setTimeout(look, EVERY_MILLISECONDS);
}
